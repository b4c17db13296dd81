"""Filling gaps in a series: the line between the neighbours, nothing beyond them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from models.earth.errors import EarthInputError
from models.earth.gaps import between_neighbours, fill_gaps

NO = np.nan


@pytest.mark.parametrize(
    ("series", "filled"),
    [
        ([1, NO, 3], [1, 2, 3]),
        ([NO, 1, NO, NO, 4, NO], [NO, 1, 2, 3, 4, NO]),
        ([NO, NO], [NO, NO]),
        ([5, NO], [5, NO]),
        ([1, 7, 2], [1, 7, 2]),
    ],
)
def test_by_hand(series: list[float], filled: list[float]) -> None:
    values, places = np.array(series, dtype=np.float64), np.arange(len(series), dtype=np.float64)
    np.testing.assert_allclose(between_neighbours(values, places), np.array(filled, dtype=np.float64))


@given(st.lists(st.one_of(st.none(), st.floats(-30, 5)), min_size=1, max_size=30), st.integers(0, 2**32))
def test_numpys_interpolation_says_the_same(drawn: list[float | None], seed: int) -> None:
    values = np.array([NO if value is None else value for value in drawn])
    places = np.random.default_rng(seed).uniform(0.5, 3, len(values)).cumsum()
    known = ~np.isnan(values)
    expected = np.interp(places, places[known], values[known], NO, NO) if known.any() else values
    np.testing.assert_allclose(between_neighbours(values, places), expected, atol=1e-9)


def series() -> xr.DataArray:
    random = np.random.default_rng(0)
    values = random.normal(size=(9, 4, 5)).astype(np.float32)
    values[random.uniform(size=values.shape) < 0.4] = NO
    days = np.datetime64("2021-04-01", "ns") + np.arange(9) * np.timedelta64(12, "D")
    return xr.DataArray(values, dims=("time", "y", "x"), coords={"time": days}, attrs={"units": "dB"})


def test_lazily_as_in_memory_with_its_type_and_attributes() -> None:
    eager = fill_gaps(series(), "time")
    lazy = fill_gaps(series().chunk(time=2, y=3), "time")
    assert lazy.chunks
    assert eager.dtype == lazy.dtype == np.float32
    assert eager.attrs == {"units": "dB"}
    xr.testing.assert_identical(eager, lazy.compute())


def test_a_gap_that_is_too_long_stays_open() -> None:
    one = series()[:, 0, 0].copy(data=np.array([1, NO, 3, NO, NO, 6, 7, 8, 9], dtype=np.float32))
    np.testing.assert_allclose(fill_gaps(one, "time", longest=24), [1, 2, 3, NO, NO, 6, 7, 8, 9])
    np.testing.assert_allclose(fill_gaps(one, "time", longest=36), range(1, 10))


def test_a_series_out_of_order_is_refused() -> None:
    with pytest.raises(EarthInputError, match="time of the series does not rise"):
        fill_gaps(series()[::-1], "time")
