"""Scenes as files, and labels brought to their grid."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from models.maps.errors import MapError
from models.maps.rasters import Grid
from models.yields.pixels.cleaning import CleaningSettings
from models.yields.pixels.gathering import gather
from models.yields.pixels.labels import crops_on, read_table, yields_on
from models.yields.pixels.layers import open_scene
from models.yields.pixels.scenes import NO_FIELD, UNLABELLED
from tests.models.yields.pixels.drawn import CROPS, scene
from tests.models.yields.pixels.drawn_scene import BANDS, EPSG, NORTH, WEST, centre, pixels, write_scene

GRID = Grid(f"EPSG:{EPSG}", (10, 0, WEST, 0, -10, NORTH), 20, 16)


def _table(shapes: list[object], **columns: object) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=EPSG).to_crs(4326)


def test_points_lie_in_their_pixels_and_two_in_one_stay_two() -> None:
    points = yields_on(
        GRID, _table([centre(3, 7), centre(3.2, 7.3), centre(15, 19)], **{"yield": [5.0, 6.0, 7.0]}), ["a"]
    )
    assert points.row.tolist() == [3, 3, 15]
    assert points.column.tolist() == [7, 7, 19]
    assert points.yields.tolist() == [5, 6, 7]
    assert (points.error == 0).all()


def test_points_beyond_the_scene_and_without_a_yield_are_left_out() -> None:
    shapes = [centre(-1, 3), centre(2, 20), centre(2, 2), centre(4, 4)]
    points = yields_on(GRID, _table(shapes, **{"yield": [1.0, 2.0, np.nan, 4.0]}), ["a"])
    assert points.yields.tolist() == [4]


def test_a_block_is_its_pixels_which_together_are_as_certain_as_it() -> None:
    block = pixels(2, 3, 4, 6)
    points = yields_on(GRID, _table([block], **{"yield": [5.0], "error": [0.5], "field": ["orchard"]}), ["a"])
    assert sorted(zip(points.row.tolist(), points.column.tolist(), strict=True)) == [
        (row, column) for row in (2, 3) for column in (3, 4, 5)
    ]
    assert 1 / (1 / points.error**2).sum() == pytest.approx(0.5**2)
    assert len(set(points.field.tolist())) == 1


def test_a_block_smaller_than_a_pixel_is_one_point() -> None:
    points = yields_on(GRID, _table([pixels(2.6, 3.6, 2.9, 3.9)], **{"yield": [5.0], "error": [0.5]}), ["a"])
    assert (points.row.tolist(), points.column.tolist()) == ([2], [3])
    assert points.error.tolist() == [0.5]


def test_fields_come_from_the_crops_where_points_have_none() -> None:
    crops, fields = crops_on(GRID, _table([pixels(0, 0, 8, 8), pixels(8, 8, 16, 16)], crop=["b", "a"]), ["a", "b"])
    assert crops[0, 0] == 1
    assert crops[15, 15] == 0
    assert crops[0, 15] == UNLABELLED
    assert fields[0, 15] == NO_FIELD
    points = yields_on(
        GRID, _table([centre(9, 9), centre(0, 15)], **{"yield": [1.0, 2.0], "crop": ["a", "b"]}), ["a", "b"], fields
    )
    assert points.field.tolist() == [1, NO_FIELD]
    assert points.crop.tolist() == [0, 1]


def test_names_of_fields_are_the_same_in_every_table() -> None:
    first = yields_on(GRID, _table([centre(1, 1)], **{"yield": [1.0], "field": ["north"]}), ["a"])
    _, fields = crops_on(GRID, _table([pixels(0, 0, 2, 2)], crop=["a"], field=["north"]), ["a"])
    assert first.field[0] == fields[1, 1]


def test_what_is_missing_is_told() -> None:
    with pytest.raises(MapError, match="need a column 'yield'"):
        yields_on(GRID, _table([centre(1, 1)], crop=["a"]), ["a"])
    with pytest.raises(MapError, match="column 'crop'"):
        yields_on(GRID, _table([centre(1, 1)], **{"yield": [1.0]}), ["a", "b"])
    with pytest.raises(MapError, match="hold the crops rye"):
        yields_on(GRID, _table([centre(1, 1)], **{"yield": [1.0], "crop": ["rye"]}), ["a", "b"])


def test_harvester_points_are_cleaned() -> None:
    shapes = [centre(row, column) for row in range(16) for column in range(20)]
    random = np.random.default_rng(0)
    table = _table(shapes, **{"yield": 6 + random.normal(0, 0.3, 320), "speed_kmh": [5.0] * 319 + [0.3]})
    points = yields_on(GRID, table, ["a"], cleaning=CleaningSettings(start_points=1))
    assert 150 < len(points) < 320
    assert (15, 19) not in set(zip(points.row.tolist(), points.column.tolist(), strict=True))


def test_a_table_is_read_with_its_places(tmp_path: Path) -> None:
    pd.DataFrame({"lon": [11.0], "lat": [48.0], "yield": [3.0]}).to_csv(tmp_path / "y.csv", index=False)
    assert read_table(tmp_path / "y.csv").crs.to_epsg() == 4326
    pd.DataFrame({"yield": [3.0]}).to_parquet(tmp_path / "y.parquet")
    with pytest.raises(MapError, match="neither a geometry nor columns lon and lat"):
        read_table(tmp_path / "y.parquet")
    with pytest.raises(MapError, match="there are no labels"):
        read_table(tmp_path / "none.gpkg")


def test_a_scene_is_read_as_it_was_drawn(tmp_path: Path) -> None:
    drawn = write_scene(tmp_path / "farm")
    files = open_scene(tmp_path / "farm")
    assert files.names == BANDS
    assert files.days == (91, 200)
    read = files.read(0, 0, 48)
    assert not read.clear[1, :6, :6].any()
    assert read.clear.sum() == 2 * 48**2 - 36
    np.testing.assert_allclose(read.images[0], drawn.images[0], atol=6e-5)
    part = files.read(40, 30, 16)
    np.testing.assert_array_equal(part.images[0, :, :8, :16], read.images[0, :, 40:, 30:46])
    assert not part.clear[:, 8:].any()


def test_bands_of_20_m_are_brought_to_10_m_by_cubic_convolution(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    path = tmp_path / "2023-07-19.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=1, dtype="float32", crs=f"EPSG:{EPSG}",
        transform=from_origin(WEST, NORTH, 20, 20),
    ) as file:  # fmt: skip
        file.write(values)
        file.set_band_description(1, "B05")
    files = open_scene(tmp_path)
    assert files.shape == (16, 16)
    with rasterio.open(path) as file:
        expected = file.read(1, out_shape=(16, 16), resampling=Resampling.cubic)
    np.testing.assert_allclose(files.read(0, 0, 16).images[0, 0, 4:12, 4:12], expected[4:12, 4:12], atol=1e-3)


def test_files_that_are_no_scene_are_told(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="named by its date"):
        open_scene(tmp_path)
    write_scene(tmp_path / "farm")
    with rasterio.open(tmp_path / "farm" / "2023-04-01.tif", "r+") as file:
        file.scales = [1.0] * 4
    with pytest.raises(MapError, match="no reflectance from 0 to 1"):
        open_scene(tmp_path / "farm").read(0, 0, 48)
    with rasterio.open(tmp_path / "farm" / "2023-04-01.tif", "r+") as file:
        file.set_band_description(2, "B99")
    with pytest.raises(MapError, match="has the bands B02, B03, B04, B08"):
        open_scene(tmp_path / "farm")


def test_only_tiles_with_labels_are_gathered(tmp_path: Path) -> None:
    drawn = write_scene(tmp_path / "a")
    write_scene(tmp_path / "b", scene(dates=2, seed=1, side=36))
    found = gather(tmp_path, CROPS, side=24, overlap=0.0)
    assert len(found.labelled) == 4 + 4
    assert found.days == (91, 200)
    assert sum(len(tile.points) for tile in found.labelled[:4]) == len(drawn.points)
    first = found.labelled[0]
    np.testing.assert_array_equal(first.crops, drawn.crops[:24, :24])
    assert not set(np.unique(found.labelled[0].fields)) & set(np.unique(found.labelled[-1].fields)) - {NO_FIELD}
    (tmp_path / "b" / "crops.gpkg").unlink()
    (tmp_path / "b" / "yields.gpkg").unlink()
    with pytest.raises(MapError, match="neither yields nor crops"):
        gather(tmp_path, CROPS)
