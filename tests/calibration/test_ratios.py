"""The ratio of two totals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.ratios import ratio_of_totals

trees = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 500)), min_size=2, max_size=20)


def test_the_ratio_is_that_of_the_totals_and_not_the_mean_of_ratios() -> None:
    found = ratio_of_totals([10, 300], [20, 200], "visibility")
    assert found.value == pytest.approx(310 / 220)
    assert found.degrees_of_freedom == 1


@given(trees)
def test_the_variance_is_the_jackknifes(pairs: list[tuple[int, int]]) -> None:
    above, below = np.array(pairs, dtype=np.float64).T
    found = ratio_of_totals(above, below, "visibility")
    number = len(pairs)
    left_out = [np.delete(above, i).sum() / np.delete(below, i).sum() for i in range(number)]
    assert found.variance == pytest.approx((number - 1) ** 2 / number * np.var(left_out, ddof=1), abs=1e-12)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=20), st.floats(0.1, 10))
def test_trees_that_all_have_one_ratio_leave_no_doubt(below: list[int], ratio: float) -> None:
    found = ratio_of_totals(np.array(below) * ratio, below, "visibility")
    assert found.value == pytest.approx(ratio)
    assert found.variance == pytest.approx(0, abs=1e-12)


def test_the_variance_is_right_on_average_from_a_dozen_trees() -> None:
    random = np.random.default_rng(0)
    found = []
    for _ in range(3000):
        below = random.gamma(6, 20, 12)
        found.append(ratio_of_totals(below * random.normal(1.4, 0.2, 12), below, "visibility"))
    seen = np.var([estimate.value for estimate in found])
    assert np.mean([estimate.value for estimate in found]) == pytest.approx(1.4, rel=0.005)
    assert np.mean([estimate.variance for estimate in found]) == pytest.approx(seen, rel=0.1)


@pytest.mark.parametrize(
    ("above", "below", "said"),
    [
        ([1], [1], "visibility: 1 given, at least 2 needed: count at least two trees by hand"),
        ([1, 2], [1, 2, 3], "visibility: 2 and 3 trees were given; give both counts of each tree"),
        ([1, 2], [0, 3], "visibility: there are not two trees with fruit: count at least two"),
        ([1, -2], [1, 3], "visibility number 2 is -2; it must be a number not below 0"),
        ([1, 2], [1, float("nan")], "visibility number 2 is nan"),
    ],
)
def test_what_cannot_be_divided_is_named(above: list[float], below: list[float], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        ratio_of_totals(above, below, "visibility")


def test_another_remedy_is_said_where_trees_are_not_counted() -> None:
    with pytest.raises(CalibrationError, match="fruit weight: 1 given, at least 2 needed: weigh more"):
        ratio_of_totals([1], [1], "fruit weight", "weigh more")
