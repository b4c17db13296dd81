"""Walks that keep step with something in the orchard."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.errors import CalibrationError, FloatArray
from calibration.periodicity import aligned_places, regular_counts, step_against_frame
from calibration.sampling import SimpleRandom, Stratified, Systematic


def counts(trees: int, seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    return random.poisson(100 * np.exp(random.normal(0, 0.3, trees))).astype(np.float64)


def with_pollinators(trees: int, every: int, seed: int = 0) -> FloatArray:
    """Fruit of an orchard in which some trees bear a third."""
    fruit = counts(trees, seed)
    fruit[::every] /= 3
    return fruit


def test_counts_that_go_up_and_down_with_the_walk_are_told() -> None:
    (said,) = regular_counts(with_pollinators(30, 3))
    assert said.startswith(
        "counts go up and down about every 3.0 sampled trees: the walk may keep step with the planting"
    )
    assert "photograph the same number of trees chosen at random" in said


def test_chance_trend_and_few_trees_are_no_period() -> None:
    false_alarms = [bool(regular_counts(counts(30, seed))) for seed in range(400)]
    assert np.mean(false_alarms) < 0.03
    assert regular_counts(np.linspace(50, 150, 30)) == ()
    assert regular_counts(np.full(30, 7.0)) == ()
    assert regular_counts(with_pollinators(9, 3)) == ()


def test_only_a_systematic_sample_warns_of_a_period() -> None:
    fruit = with_pollinators(30, 3)
    assert Systematic().warnings(fruit) == regular_counts(fruit) != ()
    assert SimpleRandom().warnings(fruit) == ()
    assert Stratified(("a",) * 30, {"a": 90}).warnings(fruit) == ()


def test_trees_in_one_line_across_the_rows_are_told() -> None:
    lined = [(row, 7) for row in range(20)]
    (said,) = aligned_places(lined)
    assert said.startswith("all sampled trees stand at place 7 of their rows: they see one line across the block")
    assert "place 3 or 7" in aligned_places([(row, 7 if row % 2 else 3) for row in range(20)])[0]
    assert Systematic(places=tuple(lined)).warnings(counts(20, 1)) == aligned_places(lined)


@pytest.mark.parametrize(
    "places",
    [
        [(row, (7 * row) % 50) for row in range(20)],
        [(0, place) for place in range(0, 60, 3)],
        [(row, 7) for row in range(5)],
    ],
    ids=["spread", "along one row", "few"],
)
def test_trees_that_are_spread_are_not(places: list[tuple[int, int]]) -> None:
    assert aligned_places(places) == ()


def test_a_step_that_keeps_time_with_past_figures_is_told_before_the_walk() -> None:
    past = with_pollinators(1200, 10)
    (said,) = step_against_frame(past, 60)
    assert said.startswith("a walk that stops at every 20. tree keeps step with a pattern in the past figures")
    assert step_against_frame(past, 57) == ()


def test_a_step_is_not_blamed_for_chance() -> None:
    false_alarms = [bool(step_against_frame(counts(600, seed), 40)) for seed in range(300)]
    assert np.mean(false_alarms) < 0.04
    assert step_against_frame(counts(20, 0), 20) == ()


def test_more_trees_than_figures_are_refused() -> None:
    with pytest.raises(CalibrationError, match="trees is 21; it must be at least 2 and at most the 20 of the block"):
        step_against_frame(counts(20, 0), 21)
