"""Boundaries and the grids laid over them."""

from __future__ import annotations

from pathlib import Path

import geopandas
import pytest
from pyproj import Geod
from shapely.geometry import LineString, Point, box

from models.earth.areas import cells_of, degree_grid, metric_grid, one_area, read_boundaries
from models.earth.errors import EarthInputError
from tests.models.earth.catalogues import UTM
from tests.models.earth.drawn import orchard, write_boundary


def test_a_metric_grid_lies_on_sentinel_2_s_pixels() -> None:
    grid = metric_grid(orchard(), margin_m=25)
    assert str(grid.crs) == UTM
    assert grid.resolution.x == 10
    assert (grid.transform.c % 10, grid.transform.f % 10) == (0, 0)
    assert grid.shape.y >= 45
    assert grid.footprint("EPSG:4326").geom.contains(orchard())


@pytest.mark.parametrize("latitude", [-42, 0, 34, 65])
def test_cells_in_degrees_are_ten_metres_on_the_ground(latitude: int) -> None:
    grid = degree_grid(box(10, latitude, 10.01, latitude + 0.005), margin_m=50)
    west, south, east, north = grid.boundingbox.bbox
    geod = Geod(ellps="WGS84")
    _, _, wide_m = geod.inv(west, latitude, east, latitude)
    _, _, high_m = geod.inv(west, south, west, north)
    assert wide_m / grid.shape.x == pytest.approx(10, rel=1e-3)
    assert high_m / grid.shape.y == pytest.approx(10, rel=1e-3)
    _, _, margin_m = geod.inv(west, latitude, 10, latitude)
    assert 50 <= margin_m < 62  # up to a cell more


def test_the_orchard_s_cells_are_those_whose_middle_is_inside() -> None:
    grid = degree_grid(orchard(), margin_m=50)
    assert cells_of(orchard(), grid).sum() * 100 == pytest.approx(400 * 400, rel=0.02)
    metric = metric_grid(orchard(), margin_m=50)
    assert cells_of(orchard(), metric).sum() == 40 * 40


def test_a_boundary_in_any_system_comes_in_degrees(tmp_path: Path) -> None:
    plain = read_boundaries(write_boundary(tmp_path / "o.geojson"))
    moved = plain.to_crs(UTM)
    moved.to_file(tmp_path / "o.gpkg")
    moved.to_parquet(tmp_path / "o.parquet")
    for name in ("o.gpkg", "o.parquet"):
        area = one_area(tmp_path / name)
        assert area.symmetric_difference(orchard()).area < 1e-6 * orchard().area
    assert plain["name"].tolist() == ["North farm"]


@pytest.mark.parametrize(
    ("shapes", "crs", "said"),
    [
        ([Point(1, 2)], "EPSG:4326", "holds Point; give polygons"),
        ([LineString([(0, 0), (1, 1)]), box(0, 0, 1, 1)], "EPSG:4326", "holds LineString, Polygon; give polygons"),
        ([box(0, 0, 1, 1)], None, "has no reference system"),
    ],
)
def test_what_is_no_boundary_is_named(tmp_path: Path, shapes: list[object], crs: str | None, said: str) -> None:
    path = tmp_path / "b.parquet"
    geopandas.GeoDataFrame(geometry=shapes, crs=crs).to_parquet(path)
    with pytest.raises(EarthInputError, match=said):
        read_boundaries(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name in ("gone.geojson", "gone.parquet"):
        with pytest.raises(EarthInputError, match=rf"boundary .*{name} cannot be read"):
            read_boundaries(tmp_path / name)
