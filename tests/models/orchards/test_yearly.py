"""Areas by year beside a statistic."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from shapely.geometry import Point

from models.maps.errors import MapError
from models.orchards.mapping import MAP, OrchardMap
from models.orchards.points import LabelledPoints, read_points
from models.orchards.tiles import ORCHARD, OTHER
from models.orchards.yearly import orchards_of_year, read_reference
from tests.models.orchards.drawn_region import EPSG, Region


def _reference_points(folder: Path, region: Region, made: OrchardMap, seed: int) -> LabelledPoints:
    """Drawn at random within each class of the map, and looked up in the truth."""
    rng = np.random.default_rng(seed)
    with rasterio.open(made.folder / MAP) as raster:
        classes = raster.read(1)
        places, there = [], []
        for value in (OTHER, ORCHARD):
            rows, columns = np.nonzero(classes == value)
            for at in rng.choice(len(rows), 150, replace=False):
                places.append(Point(*raster.xy(rows[at], columns[at])))
                there.append(int(region.truth[rows[at], columns[at]]))
    path = folder / f"{seed}.gpkg"
    geopandas.GeoDataFrame({"orchard": there}, geometry=places, crs=EPSG).to_file(path)
    return read_points(path)


def test_the_estimate_mends_what_the_map_gets_wrong(region: Region, made: OrchardMap, tmp_path: Path) -> None:
    """The map shows half as much again as is there; estimates hold the truth, whichever points were drawn."""
    with rasterio.open(made.folder / MAP) as raster:
        inside = np.isin(raster.read(1), (OTHER, ORCHARD))
    true_ha = (region.truth & inside).sum() / 100 / 0.9996**2
    held = 0
    for seed in range(8):
        year = orchards_of_year("2021", made.folder / MAP, _reference_points(tmp_path, region, made, seed), true_ha)
        assert year.estimate is not None
        assert year.points == 300
        estimated, half_width = year.estimate.area.value[1], year.estimate.area.half_width[1]
        held += abs(estimated - true_ha) < half_width
        assert abs(estimated - true_ha) < abs(year.mapped_ha - true_ha)
    assert held >= 7


def test_a_map_without_points_is_counted_only(made: OrchardMap) -> None:
    year = orchards_of_year("2021", made.folder / MAP, None, None)
    assert year.mapped_ha == pytest.approx(made.areas.orchard / 10_000)
    assert year.estimate is None


@pytest.mark.parametrize(("unit", "ha"), [("area_ha", 1500.0), ("area_mu", 100.0)])
def test_a_statistic_is_read_in_either_unit(tmp_path: Path, unit: str, ha: float) -> None:
    (tmp_path / "a.csv").write_text(f"year,{unit}\n2019,1500\n2020,1600\n")
    assert read_reference(tmp_path / "a.csv")["2019"] == ha


@pytest.mark.parametrize(
    ("text", "said"),
    [("year,ha\n2019,1", "needs the columns year and area_ha"), ("year,area_ha\n2019,x", "could not convert")],
)
def test_a_statistic_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(MapError, match=said):
        read_reference(tmp_path / "a.csv")
