"""Strata of trees that are alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.plan import allocate
from calibration.strata import STRATA, cut_strata, stratum_spread

vigours = st.lists(st.floats(-1, 1), min_size=1, max_size=300)


@given(vigours)
def test_each_tree_is_in_one_stratum_and_the_more_vigorous_in_no_lower_one(values: list[float]) -> None:
    labels = cut_strata(np.array(values))
    assert set(labels.tolist()) == set(range(int(labels.max()) + 1))
    assert len(set(labels.tolist())) <= STRATA
    in_order = labels[np.argsort(values, kind="stable")]
    assert (np.diff(in_order) >= 0).all()


@given(vigours, st.floats(0.1, 100), st.floats(-10, 10))
def test_the_scale_of_vigour_does_not_matter(values: list[float], factor: float, shift: float) -> None:
    coarse = np.round(np.array(values), 3)  # so that no value lies on a boundary but by rounding
    first, second = cut_strata(coarse), cut_strata(coarse * factor + shift)
    assert np.mean(first == second) >= 0.9


def test_the_boundaries_are_those_of_the_roots_of_the_frequencies() -> None:
    """Many small trees and few large ones: the large ones are cut finer than by equal numbers."""
    values = np.concatenate([np.linspace(0, 1, 800), np.linspace(1, 4, 300)[1:]])
    labels = cut_strata(values, 2)
    # of a hundred bins 25 hold 32 trees and 75 hold 4: 25·√32 + 75·√4 is 291, and half of it lies at 1.09
    assert values[labels == 0].max() == pytest.approx(1.09, abs=0.04)
    assert (labels == 0).sum() > 2 * (labels == 1).sum()


def test_strata_take_out_most_of_the_variance_that_vigour_explains() -> None:
    values = np.random.default_rng(1).gamma(4, 1, 2000)
    labels = cut_strata(values)
    within = sum(values[labels == stratum].var() * np.mean(labels == stratum) for stratum in range(STRATA))
    assert within < 0.15 * values.var()


def test_a_few_levels_are_taken_as_they_are() -> None:
    assert cut_strata(np.array([3.0, 1, 3, 2, 1, 1])).tolist() == [2, 0, 2, 1, 0, 0]


def test_trees_without_a_value_are_a_stratum_of_their_own() -> None:
    assert cut_strata(np.array([3.0, np.nan, 1, 3, np.nan])).tolist() == [1, 2, 0, 1, 2]


def test_small_blocks_are_cut_into_fewer_strata() -> None:
    assert len(set(cut_strata(np.arange(25.0)).tolist())) == 2
    assert set(cut_strata(np.arange(9.0)).tolist()) == {0}


def test_the_spread_inside_strata_is_that_of_their_counted_trees() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 400)
    counts = np.where(labels == 0, rng.normal(100, 10, 800), rng.normal(200, 40, 800))
    population = stratum_spread(counts, labels, np.array([3000, 1000]))
    assert population is not None
    mean = 0.75 * 100 + 0.25 * 200
    assert np.sqrt(population.variances) * mean == pytest.approx([10, 40], rel=0.1)
    assert population.degrees_of_freedom == pytest.approx(798, rel=0.15)
    # 3000 x 10 against 1000 x 40
    assert allocate(70, population, neyman=True).tolist() == pytest.approx([30, 40], abs=3)


def test_strata_of_few_counted_trees_lean_on_all_of_them() -> None:
    counts = np.array([99.0, 101, 60, 70, 80, 90, 110, 120, 130, 140])
    population = stratum_spread(counts, np.array([0, 0, *[1] * 8]), np.array([50, 50]))
    assert population is not None
    own = 2 / 100**2
    assert own < population.variances[0] < population.variances[1]
    assert population.variances[0] > 50 * own


@pytest.mark.parametrize(
    ("counts", "labels"),
    [
        ([10.0] * 9, [0] * 4 + [1] * 5),  # nine trees
        ([10.0] * 12, [0] * 11 + [1]),  # one of the second stratum
        ([0.0] * 12, [0] * 6 + [1] * 6),  # nothing hung on them
    ],
)
def test_too_little_seen_says_nothing_of_strata(counts: list[float], labels: list[int]) -> None:
    assert stratum_spread(np.array(counts), np.array(labels), np.array([100, 100])) is None


def test_a_stratum_of_one_tree_needs_no_second_count() -> None:
    population = stratum_spread(np.arange(10.0, 22), np.array([0] * 11 + [1]), np.array([100, 1]))
    assert population is not None
    assert allocate(12, population).tolist() == [11, 1]


@pytest.mark.parametrize("values", [[np.nan, np.nan], [1.0, np.inf]])
def test_vigour_is_a_number(values: list[float]) -> None:
    with pytest.raises(CalibrationError, match="vigour of the trees is unknown or infinite; give each tree a number"):
        cut_strata(np.array(values))


def test_one_stratum_is_none() -> None:
    with pytest.raises(CalibrationError, match="number of strata is 1; use two or more, or another design"):
        cut_strata(np.arange(100.0), 1)
