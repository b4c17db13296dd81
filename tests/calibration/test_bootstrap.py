"""Drawing again: the same estimator as the delta method's, and the same intervals where errors are small."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from calibration.bootstrap import Block, Drawn, draw_again
from calibration.errors import CalibrationError, FloatArray
from calibration.estimate import Estimate
from calibration.fruit_weight import given_weight
from calibration.observed import SampledTrees
from calibration.sampling import Design, SimpleRandom, Stratified, Systematic
from calibration.shared_factors import SharedFactor, detector_factor
from calibration.siting import area_factor
from calibration.yields import Predicted, correct

DETECTOR = detector_factor(-0.005, 0.007, 27, 5)
SCATTERED = area_factor("scattered")


def block(
    random: np.random.Generator, design: Design, trees: int, *factors: SharedFactor, area: SharedFactor = SCATTERED
) -> Block:
    """Trees with a coefficient of variation of 0.4, in cells predicted in part as they bear."""
    counts = random.gamma(6, 20, trees).round()
    predicted = Predicted(random.lognormal(10, 0.1, trees), 25_000)
    return Block(SampledTrees(counts, design, 10 * trees, (given_weight(200, 0.03), *factors)), predicted, area)


def delta(blocks: list[Block], confidence: float) -> FloatArray:
    found = [correct(each.trees, each.predicted, each.area).corrected_kg_per_ha for each in blocks]
    return np.array([estimate.positive_interval(confidence) for estimate in found])


def strata(trees: int) -> Stratified:
    labels = tuple(str(tree * 3 // trees) for tree in range(trees))
    return Stratified(labels, dict.fromkeys(sorted(set(labels)), 300))


@pytest.mark.parametrize("trees", [6, 15, 30, 60])
@pytest.mark.parametrize(
    "design",
    [lambda _: SimpleRandom(900), lambda _: SimpleRandom(), lambda _: Systematic(900), strata],
    ids=["random", "large", "walk", "strata"],
)
def test_both_ways_agree(design: Callable[[int], Design], trees: int) -> None:
    random = np.random.default_rng(trees)
    blocks = [block(random, design(trees), trees, DETECTOR, area=area_factor("one area")) for _ in range(60)]
    drawn, by_hand = draw_again(blocks, 2000, random).intervals(0.9), delta(blocks, 0.9)
    # so few trees are skewed, which only one of the two sees
    assert (drawn / by_hand).mean(axis=0) == pytest.approx([1, 1], abs=0.06 if trees == 6 else 0.025)
    alone = [block(random, design(trees), trees) for _ in range(60)]
    widths = np.diff(draw_again(alone, 2000, random).intervals(0.9)) / np.diff(delta(alone, 0.9))
    assert widths.mean() == pytest.approx(1, abs=0.05)


def test_the_estimates_are_the_same_to_the_last_digit() -> None:
    random = np.random.default_rng(0)
    blocks = [block(random, SimpleRandom(90), 9, DETECTOR, area=area_factor("hand-picked")) for _ in range(5)]
    expected = [correct(each.trees, each.predicted, each.area).corrected_kg_per_ha for each in blocks]
    drawn = draw_again(blocks, 100, random)
    assert drawn.kg_per_ha == pytest.approx([estimate.value for estimate in expected], rel=1e-12)
    assert drawn.degrees_of_freedom == pytest.approx([estimate.degrees_of_freedom for estimate in expected])


def test_blocks_that_share_a_factor_err_together_in_it_and_apart_in_their_trees() -> None:
    random = np.random.default_rng(1)
    large = SharedFactor("detector", Estimate(1, 0.3**2), "shared")
    first, second = draw_again([block(random, SimpleRandom(), 60, large) for _ in range(2)], 4000, random).deviations
    assert np.corrcoef(first, second)[0, 1] > 0.9
    areas = area_factor("one area", Estimate(0, 0.3**2))
    first, second = draw_again(
        [block(random, SimpleRandom(), 60, area=areas) for _ in range(2)], 4000, random
    ).deviations
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_a_census_and_an_orchard_without_fruit_have_no_error_from_trees() -> None:
    random = np.random.default_rng(2)
    census = block(random, SimpleRandom(12), 12)
    bare = Block(SampledTrees(np.zeros(5), SimpleRandom(), 50, census.trees.factors), alike(5), SCATTERED)
    drawn = draw_again([census, bare], 2000, random)
    assert drawn.deviations.std(axis=1) == pytest.approx([0.03, 0.03], rel=0.05)
    assert drawn.intervals(0.9)[1].tolist() == [0, 0]


def alike(trees: int) -> Predicted:
    return Predicted(np.full(trees, 20_000.0), 25_000)


def test_the_same_chance_gives_the_same_draws() -> None:
    blocks = [block(np.random.default_rng(3), strata(9), 9, DETECTOR)]
    first, second = (draw_again(blocks, 200, np.random.default_rng(4)).deviations for _ in range(2))
    assert (first == second).all()


def test_a_thousand_blocks_take_less_than_two_seconds_of_one_core() -> None:
    random = np.random.default_rng(5)
    blocks = [
        block(random, SimpleRandom(1500), 30, detector_factor(random.uniform(-0.1, 0.1), 0.007, 27, 5), area=area)
        for area in [area_factor("one area")]
        for _ in range(1000)
    ]
    started = time.process_time()
    ends = draw_again(blocks, 1000, random).intervals(0.9)
    assert time.process_time() - started < 2
    assert ends.shape == (1000, 2)


@pytest.mark.parametrize("draws", [0, 99])
def test_too_few_draws_are_refused(draws: int) -> None:
    with pytest.raises(CalibrationError, match=f"{draws} draws are too few for an interval; take at least 100"):
        draw_again([], draws, np.random.default_rng(0))


@pytest.mark.parametrize("confidence", [0, 1, 90])
def test_confidence_is_a_share(confidence: float) -> None:
    drawn = Drawn(np.ones(1), np.zeros((1, 100)), np.ones(1))
    with pytest.raises(CalibrationError, match=r"confidence of .* cannot be; use one between 0 and 1"):
        drawn.intervals(confidence)


def test_a_design_of_another_kind_is_refused() -> None:
    class Odd(SimpleRandom):
        name = "odd"

    class Other:
        name = "other"
        weights = staticmethod(SimpleRandom().weights)
        variance = staticmethod(SimpleRandom().variance)
        warnings = staticmethod(SimpleRandom().warnings)

    random = np.random.default_rng(0)
    assert draw_again([block(random, Odd(), 5)], 100, random).kg_per_ha.shape == (1,)
    with pytest.raises(
        CalibrationError, match="no way is known to draw a sample again that is other; use the delta method"
    ):
        draw_again([block(random, Other(), 5)], 100, random)
