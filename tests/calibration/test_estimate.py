"""Estimates: intervals, products and sums with their variance and degrees of freedom."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from calibration.errors import CalibrationError
from calibration.estimate import Estimate, exact, product, satterthwaite, weighted_sum

values = st.floats(0.01, 1e6)
degrees = st.integers(1, 500) | st.just(inf)
estimates = st.builds(lambda value, cv, df: Estimate(value, (cv * value) ** 2, df), values, st.floats(0, 0.5), degrees)
several = st.lists(estimates, min_size=1, max_size=6)


def test_the_interval_is_students() -> None:
    low, high = Estimate(100.0, 25.0, 9).interval(0.9)
    half = t.ppf(0.95, 9) * 5
    assert (low, high) == pytest.approx((100 - half, 100 + half), rel=1e-5)


def test_a_variance_that_is_given_has_the_normal_distributions_interval() -> None:
    assert Estimate(0.0, 1.0).interval(0.95) == pytest.approx((norm.ppf(0.025), norm.ppf(0.975)), rel=1e-6)


def test_the_positive_interval_is_symmetric_in_the_logarithm() -> None:
    low, high = Estimate(100.0, 400.0, 5).positive_interval(0.9)
    assert low * high == pytest.approx(100**2)
    assert high / 100 == pytest.approx(np.exp(t.ppf(0.95, 5) * 0.2), rel=1e-5)


@given(estimates, st.floats(0.01, 0.99))
def test_the_positive_interval_holds_the_value_and_stays_above_zero(estimate: Estimate, confidence: float) -> None:
    low, high = estimate.positive_interval(confidence)
    assert 0 < low <= estimate.value * (1 + 1e-12)
    assert estimate.value <= high * (1 + 1e-12)


def test_the_positive_interval_of_nothing_begins_at_nothing() -> None:
    assert exact(0.0).positive_interval(0.9) == (0, 0)
    assert Estimate(0.0, 4.0).positive_interval(0.95) == pytest.approx((0, 2 * norm.ppf(0.975)), rel=1e-6)


def test_a_negative_number_has_no_positive_interval() -> None:
    with pytest.raises(CalibrationError, match="-1 is negative and has no interval above 0"):
        exact(-1.0).positive_interval(0.9)


def test_squared_relative_errors_of_a_product_add_up() -> None:
    found = product([Estimate(10, 1, 5), Estimate(4, 0.36, 8), exact(2)])
    assert found.value == 80
    assert found.relative_variance == pytest.approx(0.1**2 + 0.15**2)
    assert found.degrees_of_freedom == pytest.approx((0.01 + 0.0225) ** 2 / (0.01**2 / 5 + 0.0225**2 / 8))


def test_the_delta_method_agrees_with_draws() -> None:
    random = np.random.default_rng(3)
    first, second = Estimate(10, 0.5), Estimate(3, 0.02)
    drawn = random.normal(10, sqrt(0.5), 200_000) * random.normal(3, sqrt(0.02), 200_000)
    found = product([first, second])
    assert found.variance == pytest.approx(drawn.var(), rel=0.02)


@given(several)
def test_a_product_with_one_is_the_same(factors: list[Estimate]) -> None:
    before, after = product(factors), product([*factors, exact(1.0)])
    assert (after.value, after.variance) == pytest.approx((before.value, before.variance))
    assert after.degrees_of_freedom == pytest.approx(before.degrees_of_freedom)


@given(several.flatmap(lambda factors: st.tuples(st.just(factors), st.permutations(factors))))
def test_the_order_of_factors_does_not_matter(orders: tuple[list[Estimate], list[Estimate]]) -> None:
    first, second = (product(order) for order in orders)
    assert (second.value, second.variance) == pytest.approx((first.value, first.variance))


@given(several)
def test_satterthwaite_lies_between_the_least_certain_part_and_their_sum(parts: list[Estimate]) -> None:
    known = [part.degrees_of_freedom for part in parts if part.variance]
    found = satterthwaite(parts)
    if known:
        assert min(known) * (1 - 1e-9) <= found <= sum(known) * (1 + 1e-9)
    else:
        assert found == inf


def test_a_product_of_nothing_keeps_the_error_of_what_is_nothing() -> None:
    found = product([Estimate(0.0, 4.0, 3), Estimate(5.0, 1.0, 2)])
    assert found == Estimate(0.0, 100.0, 3)


def test_a_weighted_sum_adds_values_and_variances() -> None:
    found = weighted_sum([Estimate(10, 4, 3), Estimate(20, 9, 6)], [0.5, 2])
    assert (found.value, found.variance) == (45, 0.25 * 4 + 4 * 9)
    assert found.degrees_of_freedom == pytest.approx(37**2 / (1 / 3 + 36**2 / 6))


@given(estimates, st.floats(0.01, 100), st.floats(0.5, 0.99))
def test_a_known_factor_scales_the_interval(estimate: Estimate, factor: float, confidence: float) -> None:
    for interval in (Estimate.interval, Estimate.positive_interval):
        expected = [end * factor for end in interval(estimate, confidence)]
        assert interval(estimate.times(factor), confidence) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("value", "variance"), [(float("nan"), 1), (float("inf"), 1), (1, -1), (1, float("nan"))])
def test_values_are_finite_and_variances_not_negative(value: float, variance: float) -> None:
    with pytest.raises(CalibrationError, match="cannot be; give a finite value and a variance not below 0"):
        Estimate(value, variance)


@pytest.mark.parametrize("degrees_of_freedom", [0, 0.5, -1, float("nan")])
def test_one_tree_has_no_variance(degrees_of_freedom: float) -> None:
    with pytest.raises(CalibrationError, match=r"says nothing; it takes at least two trees, fruit or blocks"):
        Estimate(1, 1, degrees_of_freedom)


@pytest.mark.parametrize("confidence", [0, 1, 90, -0.5, float("nan")])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(CalibrationError, match=r"confidence of .* cannot be; use one between 0 and 1, such as 0\.9"):
        exact(1).interval(confidence)
