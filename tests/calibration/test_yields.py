"""Correction factor and corrected yield."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.estimate import Estimate
from calibration.fruit_weight import given_weight
from calibration.observed import SampledTrees, observed_yield
from calibration.sampling import Design, SimpleRandom, Systematic, ratio_per_tree
from calibration.shared_factors import SharedFactor, detector_factor
from calibration.siting import area_factor
from calibration.units import yield_to_kg_per_ha
from calibration.yields import Predicted, correct, predicted_alike

bearing = st.lists(st.integers(1, 2000), min_size=2, max_size=40)
positive = st.floats(0.01, 1e4)
HERE = area_factor("scattered")
RANDOM = SimpleRandom()


def mu(kg_per_mu: float) -> float:
    return yield_to_kg_per_ha(kg_per_mu, "kg/mu")


def sampled(counts: Sequence[float], *factors: SharedFactor, design: Design = RANDOM) -> SampledTrees:
    """Trees on 10 m² each, fruit of 200 g known for sure: one fruit a tree is 200 kg/ha."""
    return SampledTrees(np.array(counts, dtype=np.float64), design, 10 * len(counts), (given_weight(200, 0), *factors))


def alike(counts: Sequence[float], area: float, orchard: float) -> Predicted:
    return predicted_alike(len(counts), area, orchard)


def test_the_papers_example_is_reproduced() -> None:
    """P9: 1500 observed, 1302.08 predicted for the area and 1346.87 for the orchard, in kg/mu."""
    counts = [mu(1500) / 200] * 30
    result = correct(sampled(counts), alike(counts, mu(1302.08), mu(1346.87)), area_factor("one area"))
    assert result.observed_kg_per_ha.value == pytest.approx(mu(1500))
    assert round(result.factor.value, 2) == 1.15
    as_the_paper_rounds = round(result.factor.value, 2) * result.predicted_orchard_kg_per_ha
    assert as_the_paper_rounds == pytest.approx(mu(1548.90), abs=mu(0.01))
    assert result.corrected_kg_per_ha.value == pytest.approx(mu(1551.60), abs=mu(0.1))
    assert not result.warnings


def test_the_papers_interval_holds_what_was_weighed_once_areas_may_differ() -> None:
    """30 trees that differ by 30 %; 1750 kg/mu were weighed. What the trees alone say leaves it out."""
    counts = np.random.default_rng(0).normal(1, 0.3, 30)
    counts *= mu(1500) / 200 / counts.mean()
    predicted = Predicted(np.full(30, mu(1302.08)), mu(1346.87))
    ends = {
        siting: correct(sampled(counts.tolist()), predicted, area_factor(siting)).corrected_kg_per_ha
        for siting in ("scattered", "one area")
    }
    assert ends["scattered"].positive_interval(0.9)[1] < mu(1750) < ends["one area"].positive_interval(0.9)[1]


def test_the_factors_error_is_that_of_trees_what_they_share_and_areas() -> None:
    counts = [80, 100, 120, 90]
    detector, area = detector_factor(0.0, 0.007, 27, 5), area_factor("one area")
    result = correct(sampled(counts, detector), alike(counts, 20_000, 25_000), area)
    of_counts = ratio_per_tree(counts, [20_000] * 4, RANDOM)
    expected = of_counts.relative_variance + detector.factor.relative_variance + area.factor.relative_variance
    assert result.factor.relative_variance == pytest.approx(expected)
    assert result.corrected_kg_per_ha.relative_variance == pytest.approx(expected)
    assert [component.name for component in result.components] == [
        *("differences between trees", "fruit weight", "detector", "satellite error between areas"),
    ]
    assert sum(component.relative_variance for component in result.components) == pytest.approx(expected)


def test_a_prediction_for_each_tree_is_averaged_and_explains_their_differences() -> None:
    counts = [50, 100, 150, 110]
    cells = np.array([10_000, 20_000, 30_000, 21_000], dtype=np.float64)
    result = correct(sampled(counts), Predicted(cells, 25_000), HERE)
    assert result.predicted_area_kg_per_ha == pytest.approx(20_250)
    blind = correct(sampled(counts), alike(counts, 20_250, 25_000), HERE)
    assert result.factor.value == pytest.approx(blind.factor.value)
    assert result.factor.relative_variance < 0.1 * blind.factor.relative_variance
    assert result.observed_kg_per_ha == blind.observed_kg_per_ha


def test_a_hand_picked_area_lowers_the_corrected_yield_and_not_its_own_factor() -> None:
    counts = [80, 100, 120, 90]
    plain = correct(sampled(counts), alike(counts, 20_000, 25_000), area_factor("one area"))
    picked = correct(sampled(counts), alike(counts, 20_000, 25_000), area_factor("hand-picked"))
    assert picked.factor.value == pytest.approx(plain.factor.value)
    share = picked.corrected_kg_per_ha.value / plain.corrected_kg_per_ha.value
    assert share == pytest.approx(area_factor("hand-picked").factor.value)
    assert any("picked by hand" in warning for warning in picked.warnings)


@given(bearing, positive)
def test_an_orchard_predicted_as_observed_is_left_alone(numbers: list[int], orchard: float) -> None:
    observed = observed_yield(sampled(numbers)).kg_per_ha.value
    result = correct(sampled(numbers), alike(numbers, observed, orchard), HERE)
    assert result.factor.value == pytest.approx(1)
    assert result.corrected_kg_per_ha.value == pytest.approx(orchard)


@given(bearing, positive, positive, st.floats(0.01, 100))
def test_predictions_of_another_scale_change_the_factor_and_not_the_corrected_yield(
    numbers: list[int], area: float, orchard: float, scale: float
) -> None:
    base = correct(sampled(numbers), alike(numbers, area, orchard), HERE)
    scaled = correct(sampled(numbers), alike(numbers, area * scale, orchard * scale), HERE)
    assert scaled.factor.value == pytest.approx(base.factor.value / scale)
    assert scaled.corrected_kg_per_ha.value == pytest.approx(base.corrected_kg_per_ha.value)
    ends = base.corrected_kg_per_ha.positive_interval(0.9)
    assert scaled.corrected_kg_per_ha.positive_interval(0.9) == pytest.approx(ends)


@given(bearing, st.data(), st.integers(1, 500))
def test_more_fruit_on_any_tree_is_a_larger_corrected_yield(
    numbers: list[int], chosen: st.DataObject, more: int
) -> None:
    index = chosen.draw(st.integers(0, len(numbers) - 1))
    fuller = [count + more * (i == index) for i, count in enumerate(numbers)]
    less, greater = (correct(sampled(each), alike(each, 20_000, 25_000), HERE) for each in (numbers, fuller))
    assert greater.corrected_kg_per_ha.value > less.corrected_kg_per_ha.value


@given(bearing, positive, positive)
def test_factor_and_corrected_yield_carry_one_interval(numbers: list[int], area: float, orchard: float) -> None:
    result = correct(sampled(numbers), alike(numbers, area, orchard), area_factor("one area"))
    expected = [end * orchard for end in result.factor.positive_interval(0.9)]
    assert result.corrected_kg_per_ha.positive_interval(0.9) == pytest.approx(expected)


def test_guard_rails_speak() -> None:
    counts = [100, 90, 110, 95, 900]
    said = " ".join(correct(sampled(counts), alike(counts, 1_000, 25_000), HERE).warnings)
    for part in ("lies outside 0.3 to 3", "only 5 trees were sampled", "tree number 5 alone moves the estimate"):
        assert part in said


def test_a_walk_that_keeps_step_with_the_planting_is_warned_of() -> None:
    counts = [100.0 + 40 * (tree % 3 == 0) + tree % 2 for tree in range(30)]
    said = correct(sampled(counts, design=Systematic(900)), alike(counts, 20_000, 25_000), HERE).warnings
    assert [warning[:36] for warning in said] == ["counts go up and down about every 3."]


def test_an_orchard_without_fruit_has_a_factor_of_nothing() -> None:
    result = correct(sampled([0, 0, 0]), alike([0, 0, 0], 20_000, 25_000), HERE)
    assert result.corrected_kg_per_ha == Estimate(0, 0, result.corrected_kg_per_ha.degrees_of_freedom)
    assert any("lies outside" in warning for warning in result.warnings)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_predictions_are_numbers_above_zero(value: float) -> None:
    with pytest.raises(CalibrationError, match=r"predicted yield of the sampling area is .*: check the predictions"):
        predicted_alike(3, value, 1000)
    with pytest.raises(CalibrationError, match=r"predicted yield of the sampling area number 2 is .*: check the pred"):
        Predicted(np.array([1000, value]), 1000)
    with pytest.raises(CalibrationError, match=r"predicted yield of the orchard is .*: check the predictions file"):
        predicted_alike(3, 1000, value)


def test_predictions_of_other_trees_are_refused() -> None:
    with pytest.raises(CalibrationError, match="3 trees have a prediction and 2 a count; give both for the same trees"):
        correct(sampled([5, 6]), predicted_alike(3, 1000, 1000), HERE)
