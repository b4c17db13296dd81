"""Coarse bands on the fine grid: GDAL's cubic convolution where there is data all round."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from models.earth.bicubic import enlarge


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_it_is_gdals_cubic(factor: int) -> None:
    rng = np.random.default_rng(factor)
    source = rng.integers(200, 5000, (40, 50), dtype=np.uint16)
    shape = (20 * factor, 22 * factor)
    expected = np.zeros(shape, np.uint16)
    place = Affine(60, 0, 0, 0, -60, 0)
    reproject(
        source,
        expected,
        src_transform=place,
        dst_transform=place @ Affine.translation(7, 9) @ Affine.scale(1 / factor),
        src_crs="EPSG:32632",
        dst_crs="EPSG:32632",
        resampling=Resampling.cubic,
    )
    found = enlarge(source, factor, 9 * factor, 7 * factor, shape)
    assert np.abs(found.astype(int) - expected).max() <= 1  # one digital number is 0.0001 of reflectance


def test_a_window_may_start_inside_a_coarse_pixel() -> None:
    source = np.random.default_rng(0).integers(1, 9999, (10, 10), dtype=np.uint16)
    whole = enlarge(source, 2, 0, 0, (20, 20))
    np.testing.assert_array_equal(enlarge(source, 2, 7, 5, (6, 9)), whole[7:13, 5:14])


def test_beside_pixels_without_data_the_nearest_one_is_taken() -> None:
    source = np.full((6, 6), 1000, np.uint16)
    source[:, :3] = 0
    fine = enlarge(source, 2, 0, 0, (12, 12))
    assert (fine[:, :6] == 0).all()
    assert (fine[:, 6:] == 1000).all()
