"""Features at points and over polygons, and the GeoParquet that says where they come from."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401  (gives rasters their .rio)
import shapely
import xarray as xr

from models.earth import raster_grid
from models.earth.errors import EarthInputError
from models.earth.feature_tables import Provenance, SourceScene, at_points, over_polygons, read_record, write_table

UTM = "EPSG:32648"
WEST, NORTH, CELL = 600_000.0, 4_000_000.0, 10.0
ROWS, COLUMNS = 30, 40


def features() -> xr.Dataset:
    """``row`` and ``column`` number the cells; ``row`` is missing in row 3."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    rows[3] = np.nan
    coords = {"y": NORTH - CELL * (np.arange(ROWS) + 0.5), "x": WEST + CELL * (np.arange(COLUMNS) + 0.5)}
    raster = xr.Dataset({"row": (("y", "x"), rows), "column": (("y", "x"), columns)}, coords=coords)
    raster["row"].attrs = {"long_name": "number of the row", "units": "1"}
    placed: xr.Dataset = raster.rio.write_crs(UTM)
    return placed


def place(column: float, row: float) -> tuple[float, float]:
    return WEST + CELL * column, NORTH - CELL * row


def frame(*shapes: shapely.Geometry) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame({"label": [f"p{n}" for n in range(len(shapes))]}, geometry=list(shapes), crs=UTM)


def points(*places_in_cells: tuple[float, float]) -> geopandas.GeoDataFrame:
    return frame(*(shapely.Point(place(*at)) for at in places_in_cells))


def box(column: float, row: float, last_column: float, last_row: float) -> shapely.Polygon:
    return shapely.box(*place(column, last_row), *place(last_column, row))


def test_a_point_has_the_features_of_its_cell() -> None:
    table = at_points(features(), points((0.1, 0.1), (39.9, 29.9), (17.5, 8.01)))
    assert table["row"].tolist() == [0, 29, 8]
    assert table["column"].tolist() == [0, 39, 17]
    assert table["label"].tolist() == ["p0", "p1", "p2"]
    assert table["row"].dtype == np.float32


def test_beyond_the_raster_and_where_it_is_missing_there_is_nothing() -> None:
    table = at_points(features(), points((-0.1, 5), (5, 30.1), (6, 3.5), (6, 4.5)))
    np.testing.assert_array_equal(table["row"], [np.nan, np.nan, np.nan, 4])
    np.testing.assert_array_equal(table["column"], [np.nan, np.nan, 6, 6])


def test_points_in_degrees_and_rasters_from_south_to_north() -> None:
    there = points((3.5, 9.5), (20.5, 1.5))
    expected = at_points(features(), there)
    assert at_points(features(), there.to_crs("EPSG:4326"))["column"].tolist() == expected["column"].tolist()
    upside_down = features().isel(y=slice(None, None, -1))
    pd.testing.assert_frame_equal(at_points(upside_down, there), expected)


def test_a_polygon_has_means_weighted_by_what_lies_inside() -> None:
    table = over_polygons(features(), frame(box(2, 10, 4, 12), box(5.5, 20, 7, 21.5)))
    assert table["row"].tolist() == pytest.approx([10.5, (20 + 0.5 * 21) / 1.5])
    assert table["column"].tolist() == pytest.approx([2.5, (0.5 * 5 + 6) / 1.5])
    assert table["known_share"].tolist() == pytest.approx([1, 1])


def test_known_share_is_of_all_the_ground() -> None:
    """Of four rows one is missing; of the next polygon a third lies beyond the raster; the last has nothing."""
    table = over_polygons(features(), frame(box(0, 2, 5, 6), box(38, 10, 41, 12), box(50, 50, 60, 60)))
    assert table["known_share"].tolist() == pytest.approx([3 / 4, 2 / 3, 0])
    assert table["row"].tolist()[:2] == pytest.approx([(2 + 4 + 5) / 3, 10.5])
    assert np.isnan(table["row"][2])


def test_windows_and_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(-2, 38, (60, 2))
    shapes = frame(*(box(column, row, column + 3.3, row + 2.7) for column, row in corners))
    whole = over_polygons(features(), shapes)
    monkeypatch.setattr(raster_grid, "_WINDOW_PX", 7)
    lazy = features().chunk(y=8, x=9)
    pd.testing.assert_frame_equal(over_polygons(lazy, shapes), whole)
    there = frame(*shapes.geometry.centroid)
    pd.testing.assert_frame_equal(at_points(lazy, there), at_points(features(), there))


def test_the_file_says_where_its_numbers_come_from(tmp_path: Path) -> None:
    table = over_polygons(features(), frame(box(2, 10, 4, 12)))
    scene = SourceScene("S2A_48SXJ_20210604", "2021-06-04", "03.00")
    path = tmp_path / "orchards.parquet"
    write_table(path, table, features(), Provenance((scene,), {"levels": 64}))
    assert [file.name for file in tmp_path.iterdir()] == ["orchards.parquet"]
    pd.testing.assert_frame_equal(geopandas.read_parquet(path), table)
    record = read_record(path)
    assert record["columns"]["row"] == {"long_name": "number of the row", "units": "1"}
    assert set(record["columns"]) == {"row", "column", "known_share"}
    assert record["scenes"] == [{"id": "S2A_48SXJ_20210604", "date": "2021-06-04", "version": "03.00"}]
    assert record["settings"] == {"levels": 64}
    assert record["raster"] == {"crs": UTM, "cell": [10, 10]}
    assert record["versions"]["pomona-orchard"]


def test_wrong_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(EarthInputError, match=r"none of the 1 points .* lies on the raster .*EPSG:32648"):
        at_points(features(), points((500, 5)))
    with pytest.raises(EarthInputError, match="none of the 1 polygons"):
        over_polygons(features(), frame(box(50, 50, 60, 60)))
    with pytest.raises(EarthInputError, match="holds Point; give MultiPolygon or Polygon"):
        over_polygons(features(), points((1, 1)))
    with pytest.raises(EarthInputError, match="places have no reference system"):
        at_points(features(), points((1, 1)).set_crs(None, allow_override=True))
    with pytest.raises(EarthInputError, match="raster has no reference system"):
        at_points(features().drop_vars("spatial_ref"), points((1, 1)))
    with pytest.raises(EarthInputError, match="coordinates x are no even steps"):
        at_points(features().assign_coords(x=np.arange(COLUMNS) ** 2), points((1, 1)))
    with pytest.raises(EarthInputError, match="cannot be written"):
        write_table(tmp_path / "none" / "t.parquet", at_points(features(), points((1, 1))), features())
    plain = tmp_path / "plain.parquet"
    points((1, 1)).to_parquet(plain)
    with pytest.raises(EarthInputError, match="does not say where its numbers come from"):
        read_record(plain)
    (tmp_path / "text").write_text("no")
    with pytest.raises(EarthInputError, match="cannot be read as Parquet"):
        read_record(tmp_path / "text")
