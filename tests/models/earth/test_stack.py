"""Scenes on one grid: real pixels, offsets, masks, neighbours, and what can be wrong with a scene."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from models.earth.areas import degree_grid, metric_grid
from models.earth.cache import BlockCache
from models.earth.catalogue import Search, find_items
from models.earth.errors import EarthInputError, SceneError
from models.earth.scenes import Scene, newest_of_each, sentinel2_scene
from models.earth.stack import Stacking, by_day, fetch, stack_scenes
from tests.models.earth.catalogues import bavarian_field, write_tiff
from tests.models.earth.drawn import BANDS, DAYS, draw_scene, orchard, reflectance_of

DAY, NEXT = date(2023, 7, 5), date(2023, 7, 10)
GRID = metric_grid(orchard())


def stacking(grid: GeoBox = GRID, cache: Path | None = None) -> Stacking:
    return Stacking(grid, tuple(BANDS), chunk_px=16, cache=None if cache is None else BlockCache(cache))


def scene(item: pystac.Item) -> Scene:
    return sentinel2_scene(item, (*BANDS, "SCL"))


def test_reflectance_comes_out_as_it_was_drawn_in_lazy_blocks(tmp_path: Path) -> None:
    stacked = stack_scenes([scene(draw_scene(tmp_path, day)) for day in (NEXT, DAY)], stacking())
    assert stacked["B02"].data.chunksize == (1, 16, 16)
    assert stacked.indexes["time"].date.tolist() == [DAY, NEXT]
    for band in BANDS:
        assert stacked[band].dtype == np.float32
        for number, day in enumerate((DAY, NEXT)):
            np.testing.assert_allclose(stacked[band][number], reflectance_of(band, day), atol=1e-4)
    assert stacked["clear"].all()


def test_old_and_new_baselines_agree(tmp_path: Path) -> None:
    old = stack_scenes([scene(draw_scene(tmp_path / "old", DAY, baseline="03.01"))], stacking())
    new = stack_scenes([scene(draw_scene(tmp_path / "new", DAY, baseline="05.09"))], stacking())
    np.testing.assert_allclose(old["B08"], new["B08"], atol=1e-6)


def test_a_grid_in_degrees_shows_the_same(tmp_path: Path) -> None:
    stacked = stack_scenes([scene(draw_scene(tmp_path, DAY, cloudy=True))], stacking(degree_grid(orchard()))).compute()
    clear = stacked["clear"].values[0]
    assert 0.4 < clear.mean() < 0.6
    # two pixels from the clouds' edge, where cubic convolution mixes both
    inside = clear & np.roll(clear, 4, axis=1) & np.roll(clear, -4, axis=1)
    np.testing.assert_allclose(stacked["B11"].values[0][inside], reflectance_of("B11", DAY), atol=1e-4)


def test_scenes_of_one_day_become_one_and_the_clear_one_is_taken(tmp_path: Path) -> None:
    cloudy, clear = draw_scene(tmp_path / "a", DAY, cloudy=True), draw_scene(tmp_path / "b", DAY)
    cloudy.id, clear.id = "first", "second"
    stacked = stack_scenes([scene(clear), scene(cloudy)], stacking()).compute()
    assert stacked.sizes["time"] == 1
    assert stacked["clear"].all()
    np.testing.assert_allclose(stacked["B08"][0], reflectance_of("B08", DAY), atol=1e-4)


def test_a_bavarian_field_is_read_pixel_for_pixel(tmp_path: Path, data: Path) -> None:
    catalogue = bavarian_field(data, tmp_path)
    year = Search("sentinel-2-l2a", (-180, -90, 180, 90), date(2018, 1, 1), date(2018, 12, 31))
    items = find_items(str(catalogue), year)
    assert len(items) == 14
    with rasterio.open(items[0].assets["B08"].href) as file:
        grid, published = GeoBox((file.height, file.width), file.transform, file.crs), file.read(1)
    scenes = [sentinel2_scene(item, ["B08", "B11", "SCL"]) for item in newest_of_each(items)]
    stacked = stack_scenes(scenes, Stacking(grid, ("B08", "B11"), chunk_px=32)).compute()
    np.testing.assert_array_equal(np.isnan(stacked["B08"][0]), published == 0)
    np.testing.assert_allclose(np.nan_to_num(stacked["B08"][0]), published / 10_000, atol=1e-7)
    # wheat: green in May, ripe at the end of July
    ndvi = stacked["B08"].where(stacked["clear"]).mean(("y", "x"))
    assert ndvi.sel(time="2018-05-07", method="nearest") > ndvi.sel(time="2018-07-26", method="nearest")


Harm = Callable[[pystac.Item], None]


def break_asset(item: pystac.Item) -> None:
    del item.assets["B11"]


def cut_file(item: pystac.Item) -> None:
    path = Path(item.assets["B08"].href)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_file(item: pystac.Item) -> None:
    Path(item.assets["B08"].href).unlink()


def claim_another_zone(item: pystac.Item) -> None:
    item.properties["proj:code"] = "EPSG:32633"


def lose_place(item: pystac.Item) -> None:
    with rasterio.open(item.assets["B08"].href, "r+") as file:
        file.crs = rasterio.crs.CRS()


def lose_baseline(item: pystac.Item) -> None:
    del item.properties["s2:processing_baseline"]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (break_asset, r"S2B_MSIL2A_20230705 has no B11; its assets are .*SCL"),
        (lose_baseline, r"S2B_MSIL2A_20230705 does not say its processing baseline"),
    ],
)
def test_what_an_item_lacks_is_named(tmp_path: Path, harm: Harm, said: str) -> None:
    item = draw_scene(tmp_path, DAY)
    harm(item)
    with pytest.raises(SceneError, match=said):
        scene(item)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut_file, r"S2B_MSIL2A_20230705: B08 at .*B08\.tif cannot be read \(.+\); fetch the file again"),
        (lose_file, r"S2B_MSIL2A_20230705: B08 at .*B08\.tif cannot be read \(.*No such file.*\)"),
        (claim_another_zone, r"S2B_MSIL2A_20230705: its catalogue says EPSG:32633 and .* is in EPSG:32632"),
        (lose_place, r"S2B_MSIL2A_20230705: B08 at .* has no place on Earth"),
    ],
)
def test_what_is_wrong_with_a_scene_is_named_and_the_rest_is_read(tmp_path: Path, harm: Harm, said: str) -> None:
    good, bad = draw_scene(tmp_path / "files", NEXT), draw_scene(tmp_path / "files", DAY)
    # noise does not compress, so that half of a file is half of its pixels
    with rasterio.open(bad.assets["B08"].href, "r+") as file:
        file.write(np.random.default_rng(0).integers(1001, 9999, file.shape, dtype=np.uint16), 1)
    harm(bad)
    scenes = [scene(bad), scene(good)]
    read, wrong = fetch(scenes, stacking(cache=tmp_path / "cache"))
    assert [found.id for found in read] == [good.id]
    with pytest.raises(SceneError, match=said):
        raise wrong[0]
    assert len(wrong) == 1
    with pytest.raises(SceneError, match=said):
        stack_scenes(scenes, stacking()).compute()


def test_a_scene_whose_offset_is_out_already_is_left_out(tmp_path: Path) -> None:
    lying = draw_scene(tmp_path, date(2023, 1, DAYS[0]), baseline="03.01")  # dark enough in winter
    lying.properties["s2:processing_baseline"] = "05.09"
    for band in ("B04",):
        with rasterio.open(lying.assets[band].href, "r+") as file:
            file.write(np.full(file.shape, 400, np.uint16), 1)
    _, wrong = fetch([scene(lying)], stacking(cache=tmp_path / "cache"))
    assert "boa_offset_applied" in str(wrong[0])


def test_a_scene_without_a_clear_pixel_is_named_and_its_date_kept(tmp_path: Path) -> None:
    clear, cloudy, elsewhere = (draw_scene(tmp_path, date(2023, 7, day)) for day in (5, 10, 15))
    for item, layer, value in ((cloudy, "SCL", 9), (elsewhere, "SCL", 0), *((elsewhere, band, 0) for band in BANDS)):
        with rasterio.open(item.assets[layer].href, "r+") as file:
            file.write(np.full(file.shape, value, file.dtypes[0]), 1)
    read, wrong = fetch([scene(item) for item in (clear, cloudy, elsewhere)], stacking(cache=tmp_path / "cache"))
    assert [found.id for found in read] == [clear.id, cloudy.id]
    assert [str(error).split(";")[0] for error in wrong] == [
        f"scene {cloudy.id} has no clear pixel here",
        f"scene {elsewhere.id} has no data here",
    ]


def test_scenes_of_two_zones_come_onto_one_grid(tmp_path: Path) -> None:
    here, there = draw_scene(tmp_path / "32", DAY), draw_scene(tmp_path / "33", NEXT)
    for asset in there.assets.values():
        with rasterio.open(asset.href) as file:
            values, old = file.read(1), file.transform
        corner = metric_grid(orchard()).footprint("EPSG:32633").boundingbox
        wide = np.full((values.shape[0] * 2, values.shape[1] * 2), values[0, 0])
        place = Affine(old.a, 0, corner.left - 1000, 0, old.e, corner.top + 1000)
        write_tiff(Path(asset.href), wide, place, "EPSG:32633")
    there.properties["proj:code"] = "EPSG:32633"
    stacked = stack_scenes([scene(here), scene(there)], stacking()).compute()
    assert stacked["clear"].all()
    for band in BANDS:
        np.testing.assert_allclose(stacked[band][1], reflectance_of(band, NEXT), atol=1e-4)


def test_no_scene_at_all_is_said() -> None:
    with pytest.raises(EarthInputError, match="there is no scene to read"):
        stack_scenes([], stacking())


def test_days_are_by_the_sun(tmp_path: Path) -> None:
    item = draw_scene(tmp_path, DAY)
    item.bbox = [179.0, -40.0, 179.9, -39.0]  # New Zealand's morning is Greenwich's evening before
    item.datetime = item.datetime.replace(hour=22) if item.datetime else None
    assert scene(item).day == date(2023, 7, 6)
    assert [len(day) for day in by_day([scene(item), scene(item)])] == [2]
