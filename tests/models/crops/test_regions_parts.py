"""Balancing, areas by block, and which sensors' bands are used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.crops.balancing import balanced
from models.crops.block_area import block_areas
from models.crops.sensors import fused, of_sensors
from models.crops.series import CropError, PixelSeries
from tests.models.crops.drawn_series import drawn


def _rare() -> PixelSeries:
    pixels = drawn(240, classes=2)
    rare = (pixels.label == 0) | (np.arange(240) % 12 == 1)
    return pixels.take(rare)


@pytest.mark.parametrize("how", ["oversample", "smote"])
def test_classes_of_each_region_become_alike_in_number(how: str) -> None:
    pixels = _rare()
    more = balanced(pixels, how, seed=0)
    for region in range(2):
        assert pixels.take(pixels.region == region).counts().tolist() == [60, 10]
        assert more.take(more.region == region).counts().tolist() == [60, 60]
    assert more.regions == pixels.regions
    assert set(more.block) == set(pixels.block)
    again = balanced(pixels, how, seed=0)
    assert np.array_equal(more.values, again.values)


def test_repeated_pixels_are_pixels_and_drawn_ones_lie_between_them() -> None:
    pixels = _rare()
    known = {values.tobytes() for values in pixels.values}
    assert all(values.tobytes() in known for values in balanced(pixels, "oversample", 0).values)
    drawn_ones = [v for v in balanced(pixels, "smote", 0).values if v.tobytes() not in known]
    assert len(drawn_ones) == 100
    rare = pixels.values[pixels.label == 1]
    assert (np.array(drawn_ones) >= rare.min(0) - 1e-6).all()
    assert (np.array(drawn_ones) <= rare.max(0) + 1e-6).all()


def test_no_balancing_leaves_all_and_an_unknown_one_is_refused() -> None:
    pixels = _rare()
    assert balanced(pixels, "none", 0) is pixels
    with pytest.raises(CropError, match="no balancing 'more'; take none, oversample, smote"):
        balanced(pixels, "more", 0)


def test_a_class_of_one_pixel_is_repeated_where_nothing_lies_between() -> None:
    pixels = drawn(40, classes=2)
    one = pixels.take((pixels.label == 0) | (np.arange(40) == 1)).take(np.arange(5))
    assert balanced(one, "smote", 0).counts().tolist() == [one.counts()[0]] * 2


def test_areas_of_a_class_by_block_by_hand() -> None:
    reference = np.array([0, 0, 1, 1, 0, 1])
    mapped = np.array([0, 1, 1, 0, 0, 0])
    block = np.array([7, 7, 7, 9, 9, 9])
    area = np.array([1, 1, 1, 1, 1, 2.0])
    areas = block_areas(reference, mapped, block, 0, area)
    assert (areas.block.tolist(), areas.mapped.tolist()) == ([7, 9], [1, 4])
    assert (areas.reference.tolist(), areas.total.tolist()) == ([2, 1], [3, 4])
    assert areas.relative_error() == pytest.approx(5 / 3 - 1)
    assert areas.share_rmse() == pytest.approx(np.sqrt((1 / 9 + 9 / 16) / 2))
    same = block_areas(reference, reference, block, 0, area)
    assert (same.relative_error(), same.share_rmse(), same.r2()) == (0, 0, 1)
    assert areas.r2() < 0


def test_bands_of_one_sensor_or_both() -> None:
    optical = drawn()
    radar = replace(optical, bands=("VV", "VH"), values=-optical.values)
    both = fused(optical, radar)
    assert both.bands == ("B08", "B04", "VV", "VH")
    assert np.array_equal(of_sensors(both, "radar").values, radar.values)
    assert np.array_equal(of_sensors(both, "optical").values, optical.values)
    assert of_sensors(both, "both").bands == both.bands


def test_sensors_that_are_not_there_or_do_not_fit_are_refused() -> None:
    optical = drawn()
    with pytest.raises(CropError, match="no radar band; they have B08, B04"):
        of_sensors(optical, "radar")
    with pytest.raises(CropError, match="no kind of sensor 'lidar'"):
        of_sensors(optical, "lidar")
    with pytest.raises(CropError, match="both sets have the band B04"):
        fused(optical, replace(optical, bands=("VV", "B04")))
    with pytest.raises(CropError, match="not of the same pixels"):
        fused(optical, drawn(120))
