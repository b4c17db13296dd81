"""Monthly composites: medians of what is clear, and gaps between them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from models.crops.composing import filled, medians, monthly, without_steps
from models.crops.series import PixelSeries

NAN = np.float32(np.nan)


def test_a_month_is_the_median_of_its_clear_steps_band_by_band() -> None:
    values = np.array([[[1, 10], [NAN, 20], [3, 90], [NAN, 5], [NAN, NAN], [7, NAN]]], np.float32)
    made = medians(values, np.array([0, 0, 0, 1, 1, 1]))
    assert made.tolist() == [[[2, 20], [7, 5]]]


def test_medians_are_numpys(rng_values: np.ndarray) -> None:
    period = np.repeat([0, 1, 2], [1, 4, 5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.stack([np.nanmedian(rng_values[:, period == number], axis=1) for number in range(3)], 1)
    assert medians(rng_values, period) == pytest.approx(expected, nan_ok=True)


@pytest.fixture
def rng_values() -> np.ndarray:
    random = np.random.default_rng(0)
    values = random.random((50, 10, 3)).astype(np.float32)
    values[random.random((50, 10)) < 0.4] = np.nan
    return values


def test_gaps_are_linear_inside_and_nearest_at_the_ends() -> None:
    series = np.array([NAN, 2, NAN, NAN, 8, NAN], np.float32).reshape(1, 6, 1)
    assert filled(series).ravel().tolist() == [2, 2, 4, 6, 8, 8]
    assert np.isnan(filled(np.full((1, 4, 1), NAN))).all()


def test_monthly_composites_have_no_gaps(pixels: PixelSeries) -> None:
    cloudy = without_steps(pixels, 0.5, seed=0)
    assert np.isnan(cloudy.values).mean() == pytest.approx(0.5, abs=0.05)
    assert not np.isnan(cloudy.values).all(1).any()
    made = monthly(cloudy, np.array([0, 0, 1, 1, 2, 2]), ("04", "05", "06"))
    assert made.values.shape == (240, 3, 2)
    assert np.isfinite(made.values).all()
