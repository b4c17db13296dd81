"""Scales map there and back, crop by crop, from the training alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.maps.errors import MapError
from models.yields.pixels.scales import BandScale, YieldScale, point_weights
from models.yields.pixels.scenes import Points
from models.yields.pixels.vegetation import with_indices
from tests.models.yields.pixels.drawn import scene


def _points(yields: list[float], crop: list[int]) -> Points:
    none = np.zeros(len(yields), np.int64)
    return Points(none, none, np.array(yields), np.zeros(len(yields)), np.array(crop), none)


def test_each_crop_is_mapped_to_0_to_1_and_back() -> None:
    points = _points([2.0, 4.0, 6.0, 10.0, 20.0], [0, 0, 0, 1, 1])
    scale = YieldScale.fit(points, 2)
    normalised = scale.normalised(points.yields, points.crop)
    assert normalised.tolist() == [0, 0.5, 1, 0, 1]
    np.testing.assert_allclose(scale.restored(normalised, points.crop), points.yields)
    assert scale.widths(np.array([0, 1])).tolist() == [4, 10]


def test_a_crop_with_one_yield_takes_the_range_of_all() -> None:
    scale = YieldScale.fit(_points([2.0, 4.0, 9.0], [0, 0, 1]), 3)
    assert (scale.low, scale.high) == ((2, 2, 2), (4, 9, 9))
    with pytest.raises(MapError, match="two different yields"):
        YieldScale.fit(_points([2.0, 2.0], [0, 0]), 1)


def test_one_range_for_all_crops() -> None:
    assert YieldScale.fit(_points([2.0, 4.0, 9.0], [0, 0, 1]), 2, per_crop=False).high == (9, 9)


def test_no_yield_is_below_zero() -> None:
    assert YieldScale((1.0,), (3.0,)).restored(np.array([-2.0]), np.array([0])).tolist() == [0]


@pytest.mark.parametrize("per_date", [True, False])
def test_clear_pixels_have_mean_0_and_deviation_1_and_clouds_do_not_count(per_date: bool) -> None:
    seen = scene()
    seen.clear[1, :20] = False
    cloudy = replace(seen, images=np.where(seen.clear[:, None], seen.images, np.float32(0.9)))
    scale = BandScale.fit([cloudy], per_date=per_date)
    shape = (3, 4) if per_date else (4,)
    assert scale.mean.shape == shape
    standard = (seen.images - scale.mean[..., None, None]) / scale.deviation[..., None, None]
    if per_date:
        assert standard[1][:, seen.clear[1]].mean(1) == pytest.approx(np.zeros(4), abs=1e-4)
    assert standard.swapaxes(0, 1)[:, seen.clear].std(1) == pytest.approx(np.ones(4), abs=0.01)


def test_stacked_dates_have_to_be_the_same() -> None:
    with pytest.raises(MapError, match=r"2, 3 dates cannot be stacked.*attention"):
        BandScale.fit([scene(dates=2), scene(dates=3)], per_date=True)


def test_weights_fall_with_the_error_of_a_point() -> None:
    assert point_weights(np.array([0.0, 1.5, 3.0]), 1.5).tolist() == [1, 0.5, 0.2]


def test_indices_come_behind_the_bands() -> None:
    bands = ("B03", "B04", "B05", "B08", "B8A", "B11")
    images = np.zeros((2, 6, 1, 2), np.float32)
    images[0, :, 0, 0] = (0.1, 0.1, 0.2, 0.3, 0.4, 0.2)
    found = with_indices(images, bands)
    assert found.shape == (2, 10, 1, 2)
    assert found[0, 6:, 0, 0] == pytest.approx([0.5, 0.2, 1 / 3, 0.5])
    assert (found[1] == 0).all()
    with pytest.raises(MapError, match="need B11"):
        with_indices(images[:, :5], bands[:5])
