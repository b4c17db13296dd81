"""Scenes on disk without a catalogue."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from models.earth.catalogue import Search, find_items
from models.earth.errors import EarthInputError
from models.earth.scenes import sentinel2_scene
from models.earth.stack import Stacking, stack_scenes
from tests.models.earth.catalogues import UTM, write_tiff
from tests.models.earth.drawn import draw_scene, orchard

PRODUCT = "S2B_MSIL2A_20230405T102601_N0509_R108_T32UPU_20230405T134711.SAFE"
YEAR = Search("sentinel-2-l2a", orchard().bounds, date(2023, 1, 1), date(2023, 12, 31))


def write_safe(folder: Path, name: str = PRODUCT) -> Path:
    """A product as ESA lays it out, with the bands of 10 and 20 m also at coarser pixels."""
    images = folder / name / "GRANULE" / "L2A_T32UPU_A031728_20230405T102601" / "IMG_DATA"
    layers = {"B02": (10, 20, 60), "B08": (10,), "B11": (20, 60), "SCL": (20, 60), "TCI": (10,)}
    for layer, sizes in layers.items():
        for pixel_m in sizes:
            path = images / f"R{pixel_m}m" / f"T32UPU_20230405T102601_{layer}_{pixel_m}m.jp2"
            path.parent.mkdir(parents=True, exist_ok=True)
            side = 1200 // pixel_m
            drawn, kind = (4, np.uint8) if layer == "SCL" else (1000 + pixel_m, np.uint16)
            values = np.full((side, side), drawn, kind)
            profile = {"driver": "JP2OpenJPEG", "quality": 100, "reversible": True, "count": 1, "dtype": values.dtype}
            place = Affine(pixel_m, 0, 700_000, 0, -pixel_m, 5_370_000)
            with rasterio.open(path, "w", width=side, height=side, crs=UTM, transform=place, **profile) as file:
                file.write(values, 1)
    return folder


def test_a_safe_folder_is_a_scene(tmp_path: Path) -> None:
    (item,) = find_items(str(write_safe(tmp_path)), YEAR)
    assert item.datetime == datetime(2023, 4, 5, 10, 26, 1, tzinfo=timezone.utc)
    scene = sentinel2_scene(item, ["B02", "B11", "SCL"])
    assert scene.offset == -1000
    assert [Path(scene.hrefs[layer]).parent.name for layer in ("B02", "B11", "SCL")] == ["R10m", "R20m", "R20m"]


def test_its_pixels_are_read_on_the_finest_grid(tmp_path: Path) -> None:
    (item,) = find_items(str(write_safe(tmp_path)), YEAR)
    with rasterio.open(item.assets["B02"].href) as file:
        grid = GeoBox((file.height, file.width), file.transform, file.crs)
    stacked = stack_scenes([sentinel2_scene(item, ["B02", "B11", "SCL"])], Stacking(grid, ("B02", "B11"))).compute()
    np.testing.assert_allclose(stacked["B02"], 0.001, rtol=1e-5)
    np.testing.assert_allclose(stacked["B11"], 0.002, rtol=1e-5)
    assert stacked["clear"].all()


def test_a_folder_of_geotiffs_is_a_scene(tmp_path: Path) -> None:
    drawn = draw_scene(tmp_path / "drawn", date(2023, 4, 5))
    (tmp_path / "drawn" / "S2B_MSIL2A_20230405").rename(tmp_path / "drawn" / "20230405_N0510")
    (item,) = find_items(str(tmp_path / "drawn"), YEAR)
    scene = sentinel2_scene(item, ["B02", "SCL"])
    assert (scene.day, scene.offset) == (date(2023, 4, 5), -1000)
    assert drawn.bbox is not None
    assert item.bbox == pytest.approx(drawn.bbox)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "S1A_IW_GRDH_1SDV_20230405T052607_20230405T052632_047958_05C39A_1F2D.SAFE",
            "radar geometry; use terrain-corrected",
        ),
        ("S2B_MSIL1C_20230405T102601_N0509_R108_T32UPU_20230405T134711.SAFE", "is no Sentinel-2 L2A product"),
        (PRODUCT, "holds no image; unpack the product whole"),
    ],
)
def test_a_product_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(EarthInputError, match=said):
        find_items(str(tmp_path), YEAR)


def test_a_folder_without_scenes_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    write_tiff(tmp_path / "photos" / "B02.tif", np.ones((2, 2), np.uint16), Affine(10, 0, 0, 0, -10, 0), UTM)
    with pytest.raises(EarthInputError, match="holds neither a STAC catalogue"):
        find_items(str(tmp_path), YEAR)


def test_a_day_that_is_none_is_named(tmp_path: Path) -> None:
    write_tiff(tmp_path / "20231340" / "B02.tif", np.ones((2, 2), np.uint16), Affine(10, 0, 0, 0, -10, 0), UTM)
    with pytest.raises(EarthInputError, match="20231340 has no day in its name"):
        find_items(str(tmp_path), YEAR)
