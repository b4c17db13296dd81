"""A drawn region and a map of it, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.maps.rasters import BaseMask, open_features
from models.maps.runs import Work
from models.orchards.evaluation import Validation
from models.orchards.mapping import MapSettings, OrchardMap, map_orchards
from models.orchards.points import read_points
from tests.models.orchards.drawn_region import Region, draw_region

# a quick classifier, since what is tested is the map
CLASSIFIER = "cart"
VALIDATION = Validation(block_km=1.0)


@pytest.fixture(scope="package")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    """600 x 600 pixels with known orchards."""
    return draw_region(tmp_path_factory.mktemp("region"))


def make_map(region: Region, out: Path, work: Work, classifier: str = CLASSIFIER) -> OrchardMap:
    """Map the drawn region."""
    settings = MapSettings(classifier, "all", VALIDATION, BaseMask(str(region.cover), (40,)))
    return map_orchards(open_features([region.features]), read_points(region.points), settings, work, out)


@pytest.fixture(scope="package")
def made(region: Region, tmp_path_factory: pytest.TempPathFactory) -> OrchardMap:
    """A map of the region in tiles of 256 pixels."""
    return make_map(region, tmp_path_factory.mktemp("map"), Work(memory_mb=16, threads=2))
