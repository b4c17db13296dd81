"""Observed yield with all that errs in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.estimate import Estimate
from calibration.fruit_weight import given_weight
from calibration.observed import SampledTrees, observed_yield, sampling_area_m2
from calibration.sampling import SimpleRandom, Systematic, mean_per_tree
from calibration.shared_factors import SharedFactor, detector_factor
from calibration.sides import whole_photo
from calibration.visibility import unknown_visibility

several = st.lists(st.integers(0, 2000), min_size=2, max_size=40)
bearing = st.lists(st.integers(1, 2000), min_size=2, max_size=40)
positive = st.floats(0.01, 1e4)


def sampled(counts: list[int], area_m2: float = 50, *factors: SharedFactor, weight_g: float = 200) -> SampledTrees:
    return SampledTrees(
        np.array(counts, dtype=np.float64), SimpleRandom(), area_m2, (given_weight(weight_g, 0.05), *factors)
    )


def test_yield_is_fruit_times_weight_over_area() -> None:
    # 300 fruit of 200 g are 60 kg on 30 m²: 2 kg/m²
    assert observed_yield(sampled([100, 120, 80], 30)).kg_per_ha.value == pytest.approx(20_000)


def test_hidden_fruit_and_the_detectors_bias_are_in_it() -> None:
    visibility = SharedFactor("visibility", Estimate(1.5, 0.01, 7), "hand counts")
    found = observed_yield(sampled([100, 120, 80], 30, detector_factor(0.25, 0.01, 27, 5), visibility))
    assert found.kg_per_ha.value == pytest.approx(20_000 * 1.5 * 0.8)


def test_squared_relative_errors_add_up_to_the_components() -> None:
    detector = detector_factor(0.02, 0.007, 27, 5)
    found = observed_yield(sampled([100, 120, 80], 30, detector))
    assert [component.name for component in found.components] == [
        *("differences between trees", "fruit weight", "detector"),
    ]
    assert found.kg_per_ha.relative_variance == pytest.approx(
        mean_per_tree([100, 120, 80], SimpleRandom()).relative_variance + 0.05**2 + detector.factor.relative_variance
    )
    assert sum(component.relative_variance for component in found.components) == pytest.approx(
        found.kg_per_ha.relative_variance
    )
    assert [component.choice for component in found.components[:2]] == ["sample: simple random", "200 g as given, ±5 %"]


def test_more_trees_do_not_help_against_what_all_share() -> None:
    detector = detector_factor(0.02, 0.007, 27, 5)
    many = observed_yield(sampled([90, 110] * 500, 50, detector)).kg_per_ha
    assert many.relative_variance > detector.factor.relative_variance + 0.05**2
    assert many.relative_variance == pytest.approx(detector.factor.relative_variance + 0.05**2, rel=0.01)


def test_what_factors_warn_of_is_passed_on() -> None:
    found = observed_yield(sampled([100, 120], 50, unknown_visibility(), whole_photo()))
    assert found.warnings == (*unknown_visibility().warnings, *whole_photo().warnings)


def test_a_factor_inside_another_is_left_out() -> None:
    visibility = SharedFactor("visibility", Estimate(1.5, 0.01, 7), "hand counts", frozenset({"detector"}))
    found = observed_yield(sampled([100, 120, 80], 30, detector_factor(0.25, 0.01, 27, 5), visibility))
    assert found.kg_per_ha.value == pytest.approx(30_000)
    assert "detector" not in [component.name for component in found.components]


@given(several, positive, positive, st.floats(0.01, 100))
def test_weight_and_area_scale_the_yield_and_its_interval(
    numbers: list[int], weight: float, area: float, factor: float
) -> None:
    base = observed_yield(sampled(numbers, area, weight_g=weight)).kg_per_ha
    for scaled in (
        observed_yield(sampled(numbers, area, weight_g=weight * factor)).kg_per_ha,
        observed_yield(sampled(numbers, area / factor, weight_g=weight)).kg_per_ha,
    ):
        assert scaled.value == pytest.approx(base.value * factor)
        expected = [end * factor for end in base.positive_interval(0.9)]
        assert scaled.positive_interval(0.9) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(bearing.flatmap(lambda numbers: st.tuples(st.just(numbers), st.permutations(numbers))))
def test_the_order_of_the_trees_does_not_matter(orders: tuple[list[int], list[int]]) -> None:
    first, second = (observed_yield(sampled(order)).kg_per_ha for order in orders)
    assert second.value == pytest.approx(first.value)
    assert second.positive_interval(0.9) == pytest.approx(first.positive_interval(0.9))


@given(several, st.data(), st.integers(1, 500))
def test_more_fruit_on_any_tree_is_more_yield(numbers: list[int], chosen: st.DataObject, more: int) -> None:
    index = chosen.draw(st.integers(0, len(numbers) - 1))
    fuller = [count + more * (i == index) for i, count in enumerate(numbers)]
    assert observed_yield(sampled(fuller)).kg_per_ha.value > observed_yield(sampled(numbers)).kg_per_ha.value


@given(several)
def test_the_interval_holds_the_value_and_is_never_below_zero(numbers: list[int]) -> None:
    found = observed_yield(sampled(numbers)).kg_per_ha
    low, high = found.positive_interval(0.9)
    assert 0 <= low <= found.value <= high


@given(st.integers(1, 500), st.floats(10, 5000))
def test_the_sampled_trees_stand_on_their_share_of_the_ground(trees: int, density: float) -> None:
    assert sampling_area_m2(trees, density) * density == pytest.approx(trees * 10_000)


def test_the_design_is_named() -> None:
    trees = SampledTrees(np.array([3.0, 4.0, 8.0]), Systematic(30), 30, (given_weight(200),))
    assert observed_yield(trees).components[0].choice == "sample: systematic along rows"


NO_NUMBER_ABOVE_ZERO = [0, -1, float("nan"), float("inf")]


@pytest.mark.parametrize("value", NO_NUMBER_ABOVE_ZERO)
def test_an_area_is_a_number_above_zero(value: float) -> None:
    with pytest.raises(CalibrationError, match=r"area of the sampled trees in m² is .*: measure it, or give the block"):
        sampled([10, 20], value)


@pytest.mark.parametrize("value", NO_NUMBER_ABOVE_ZERO)
def test_a_sampling_area_needs_trees_and_density(value: float) -> None:
    with pytest.raises(CalibrationError, match=r"trees per ha is .*: give the block's trees and area"):
        sampling_area_m2(5, value)
    with pytest.raises(CalibrationError, match=r"number of sampled trees is .*: photograph at least one tree"):
        sampling_area_m2(0, 800)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([], "count of a tree: 0 given, at least 2 needed: photograph at least two trees"),
        ([5], "count of a tree: 1 given, at least 2 needed"),
        ([5, -1], "count of a tree number 2 is -1; it must be a number not below 0"),
    ],
)
def test_counts_that_say_nothing_are_named(counts: list[int], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        observed_yield(sampled(counts))
