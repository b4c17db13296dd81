"""The map of a drawn region: its pixels, areas, polygons and files."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio

from models.maps.errors import MapError
from models.maps.runs import Work
from models.orchards.classifiers import CLASSIFIERS
from models.orchards.mapping import MAP, POLYGONS, QUICK_LOOK, RECORD, STYLE, OrchardMap
from models.orchards.page import PAGE
from models.orchards.tiles import ORCHARD, OTHER, OUTSIDE, UNKNOWN
from tests.models.orchards.conftest import make_map
from tests.models.orchards.drawn_region import Region


def test_the_map_shows_the_orchards_that_are_there(region: Region, made: OrchardMap) -> None:
    with rasterio.open(made.folder / MAP) as raster, rasterio.open(region.features) as features:
        assert (raster.crs, raster.transform, raster.shape) == (features.crs, features.transform, features.shape)
        assert raster.descriptions == ("class", "confidence_percent")
        classes, confidence = raster.read()
    looked_at = np.isin(classes, (ORCHARD, OTHER))
    assert ((classes == ORCHARD) == region.truth)[looked_at].mean() > 0.85
    assert (classes[:8, :400] == UNKNOWN).all(), "a pixel without data is not guessed"
    assert (classes[:, 590] == OUTSIDE).all(), "the east is no cropland"
    assert looked_at[8:, :500].all()
    assert ((confidence >= 50) & (confidence <= 100))[looked_at].all()
    assert (confidence[~looked_at] == 255).all()


def test_the_map_is_cloud_optimised_with_overviews(made: OrchardMap) -> None:
    with rasterio.open(made.folder / MAP) as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.overviews(1) == [2]
        assert raster.block_shapes[0] == (512, 512)
        assert raster.nodata == UNKNOWN


def test_areas_are_those_on_the_ground(region: Region, made: OrchardMap) -> None:
    """600 x 600 pixels of 10 m, but on the central meridian UTM shrinks lengths by 0.04 %."""
    areas = made.areas
    ground_m2 = areas.orchard + areas.other + areas.outside + areas.unknown
    assert ground_m2 == pytest.approx(600 * 600 * 100 / 0.9996**2, rel=1e-6)
    with rasterio.open(made.folder / MAP) as raster:
        pixels = int((raster.read(1) == ORCHARD).sum())
    assert areas.orchard == pytest.approx(pixels * 100 / 0.9996**2, rel=1e-6)


def test_polygons_are_the_mapped_orchards(made: OrchardMap) -> None:
    orchards = geopandas.read_file(made.folder / POLYGONS)
    assert len(orchards) == made.orchards > 10
    assert orchards["area_ha"].is_monotonic_decreasing
    assert orchards["area_ha"].min() >= 0.05
    np.testing.assert_allclose(orchards["area_mu"], 15 * orchards["area_ha"], atol=1e-3)
    np.testing.assert_allclose(orchards["area_ha"], orchards.geometry.area / 10_000 / 0.9996**2, rtol=1e-5, atol=1e-4)
    assert orchards["confidence_percent"].between(50, 100).all()
    with rasterio.open(made.folder / MAP) as raster:
        classes, confidence = raster.read()
        first = rasterio.features.geometry_mask([orchards.geometry[0]], classes.shape, raster.transform, invert=True)
    assert (classes[first] == ORCHARD).all()
    assert orchards["confidence_percent"][0] == pytest.approx(confidence[first].mean(), abs=0.06)


def test_all_files_are_there_and_nothing_else(made: OrchardMap) -> None:
    files = {path.name for path in made.folder.iterdir()}
    assert files == {MAP, STYLE, POLYGONS, QUICK_LOOK, RECORD, PAGE, ".lock"}
    record = json.loads((made.folder / RECORD).read_text())
    assert record["areas_ha"]["orchard"] == pytest.approx(made.areas.orchard / 10_000, abs=1e-4)
    assert record["accuracy"]["overall"]["value"] == pytest.approx(made.evaluation.accuracy["overall"].value, abs=1e-6)
    palette = ET.parse(made.folder / STYLE).findall("./pipe/rasterrenderer/colorPalette/paletteEntry")
    assert {entry.get("value"): entry.get("label") for entry in palette}["1"] == "orchard"


def test_tiles_threads_and_runs_change_no_byte(region: Region, made: OrchardMap, tmp_path: Path) -> None:
    again = make_map(region, tmp_path / "again", Work(memory_mb=512, threads=1))
    assert (made.tiles, again.tiles) == (9, 1)
    assert (again.folder / MAP).read_bytes() == (made.folder / MAP).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_with_any_classifier_tiles_change_no_byte(region: Region, tmp_path: Path, classifier: str) -> None:
    small = make_map(region, tmp_path / "small", Work(memory_mb=16, threads=2), classifier)
    large = make_map(region, tmp_path / "large", Work(memory_mb=512, threads=1), classifier)
    assert (small.folder / MAP).read_bytes() == (large.folder / MAP).read_bytes()


def test_unfinished_tiles_of_another_map_are_not_mixed_in(region: Region, tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "map.json").write_text(json.dumps({"sha256": "another", "classifier": "svm"}))
    with pytest.raises(MapError, match="unfinished tiles of another map"):
        make_map(region, tmp_path, Work())
