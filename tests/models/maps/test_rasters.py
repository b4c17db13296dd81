"""Rasters of features, their windows and the values at points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform
from rasterio.windows import Window

from models.maps.errors import MapError
from models.maps.rasters import open_features

_TRANSFORM = Affine(10, 0, 400_000, 0, -10, 3_800_000)


def _write(path: Path, values: np.ndarray[Any, Any], names: tuple[str | None, ...], **more: Any) -> Path:
    profile = {"crs": "EPSG:32648", "transform": _TRANSFORM, "dtype": values.dtype, "count": len(values)} | more
    scale = profile.pop("scale", None)
    with rasterio.open(path, "w", driver="GTiff", height=values.shape[1], width=values.shape[2], **profile) as raster:
        raster.write(values)
        raster.descriptions = names
        if scale:
            raster.scales = (scale,) * len(values)
    return path


def test_bands_of_several_files_are_read_by_name(tmp_path: Path) -> None:
    bands = np.arange(2 * 30 * 40, dtype=np.float32).reshape(2, 30, 40)
    slope = np.full((1, 30, 40), 7, np.int16)
    slope[0, 3, 4] = -1
    rasters = open_features(
        [_write(tmp_path / "a.tif", bands, ("B02", "B08")), _write(tmp_path / "b.tif", slope, ("slope",), nodata=-1)]
    )
    assert rasters.names == ("B02", "B08", "slope")
    read = rasters.select(["slope", "B02"]).read(Window(2, 1, 5, 4))
    np.testing.assert_array_equal(read[1], bands[0, 1:5, 2:7])
    assert np.isnan(read[0, 2, 2])
    assert np.nansum(read[0]) == 7 * 19


def test_scaled_integers_come_out_as_what_they_mean(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", np.full((1, 8, 8), 2500, np.uint16), ("B08",), scale=0.0001)
    assert open_features([path]).read(Window(0, 0, 8, 8)) == pytest.approx(0.25)


def test_points_take_the_pixel_they_lie_in(tmp_path: Path) -> None:
    """Also across the windows that are read together, and nothing beyond the raster."""
    values = np.arange(600 * 500, dtype=np.float32).reshape(1, 600, 500)
    rasters = open_features([_write(tmp_path / "a.tif", values, ("B08",))])
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 600, 50), rng.integers(0, 500, 50)
    x = 400_000 + 10 * (columns + rng.uniform(0.01, 0.99, 50))
    y = 3_800_000 - 10 * (rows + rng.uniform(0.01, 0.99, 50))
    lon, lat = transform("EPSG:32648", "EPSG:4326", x, y)
    found = rasters.at_points(np.array([*lon, lon[0] + 5]), np.array([*lat, lat[0]]))
    np.testing.assert_array_equal(found[:50, 0], values[0, rows, columns])
    assert np.isnan(found[50, 0])


def test_rasters_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    values = np.zeros((1, 8, 8), np.float32)
    good = _write(tmp_path / "a.tif", values, ("B08",))
    moved = _write(tmp_path / "b.tif", values, ("B04",), transform=Affine(10, 0, 400_010, 0, -10, 3_800_000))
    nameless = _write(tmp_path / "c.tif", values, (None,))
    (tmp_path / "d.tif").write_text("no raster")
    for paths, said in (
        ([good, moved], "b.tif does not lie on the grid of"),
        ([nameless], "band 1 of .*c.tif has no description"),
        ([good, good], "'B08' is there twice"),
        ([tmp_path / "d.tif"], "d.tif cannot be read as a raster"),
    ):
        with pytest.raises(MapError, match=said):
            open_features(paths)
