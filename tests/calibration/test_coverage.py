"""Intervals hold what they promise: the yield of the whole orchard, drawn or real, as often as they say.

The table of :mod:`tests.benchmarks.coverage` is made by the same code from thousands of orchards.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from calibration.errors import FloatArray
from calibration.periodicity import step_against_frame
from calibration.sampling import Systematic, mean_per_tree
from calibration.siting import DEFAULT_BETWEEN_AREAS
from tests.calibration.harvested_orchards import GRIDS, read_apples, read_grid, spread_of_patches
from tests.calibration.sampled_harvests import cover
from tests.calibration.sampled_orchards import DESIGNS, SIZES, Outcome, visit_farm
from tests.calibration.simulated_orchards import draw_farm, draw_orchard

# farms of nine orchards; 3060 orchards
MANY = 340


def held(outcomes: Iterable[Outcome]) -> float:
    return float(np.mean([outcome.covered for outcome in outcomes]))


def width(outcomes: Iterable[Outcome]) -> float:
    return float(np.mean([outcome.high - outcome.low for outcome in outcomes]))


@pytest.fixture(scope="module")
def some() -> list[Outcome]:
    """Outcomes on 270 drawn orchards."""
    random = np.random.default_rng(11)
    return [outcome for _ in range(30) for outcome in visit_farm(random, (6, 30))]


def as_promised(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Without those whose error between areas is the default, which is on the safe side."""
    return [outcome for outcome in outcomes if outcome.learned or outcome.siting == "scattered"]


@pytest.mark.parametrize("siting", ["scattered", "one area", "hand-picked"])
def test_nine_intervals_in_ten_hold_the_orchards_yield(some: list[Outcome], siting: str) -> None:
    """As far as 270 orchards can tell: two standard errors beside the promise."""
    thirty = [outcome for outcome in as_promised(some) if outcome.siting == siting and outcome.trees == 30]
    assert 0.85 <= held(thirty) <= 0.95
    six = [outcome for outcome in as_promised(some) if outcome.siting == siting and outcome.trees == 6]
    assert 0.84 <= held(six) <= 0.955


def test_before_anything_was_learned_intervals_err_on_the_safe_side(some: list[Outcome]) -> None:
    default = [outcome for outcome in some if not outcome.learned and outcome.siting != "scattered"]
    assert held(default) >= 0.9
    assert width(default) > width(outcome for outcome in some if outcome.learned)


def test_trees_of_one_area_promise_less_than_trees_of_all(some: list[Outcome]) -> None:
    """Thirty trees of one area, taken as if they stood for the orchard, would hold it far too seldom."""
    scattered = [outcome for outcome in some if outcome.siting == "scattered" and outcome.trees == 30]
    one_area = [outcome for outcome in some if outcome.siting == "one area" and outcome.trees == 30]
    assert width(one_area) > 1.5 * width(scattered)
    half = width(scattered) / 2
    assert np.mean([abs(outcome.value - 1) < half for outcome in one_area]) < 0.8


def test_estimates_are_right_on_average(some: list[Outcome]) -> None:
    for siting in ("scattered", "one area"):
        values = [outcome.value for outcome in some if outcome.siting == siting]
        assert np.mean(values) == pytest.approx(1, abs=0.03)


def test_a_walk_is_no_wider_than_chance(some: list[Outcome]) -> None:
    widths = {
        design: width(outcome for outcome in some if (outcome.design, outcome.siting) == (design, "scattered"))
        for design in DESIGNS
    }
    assert widths["systematic"] <= 1.1 * widths["simple random"]


@pytest.mark.slow
def test_the_promise_on_thousands_of_orchards() -> None:
    random = np.random.default_rng(12)
    outcomes = as_promised(outcome for _ in range(MANY) for outcome in visit_farm(random))
    for siting in ("scattered", "one area", "hand-picked"):
        for trees in SIZES:
            found = {
                design: [
                    outcome
                    for outcome in outcomes
                    if (outcome.siting, outcome.design, outcome.trees) == (siting, design, trees)
                ]
                for design in DESIGNS
            }
            for design in ("simple random", "stratified"):
                low, high = (0.84, 0.95) if trees == 6 else (0.87, 0.93)
                assert low <= held(found[design]) <= high, (siting, design, trees)
            assert held(found["systematic"]) >= 0.87, (siting, trees)
            assert width(found["systematic"]) <= 1.2 * width(found["simple random"]), (siting, trees)


@pytest.mark.parametrize("design", ["simple random", "stratified"])
@pytest.mark.parametrize("trees", [6, 15, 30, 60])
def test_samples_of_real_orchards_hold_their_known_yield(data: Path, design: str, trees: int) -> None:
    for number, orchard in enumerate(read_apples(data)):
        found = cover(orchard, design, trees, 600, np.random.default_rng(number))
        low, high = (0.84, 0.955) if trees == 6 else (0.865, 0.94)
        assert low <= found.held <= high, orchard.name


@pytest.mark.parametrize("trees", [6, 15, 30, 60])
def test_walks_through_real_orchards_hold_it_and_are_no_wider(data: Path, trees: int) -> None:
    for number, orchard in enumerate(read_apples(data)):
        walk, chance = (
            cover(orchard, design, trees, 600, np.random.default_rng(number))
            for design in ("systematic", "simple random")
        )
        # an orchard has few different walks, so that a share of them is no even number
        assert walk.held >= 0.86, orchard.name
        assert walk.width <= 1.2 * chance.width, orchard.name


def test_the_default_between_areas_is_that_of_real_orchards(data: Path) -> None:
    spreads = np.array([spread_of_patches(read_grid(data, name))[0] for name in GRIDS])
    assert (spreads.min(), spreads.max()) == pytest.approx((0.07, 0.27), abs=0.005)
    blind = np.sqrt(np.square(spreads).mean())
    assert blind == pytest.approx(0.17, abs=0.005)
    # a model that sees a third of the variance
    assert DEFAULT_BETWEEN_AREAS.standard_error == pytest.approx(blind * np.sqrt(2 / 3), abs=0.011)


def test_drawn_orchards_differ_as_real_ones_do(data: Path) -> None:
    random = np.random.default_rng(13)
    drawn = [draw_orchard(draw_farm(random), random).fruit for _ in range(80)]
    real = [read_grid(data, name) for name in GRIDS]
    for figure in (between_trees, lambda grid: spread_of_patches(grid)[0]):
        of_drawn = [figure(grid) for grid in drawn]
        inside = [min(of_drawn) <= figure(grid) <= max(of_drawn) for grid in real]
        assert sum(inside) >= len(GRIDS) - 1


def between_trees(grid: FloatArray) -> float:
    return float(np.nanstd(grid) / np.nanmean(grid))


def test_a_walk_in_step_with_the_planting_breaks_the_promise_and_is_warned_of() -> None:
    """Every tenth tree bears a third; a walk that stops at every tenth sees pollinators only, or none."""
    random = np.random.default_rng(14)
    fruit = random.gamma(8, 15, 900)
    fruit[::10] /= 3
    walks = [mean_per_tree(fruit[start::10], Systematic(900)).positive_interval(0.9) for start in range(10)]
    assert np.mean([low <= fruit.mean() <= high for low, high in walks]) < 0.87
    assert step_against_frame(fruit, 90)
    assert not step_against_frame(random.permutation(fruit), 90)
