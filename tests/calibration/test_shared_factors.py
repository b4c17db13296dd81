"""Factors that all trees share: applied once, with their error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.estimate import Estimate, exact
from calibration.shared_factors import (
    SharedFactor,
    detector_factor,
    once_each,
    partly_reviewed,
    unknown_detector,
)

counts = st.lists(st.integers(0, 500), min_size=1, max_size=30)


def test_a_detector_that_counts_too_many_is_corrected_down() -> None:
    detector = detector_factor(0.25, 0.01, trees=27, rows=5)
    assert detector.factor.value == pytest.approx(0.8)
    assert detector.factor.degrees_of_freedom == 4
    assert detector.warnings == ()
    assert detector.choice == "count bias +25.0 % from the bundle, measured on 27 trees of 5 rows"


def test_another_orchard_is_as_far_off_as_another_row_of_the_test() -> None:
    """The interval of a new row's bias, from five rows, by simulation."""
    random, held = np.random.default_rng(0), []
    for _ in range(4000):
        rows = random.normal(0.02, 0.06, 5)
        own = 1 / (1 + random.normal(0.02, 0.06))
        low, high = detector_factor(rows.mean(), rows.var(ddof=1), 27, 5).factor.positive_interval(0.9)
        held.append(low <= own <= high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_without_rows_the_variance_is_taken_as_it_is_and_warned_of() -> None:
    detector = detector_factor(0.0, 0.002, trees=13)
    assert detector.factor == Estimate(1.0, 0.002, 12)
    assert "measured on 13 trees of rows that are not known" in detector.warnings[0]


def test_an_unknown_detector_is_taken_as_right_and_warned_of() -> None:
    detector = unknown_detector()
    assert detector.factor == exact(1.0)
    assert "count bias at this growth stage is not known" in detector.warnings[0]


@given(counts, st.floats(-0.3, 0.5))
def test_reviewed_counts_are_free_of_the_detectors_error(numbers: list[int], bias: float) -> None:
    detector = detector_factor(bias, 0.01, 27, 5)
    found, remaining = partly_reviewed(numbers, numbers, detector)
    assert found.tolist() == numbers
    assert remaining.factor.variance == 0
    assert remaining.warnings == ()


@given(counts, st.floats(-0.3, 0.5))
def test_counts_nobody_has_reviewed_carry_all_of_it(numbers: list[int], bias: float) -> None:
    detector = detector_factor(bias, 0.01, 27, 5)
    found, remaining = partly_reviewed(numbers, [None] * len(numbers), detector)
    assert found == pytest.approx(np.array(numbers) / (1 + bias))
    assert remaining.factor.value == 1
    assert remaining.factor.relative_variance == pytest.approx(detector.factor.relative_variance)
    assert remaining.choice == detector.choice


def test_the_error_of_some_reviewed_is_in_proportion_to_the_fruit_of_the_others() -> None:
    detector = detector_factor(0.0, 0.01, 27, 5)
    found, remaining = partly_reviewed([30, 50, 20], [None, 60, 10], detector)
    assert found.tolist() == [30, 60, 10]
    assert remaining.factor.relative_variance == pytest.approx(0.3**2 * detector.factor.relative_variance)
    assert remaining.choice.endswith("; 2 of 3 trees reviewed")


@pytest.mark.parametrize(
    ("machine", "reviewed", "said"),
    [
        ([-1, 2], [None, None], "count of a tree number 1 is -1; .*: review the counts of this visit"),
        ([1, 2], [None, -2], "reviewed count of a tree number 1 is -2"),
        ([1, 2], [None], "2 counts and 1 reviews were given; give both of each tree"),
        ([], [], "count of a tree: 0 given, at least 1 needed"),
    ],
)
def test_counts_that_are_none_are_named(machine: list[int], reviewed: list[int | None], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        partly_reviewed(machine, reviewed, unknown_detector())


@pytest.mark.parametrize(
    ("bias", "variance", "trees", "rows", "said"),
    [
        (-1, 0.01, 27, 5, "count bias of the detector is -1, which counts nothing: install the bundle again"),
        (float("nan"), 0.01, 27, 5, "count bias of the detector is nan"),
        (0, -0.01, 27, 5, r"variance of the detector's count bias is -0\.01; .* install the bundle again"),
        (0, 0.01, 1, 0, "measured on 1 tree; it takes two: install the bundle again"),
    ],
)
def test_a_bias_that_cannot_be_is_named(bias: float, variance: float, trees: int, rows: int, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        detector_factor(bias, variance, trees, rows)


def test_a_factor_that_another_includes_is_not_applied_again() -> None:
    detector = detector_factor(0.1, 0.01, 27, 5)
    weight = SharedFactor("fruit weight", exact(200), "given")
    visibility = SharedFactor("visibility", Estimate(1.4, 0.01, 7), "hand counts", frozenset({"detector"}))
    assert once_each([detector, weight, visibility]) == (weight, visibility)
    assert once_each([detector, weight]) == (detector, weight)


def test_one_factor_twice_is_refused() -> None:
    with pytest.raises(CalibrationError, match="the factor 'detector' is given twice; leave one out"):
        once_each([unknown_detector(), detector_factor(0.1, 0.01, 27, 5)])
