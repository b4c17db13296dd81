"""Observed yield, correction factor and corrected yield."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from calibration.errors import CalibrationError
from calibration.units import yield_to_kg_per_ha
from calibration.yields import Range, correct, observed_yield, sampling_area_m2

counts = st.lists(st.integers(0, 2000), min_size=2, max_size=40)
several = st.lists(st.integers(1, 2000), min_size=1, max_size=40)
positive = st.floats(0.01, 1e4)


def mu(kg_per_mu: float) -> float:
    return yield_to_kg_per_ha(kg_per_mu, "kg/mu")


def test_the_papers_example_is_reproduced() -> None:
    """P9: 1500 observed, 1302.08 predicted for the area and 1346.87 for the orchard, in kg/mu."""
    result = correct(Range(mu(1500), None, None), mu(1302.08), mu(1346.87), trees=30)
    assert round(result.factor.value, 2) == 1.15
    as_the_paper_rounds = round(result.factor.value, 2) * result.predicted_orchard_kg_per_ha
    assert as_the_paper_rounds == pytest.approx(mu(1548.90), abs=mu(0.01))
    assert result.corrected_kg_per_ha.value == pytest.approx(mu(1551.60), abs=mu(0.1))
    assert not result.warnings


def test_yield_is_fruit_times_weight_over_area() -> None:
    # 300 fruit of 200 g are 60 kg on 30 m²: 2 kg/m²
    assert observed_yield([100, 120, 80], 200, 30).value == pytest.approx(20_000)


def test_the_interval_is_students_on_the_mean_of_the_trees() -> None:
    numbers = [80, 100, 120, 90]
    result = observed_yield(numbers, 1000, 10_000)  # one fruit is one kg/ha
    half = t.ppf(0.975, 3) * np.std(numbers, ddof=1) / sqrt(4) * 4
    assert result.low == pytest.approx(390 - half, rel=1e-5)
    assert result.high == pytest.approx(390 + half, rel=1e-5)


def test_the_interval_never_reaches_below_zero() -> None:
    assert observed_yield([0, 0, 500], 200, 30).low == 0


def test_one_tree_says_nothing_about_spread() -> None:
    only = observed_yield([100], 200, 10)
    assert (only.low, only.high) == (None, None)
    corrected = correct(only, 10_000, 20_000, trees=1).corrected_kg_per_ha
    assert corrected.value == pytest.approx(40_000)
    assert (corrected.low, corrected.high) == (None, None)


@given(counts, positive, positive, st.floats(0.01, 100))
def test_weight_and_area_scale_the_yield_and_its_interval(
    numbers: list[int], weight: float, area: float, factor: float
) -> None:
    base = observed_yield(numbers, weight, area)
    for scaled in (observed_yield(numbers, weight * factor, area), observed_yield(numbers, weight, area / factor)):
        for name in ("value", "low", "high"):
            assert getattr(scaled, name) == pytest.approx(getattr(base, name) * factor, rel=1e-9, abs=1e-9)


@given(counts.flatmap(lambda numbers: st.tuples(st.just(numbers), st.permutations(numbers))))
def test_the_order_of_the_trees_does_not_matter(numbers: tuple[list[int], list[int]]) -> None:
    first, second = (observed_yield(order, 200, 50) for order in numbers)
    assert second.value == first.value
    assert second.low == pytest.approx(first.low)
    assert second.high == pytest.approx(first.high)


@given(several, st.data(), st.integers(1, 500))
def test_more_fruit_on_any_tree_is_more_yield(numbers: list[int], chosen: st.DataObject, more: int) -> None:
    index = chosen.draw(st.integers(0, len(numbers) - 1))
    fuller = [count + more * (i == index) for i, count in enumerate(numbers)]
    assert observed_yield(fuller, 200, 50).value > observed_yield(numbers, 200, 50).value


@given(counts)
def test_the_interval_encloses_the_value(numbers: list[int]) -> None:
    result = observed_yield(numbers, 200, 50)
    assert result.low is not None
    assert result.high is not None
    assert 0 <= result.low <= result.value <= result.high


@given(several, positive)
def test_an_orchard_predicted_as_observed_is_left_alone(numbers: list[int], orchard: float) -> None:
    observed = observed_yield(numbers, 200, 50)
    result = correct(observed, observed.value, orchard, trees=len(numbers))
    assert result.factor.value == pytest.approx(1)
    assert result.corrected_kg_per_ha.value == pytest.approx(orchard)


@given(counts, positive, positive)
def test_factor_and_corrected_yield_carry_the_interval(numbers: list[int], area: float, orchard: float) -> None:
    observed = observed_yield(numbers, 200, 50)
    result = correct(observed, area, orchard, trees=len(numbers))
    for name in ("value", "low", "high"):
        factor = getattr(observed, name) / area
        assert getattr(result.factor, name) == pytest.approx(factor)
        assert getattr(result.corrected_kg_per_ha, name) == pytest.approx(factor * orchard)


@given(st.integers(1, 500), st.floats(10, 5000))
def test_the_sampled_trees_stand_on_their_share_of_the_ground(trees: int, density: float) -> None:
    assert sampling_area_m2(trees, density) * density == pytest.approx(trees * 10_000)


@pytest.mark.parametrize(("factor", "warned"), [(0.29, True), (0.3, False), (1.0, False), (3.0, False), (3.1, True)])
def test_an_implausible_factor_is_warned_of(factor: float, warned: bool) -> None:
    warnings = correct(Range(factor * 1000, None, None), 1000, 2000, trees=30).warnings
    assert any("lies outside 0.3 to 3: check the fruit weight" in warning for warning in warnings) == warned


@pytest.mark.parametrize(("trees", "said"), [(1, "1 tree was sampled"), (9, "9 trees were sampled"), (10, None)])
def test_few_trees_are_warned_of(trees: int, said: str | None) -> None:
    warnings = correct(Range(1000, None, None), 1000, 2000, trees).warnings
    assert warnings == () if said is None else said in warnings[0]


NO_NUMBER_ABOVE_ZERO = [0, -1, float("nan"), float("inf")]


def test_a_visit_without_counts_is_refused() -> None:
    with pytest.raises(CalibrationError, match="no count to estimate from; photograph at least one tree"):
        observed_yield([], 200, 50)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(CalibrationError, match="count is negative or no number; review the counts"):
        observed_yield([10, -1], 200, 50)


@pytest.mark.parametrize("value", NO_NUMBER_ABOVE_ZERO)
def test_weight_and_area_are_numbers_above_zero(value: float) -> None:
    with pytest.raises(CalibrationError, match=r"single fruit weight in g is .*: weigh a few fruit"):
        observed_yield([10], value, 50)
    with pytest.raises(CalibrationError, match=r"area of the sampled trees in m² is .*: measure it"):
        observed_yield([10], 200, value)


@pytest.mark.parametrize("value", NO_NUMBER_ABOVE_ZERO)
def test_predictions_are_numbers_above_zero(value: float) -> None:
    observed = Range(1000, None, None)
    with pytest.raises(CalibrationError, match=r"predicted yield of the sampling area is .*: check the predictions"):
        correct(observed, value, 1000, 30)
    with pytest.raises(CalibrationError, match=r"predicted yield of the orchard is .*: check the predictions file"):
        correct(observed, 1000, value, 30)


@pytest.mark.parametrize("value", NO_NUMBER_ABOVE_ZERO)
def test_a_sampling_area_needs_trees_and_density(value: float) -> None:
    with pytest.raises(CalibrationError, match=r"trees per ha is .*: give the block's trees and area"):
        sampling_area_m2(5, value)
    with pytest.raises(CalibrationError, match=r"number of sampled trees is .*: photograph at least one tree"):
        sampling_area_m2(0, 800)
