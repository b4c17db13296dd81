"""The median kernel: numpy's nanmedian, whatever the number of dates, gaps and pixels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.earth.median import _network, masked_median


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 300), st.floats(0, 1), st.integers(0, 2**31))
def test_it_is_numpys_nanmedian_to_the_last_bit(dates: int, rows: int, columns: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.2, 0.1, (dates, rows, columns)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    clear = rng.random(values.shape) < share
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN is an answer here
        expected = np.nanmedian(np.where(clear, values, np.nan), axis=0)
    np.testing.assert_array_max_ulp(masked_median(values, clear), expected.astype(np.float32), maxulp=1)


@pytest.mark.parametrize("size", [*range(1, 34), 64, 100])
def test_the_network_sorts_every_input(size: int) -> None:
    # a network that sorts all sequences of 0 and 1 sorts everything (Knuth 5.3.4, theorem Z); steps are the hard ones
    rng = np.random.default_rng(size)
    columns = [rng.integers(0, 2, (size, 500)), rng.permuted(np.tile(np.arange(size)[:, None], 500), axis=0)]
    for values in columns:
        for low, high in _network(size):
            values[[low, high]] = np.minimum(values[low], values[high]), np.maximum(values[low], values[high])
        assert (np.diff(values, axis=0) >= 0).all()


def test_a_pixel_that_was_never_clear_has_no_median() -> None:
    median = masked_median(np.ones((3, 1, 2), np.float32), np.array([[[True, False]]] * 3))
    assert median[0, 0] == 1
    assert np.isnan(median[0, 1])


def test_no_dates_at_all_give_nothing() -> None:
    assert np.isnan(masked_median(np.empty((0, 2, 2), np.float32), np.empty((0, 2, 2), np.bool_))).all()


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values are of shape \(2, 1, 1\) and the mask of \(1, 1, 1\)"):
        masked_median(np.ones((2, 1, 1), np.float32), np.ones((1, 1, 1), np.bool_))
