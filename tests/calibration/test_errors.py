"""Wrong numbers are named with the remedy."""

from __future__ import annotations

import re
from math import inf, nan

import numpy as np
import pytest

from calibration.errors import (
    CalibrationError,
    require_not_negative,
    require_numbers,
    require_positive,
    require_share,
)


@pytest.mark.parametrize(
    ("check", "good", "bad", "bound"),
    [
        (require_positive, (1e-9, 5.0), (0.0, -1.0, nan, inf), "a number above 0"),
        (require_not_negative, (0.0, 5.0), (-1.0, nan, inf), "a number not below 0"),
        (require_share, (0.0, 0.5, 1.0), (-0.1, 1.1, nan), "a share between 0 and 1"),
    ],
)
def test_a_number_passes_or_is_named(
    check: object, good: tuple[float, ...], bad: tuple[float, ...], bound: str
) -> None:
    assert callable(check)
    for value in good:
        assert check(value, "the field", "mend it") == value
    for value in bad:
        with pytest.raises(CalibrationError, match=f"the field is {value:g}; it must be {bound}: mend it"):
            check(value, "the field", "mend it")


def test_good_numbers_come_back_as_an_array() -> None:
    numbers = require_numbers([1, 2, 0], "counts", "review them")
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([3, -1], "counts number 2 is -1; it must be a number not below 0: review them"),
        ([nan, -1], "counts number 1 is nan"),
        ([1, inf], "counts number 2 is inf"),
        ([1], "counts: 1 given, at least 2 needed: review them"),
        ([], "counts: 0 given, at least 2 needed"),
    ],
)
def test_the_first_wrong_number_is_named(values: list[float], said: str) -> None:
    with pytest.raises(CalibrationError, match=re.escape(said)):
        require_numbers(values, "counts", "review them", least=2)


def test_zeros_may_be_wrong_too() -> None:
    with pytest.raises(CalibrationError, match="weights number 2 is 0; it must be a number above 0: weigh again"):
        require_numbers([3, 0], "weights", "weigh again", above_zero=True)


def test_a_table_is_no_row_of_numbers() -> None:
    with pytest.raises(CalibrationError, match="counts: 4 given, at least 1 needed"):
        require_numbers(np.ones((2, 2)), "counts", "give one a tree")
