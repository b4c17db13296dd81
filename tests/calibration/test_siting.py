"""What trees of one place say of an orchard."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.estimate import Estimate, exact
from calibration.siting import (
    DEFAULT_BETWEEN_AREAS,
    area_factor,
    learn_between_areas,
    learn_hand_picked,
)


def test_trees_scattered_over_the_orchard_show_its_differences_themselves() -> None:
    found = area_factor("scattered")
    assert (found.factor, found.warnings) == (exact(1.0), ())


def test_one_area_is_as_uncertain_as_areas_differ() -> None:
    found = area_factor("one area")
    assert found.factor.value == 1
    assert sqrt(found.factor.relative_variance) == pytest.approx(0.15)
    assert found.choice == "one area of the orchard, default"
    assert area_factor("one area", Estimate(0, 0.01, 12)).factor == Estimate(1, 0.01, 12)


def test_a_hand_picked_area_bears_more_than_the_orchard_and_is_warned_of() -> None:
    found = area_factor("hand-picked")
    assert 0.8 < found.factor.value < 1
    (said,) = found.warnings
    assert f"corrected yield is multiplied by {found.factor.value:.2f} for it (default)" in said
    assert "sample trees of the whole orchard instead" in said


def test_what_was_learned_of_hand_picked_areas_goes_before_the_default() -> None:
    found = area_factor("hand-picked", Estimate(0.2, 0.01, 9))
    assert found.factor.value == pytest.approx(exp(-0.2))
    assert found.factor.relative_variance == pytest.approx(0.01)
    assert found.choice == "hand-picked area of the orchard, learned from earlier areas"
    assert area_factor("one area", Estimate(0, 0.01, 12), 7).choice.endswith(", learned from 7 earlier areas")


def test_the_default_for_hand_picked_areas_is_that_of_the_best_of_five() -> None:
    random = np.random.default_rng(0)
    misses = random.normal(0, DEFAULT_BETWEEN_AREAS.standard_error, (200_000, 5))
    agreement = random.uniform(0, 1, (200_000, 1))
    looks = agreement * misses / DEFAULT_BETWEEN_AREAS.standard_error
    looks += np.sqrt(1 - agreement**2) * random.normal(size=misses.shape)
    picked = misses[np.arange(len(misses)), looks.argmax(axis=1)]
    found = area_factor("hand-picked").factor
    assert found.value == pytest.approx(exp(-picked.mean()), rel=0.005)
    assert found.relative_variance == pytest.approx(picked.var(), rel=0.02)


def test_many_earlier_areas_teach_their_own_spread() -> None:
    random = np.random.default_rng(1)
    measured = np.full(400, 0.08**2)
    ratios = random.normal(0, 0.2, 400) + random.normal(0, 0.08, 400)
    found = learn_between_areas(ratios, measured)
    assert found.value == 0
    assert sqrt(found.variance) == pytest.approx(0.2, rel=0.1)
    assert found.degrees_of_freedom == 402


def test_few_earlier_areas_are_joined_with_the_default() -> None:
    alike = learn_between_areas([0.01, -0.01], [0.02, 0.02])
    assert 0 < alike.variance < DEFAULT_BETWEEN_AREAS.variance
    assert alike.degrees_of_freedom == 4


def test_what_was_learned_is_the_mean_square_less_the_error_of_measurement() -> None:
    ratios = [0.3, -0.2, 0.25, -0.1, 0.15, 0.05]
    seen = np.square(ratios).mean() - 0.01
    found = learn_between_areas(ratios, [0.01] * 6)
    assert found.variance == pytest.approx((2 * 0.15**2 + 6 * seen) / 8)
    assert found.degrees_of_freedom == 8
    picked = learn_hand_picked(ratios, [0.01] * 6)
    scatter = np.var(ratios, ddof=1)
    assert picked.value == pytest.approx(np.mean(ratios))
    # of the next area, and of the mean of those before
    assert picked.variance == pytest.approx((2 * 0.15**2 + 5 * (scatter - 0.01)) / 7 + scatter / 6)
    assert picked.degrees_of_freedom == 7


def test_the_interval_of_the_next_area_holds_its_factor_nine_times_in_ten() -> None:
    random, held = np.random.default_rng(2), []
    for _ in range(3000):
        spread = random.uniform(0.08, 0.22)
        ratios = random.normal(0, spread, 9)
        found = learn_between_areas(ratios[:8] + random.normal(0, 0.06, 8), np.full(8, 0.06**2))
        low, high = found.interval(0.9)
        held.append(low <= ratios[8] <= high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.03)


def test_the_interval_of_the_next_hand_picked_area_holds_its_excess_nine_times_in_ten() -> None:
    random, held = np.random.default_rng(3), []
    for _ in range(3000):
        excess, spread = random.uniform(0, 0.2), random.uniform(0.08, 0.22)
        ratios = random.normal(excess, spread, 9)
        found = learn_hand_picked(ratios[:8] + random.normal(0, 0.06, 8), np.full(8, 0.06**2))
        low, high = found.interval(0.9)
        held.append(low <= ratios[8] <= high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("learn", [learn_between_areas, learn_hand_picked])
@pytest.mark.parametrize(
    ("ratios", "variances", "said"),
    [
        ([0.1], [0.01], "variance of an area's factor: 1 given, at least 2 needed: estimate the area again"),
        ([0.1, 0.2], [0.01, -0.01], r"variance of an area's factor number 2 is -0\.01"),
        ([0.1, float("nan")], [0.01, 0.01], "log_ratios holds 1 numbers and variances 2; give both of each"),
        ([0.1], [0.01, 0.01], "log_ratios holds 1 numbers and variances 2"),
    ],
)
def test_areas_that_teach_nothing_are_named(
    learn: Callable[[list[float], list[float]], Estimate], ratios: list[float], variances: list[float], said: str
) -> None:
    with pytest.raises(CalibrationError, match=said):
        learn(ratios, variances)


def test_an_unknown_siting_is_refused() -> None:
    with pytest.raises(CalibrationError, match="siting 'x' is unknown; known are scattered, one area, hand-picked"):
        area_factor("x")  # type: ignore[arg-type]
