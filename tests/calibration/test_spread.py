"""Spread between trees, learned across blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma as scipy_digamma
from scipy.special import polygamma

from calibration.errors import CalibrationError
from calibration.spread import (
    DEFAULT_DEGREES_OF_FREEDOM,
    DEFAULT_TREE_VARIANCE,
    TreeSpread,
    digamma,
    inverse_trigamma,
    learn_tree_spread,
    trigamma,
)

variances = st.floats(0.001, 2)
degrees = st.floats(1, 100)


def learned(blocks: int, trees: int, spread: float, known_by: float, seed: int) -> TreeSpread:
    """From blocks whose own variances follow the model: known_by degrees of freedom about the squared spread."""
    rng = np.random.default_rng(seed)
    own = known_by * spread**2 / rng.chisquare(known_by, blocks)
    seen = own * rng.chisquare(trees - 1, blocks) / (trees - 1)
    return learn_tree_spread(seen, np.full(blocks, trees - 1.0))


@given(st.floats(1e-3, 1e5))
def test_the_functions_of_log_gamma_are_those_of_scipy(x: float) -> None:
    at = np.array([x])
    assert digamma(at)[0] == pytest.approx(scipy_digamma(x), rel=1e-7, abs=1e-7)
    assert trigamma(at)[0] == pytest.approx(polygamma(1, x), rel=1e-9)


@given(st.floats(1e-5, 1e5))
def test_the_inverse_of_trigamma_inverts_it(value: float) -> None:
    assert polygamma(1, inverse_trigamma(value)) == pytest.approx(value, rel=1e-7)


def test_the_spread_of_many_blocks_is_found_again() -> None:
    found = learned(10_000, 6, 0.35, 8, 1)
    assert found.variance == pytest.approx(0.35**2, rel=0.05)
    assert found.degrees_of_freedom == pytest.approx(8, rel=0.1)


def test_blocks_that_are_alike_make_the_common_variance_weigh_more() -> None:
    assert learned(200, 6, 0.35, 1e6, 1).degrees_of_freedom > 4 * learned(200, 6, 0.35, 4, 1).degrees_of_freedom


def test_alike_blocks_know_their_variance_no_better_than_all_their_trees_do() -> None:
    assert learn_tree_spread(np.full(5, DEFAULT_TREE_VARIANCE), np.full(5, 2.0)).degrees_of_freedom == 5 * 2 + 4


def test_three_trees_are_better_judged_with_what_others_showed() -> None:
    rng = np.random.default_rng(3)
    own = 10 * 0.3**2 / rng.chisquare(10, 400)
    seen = own * rng.chisquare(2, 400) / 2
    spread = learn_tree_spread(seen[:200], np.full(200, 2.0))
    moderated = np.array([spread.moderate(variance, 2)[0] for variance in seen[200:]])
    error = np.abs(np.log(moderated / own[200:]))
    assert error.mean() < 0.5 * np.abs(np.log(seen[200:] / own[200:])).mean()


@given(variances, degrees, variances, degrees)
def test_a_moderated_variance_lies_between_the_blocks_and_the_common_one(
    common: float, common_degrees: float, own: float, own_degrees: float
) -> None:
    moderated, known = TreeSpread(common, common_degrees).moderate(own, own_degrees)
    assert min(common, own) * (1 - 1e-12) <= moderated <= max(common, own) * (1 + 1e-12)
    assert known == common_degrees + own_degrees


def test_a_single_tree_has_the_common_variance_and_a_known_variance_stays() -> None:
    assert TreeSpread(0.1, 6).moderate(0.0, 0) == pytest.approx((0.1, 6))
    assert TreeSpread(0.1, 6).moderate(0.02, float("inf")) == (0.02, float("inf"))


blocks = st.lists(st.tuples(variances, degrees), min_size=1, max_size=20)


@given(blocks.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
def test_the_order_of_blocks_does_not_matter(orders: tuple[list[tuple[float, float]], ...]) -> None:
    first, second = (learn_tree_spread(*np.array(order, dtype=np.float64).T) for order in orders)
    assert second.variance == pytest.approx(first.variance, rel=1e-6)
    assert second.degrees_of_freedom == pytest.approx(first.degrees_of_freedom, rel=1e-4)


@pytest.mark.parametrize("degrees_of_freedom", [0.0, float("inf")])
def test_blocks_that_teach_nothing_leave_the_default(degrees_of_freedom: float) -> None:
    learned = learn_tree_spread(np.array([0.5, 0.0]), np.full(2, degrees_of_freedom))
    assert (learned.variance, learned.degrees_of_freedom) == (DEFAULT_TREE_VARIANCE, DEFAULT_DEGREES_OF_FREEDOM)


def test_trees_that_are_all_equal_do_not_break_the_logarithm() -> None:
    learned = learn_tree_spread(np.array([0.0, 0.1, 0.12]), np.full(3, 2.0))
    assert 0 < learned.variance < 1
    assert learned.degrees_of_freedom >= 1


@pytest.mark.parametrize(
    ("variance", "degrees_of_freedom"),
    [(-0.1, 2), (float("nan"), 2), (float("inf"), 2), (0.1, -1), (0.1, float("nan"))],
)
def test_impossible_variances_are_refused(variance: float, degrees_of_freedom: float) -> None:
    with pytest.raises(CalibrationError, match=r"variance between trees or its degrees of freedom .* give"):
        learn_tree_spread(np.array([variance]), np.array([degrees_of_freedom], dtype=np.float64))


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_spread_needs_a_variance_and_degrees_of_freedom(value: float) -> None:
    with pytest.raises(CalibrationError, match=r"variance between trees is .* leave it at its default"):
        TreeSpread(value, 4)
    with pytest.raises(CalibrationError, match=r"degrees of freedom .* are .*; use 1 or more"):
        TreeSpread(0.1, value)
