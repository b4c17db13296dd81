"""The worked example of docs/explanation/correction.md, computed by the functions it explains.

The paper's four yields are its own (Pan and Liu, Plants 2026, 15, 213, table 16). It prints no counts; those here are
invented so that they come to its 1500 kg/mu, and so is all that follows from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from math import log, sqrt

import numpy as np

from calibration.corrections import fit_correction
from calibration.errors import FloatArray
from calibration.estimate import Estimate, exact, product
from calibration.fruit_weight import weighed_sample
from calibration.observed import TREES, Component, SampledTrees, sampling_area_m2
from calibration.pooling import BlockFactor, FactorPrior, fit_prior
from calibration.sampling import SimpleRandom
from calibration.season import Forecast, StageVisit, forecasts
from calibration.season_rates import DEFAULT_RATES, STAGES
from calibration.shared_factors import DETECTOR, SharedFactor, detector_factor
from calibration.sides import own_share, share_seen_twice, side_factor
from calibration.siting import BETWEEN_AREAS, DEFAULT_BETWEEN_AREAS, Siting, area_factor
from calibration.units import area_to_m2, yield_from_kg_per_ha, yield_to_kg_per_ha
from calibration.visibility import HandCount, TreeKind, visibility_of
from calibration.yields import CONFIDENCE, Correction, Predicted, correct, predicted_alike

# the paper's, in kg/mu
OBSERVED, PREDICTED_AREA, PREDICTED_ORCHARD, WEIGHED = 1500.0, 1302.08, 1346.87, 1750.0

COUNTS = (
    (138, 177, 95, 167, 92, 178, 66, 76, 101, 165),
    (143, 70, 176, 102, 164, 71, 158, 176, 103, 97),
    (173, 114, 133, 182, 106, 150, 128, 159, 163, 104),
)
BLOCK_TREES, BLOCK_MU = 1650, 30
BAGS_G, FRUIT_OF_A_BAG = (812, 745, 868, 790, 731, 905, 776, 840, 698, 835), 4
BIAS, ROWS_SD, TEST_TREES, TEST_ROWS = -0.04, 0.07, 27, 5

# eight trees: counted in their photos, and by hand
SEEN, BY_HAND = (96, 148, 121, 75, 167, 134, 110, 89), (118, 171, 150, 85, 205, 158, 129, 112)
# four trees: one side, the other, and fruit that both show
FIRST, SECOND, ON_BOTH = (80, 64, 102, 55), (74, 71, 95, 59), (14, 13, 20, 13)
# five trees: fruit counted in the photo, and their own of it
COUNTED, OWN = (118, 96, 151, 104, 131), (109, 88, 138, 97, 120)

# factors of four blocks of 30 trees in each of two years, and of the block in question, of which six were seen
EARLIER = {2024: (1.02, 1.15, 1.08, 1.21), 2025: (0.98, 1.12, 1.05, 1.18)}
OWN_FACTOR, FEW, TREES_SD = 1.40, 6, 0.30
REGION, VARIETY, THIS_YEAR = "Tianshui", "Fuji", 2026

FRUIT_BY_STAGE = (1450, 270, 148, 136)
DAYS = (date(2026, 4, 25), date(2026, 6, 5), date(2026, 8, 10), date(2026, 9, 25))

DRAWN, SHOWN = 200, 25
READINGS = ("trees alone", "all errors")
_FRUIT, _GRAMS, _BAGS_SD, _AREAS_SD = 136.0, 200.0, 0.08, DEFAULT_BETWEEN_AREAS.standard_error


def kg_per_mu(kg_per_ha: float) -> float:
    return yield_from_kg_per_ha(kg_per_ha, "kg/mu")


def per_mu(kg_per_ha: Estimate) -> Estimate:
    return kg_per_ha.times(kg_per_mu(1.0))


def half_width(estimate: Estimate) -> float:
    """Half of the interval as a share of the estimate."""
    low, high = estimate.positive_interval(CONFIDENCE)
    return (high - low) / 2 / estimate.value


def paper_factor() -> float:
    return fit_correction("ratio", [OBSERVED], [PREDICTED_AREA]).level


def counts() -> FloatArray:
    return np.array(COUNTS, dtype=np.float64).reshape(-1)


def fruit_weight() -> SharedFactor:
    """Only what a bag weighs enters: its fruit share it evenly."""
    bags = list(enumerate(BAGS_G))
    weights = [grams / FRUIT_OF_A_BAG for _, grams in bags for _ in range(FRUIT_OF_A_BAG)]
    return weighed_sample(weights, [str(tree) for tree, _ in bags for _ in range(FRUIT_OF_A_BAG)])


def detector() -> SharedFactor:
    return detector_factor(BIAS, ROWS_SD**2, TEST_TREES, TEST_ROWS)


def visibility() -> SharedFactor:
    kind = TreeKind("North farm", VARIETY, "spindle", "ripening")
    trees = [
        HandCount(seen, by_hand, kind.orchard, kind.variety, kind.training, kind.stage)
        for seen, by_hand in zip(SEEN, BY_HAND, strict=True)
    ]
    return visibility_of(kind, trees, "machine")


def visited(factors: Sequence[SharedFactor] | None = None) -> tuple[SampledTrees, Predicted]:
    """What was counted and predicted."""
    area_m2 = sampling_area_m2(counts().size, BLOCK_TREES / area_to_m2(BLOCK_MU, "mu") * 10_000)
    sampled = SampledTrees(counts(), SimpleRandom(BLOCK_TREES), area_m2, tuple(factors or (fruit_weight(), detector())))
    predicted = [yield_to_kg_per_ha(figure, "kg/mu") for figure in (PREDICTED_AREA, PREDICTED_ORCHARD)]
    return sampled, predicted_alike(counts().size, *predicted)


def estimate(siting: Siting = "one area", factors: Sequence[SharedFactor] | None = None) -> Correction:
    return correct(*visited(factors), area_factor(siting))


def component(name: str, found: Correction | None = None) -> Component:
    """One of the errors of an estimate, or of the example's."""
    return next(each for each in (found or estimate()).components if each.name == name)


def steps() -> dict[str, Correction]:
    """The estimate as each error is let in, and what then helps."""
    weight, counting = fruit_weight(), detector()
    return {
        "Trees differ": estimate("scattered", (_certain(weight), _certain(counting))),
        "+ fruit weight": estimate("scattered", (weight, _certain(counting))),
        "+ detector": estimate("scattered"),
        "+ areas differ: all errors": estimate(),
        "Trees of the whole orchard": estimate("scattered"),
        "… and eight counted by hand": estimate("scattered", (weight, counting, visibility())),
    }


def _certain(factor: SharedFactor) -> SharedFactor:
    return replace(factor, factor=exact(factor.factor.value))


def for_trees(trees: int, errors: Sequence[str]) -> Estimate:
    """Corrected yield in kg/mu for so many trees that differ as those of the example, with some of its other errors."""
    found = estimate()
    named = {each.name: each for each in found.components}
    of_a_tree = float(counts().var(ddof=1) / counts().mean() ** 2)
    own = Component(TREES, of_a_tree / trees * (1 - trees / BLOCK_TREES), trees - 1, "")
    parts = [own, *(named[name] for name in errors)]
    relative = product([Estimate(1.0, part.relative_variance, part.degrees_of_freedom) for part in parts])
    return per_mu(relative.times(found.corrected_kg_per_ha.value))


SHARED = ("fruit weight", DETECTOR)
ONE_BLOCK = (*SHARED, BETWEEN_AREAS)


@cache
def promises() -> dict[str, list[tuple[float, float]]]:
    """Intervals over the harvest, of visits to orchards drawn with errors of the example's sizes.

    Returns:
        For each reading of the same visits, lower and upper end in each of :data:`DRAWN` orchards.
    """
    random = np.random.default_rng(2026)
    visits = [_drawn_visit(random) for _ in range(DRAWN)]
    return {reading: [visit[i] for visit in visits] for i, reading in enumerate(READINGS)}


def _drawn_visit(random: np.random.Generator) -> list[tuple[float, float]]:
    """Thirty trees of one area of an orchard whose harvest, as the area predicted for it, is 1."""
    trees, shape = counts().size, 1 / TREES_SD**2
    fruit = random.gamma(shape, _FRUIT / shape, trees) * np.exp(random.normal(0, _AREAS_SD))
    biases = random.normal(BIAS, ROWS_SD, TEST_ROWS)
    counted = random.poisson(fruit * (1 + random.normal(BIAS, ROWS_SD)))
    factors = (
        weighed_sample(random.normal(_GRAMS, _BAGS_SD * _GRAMS, len(BAGS_G))),
        detector_factor(float(biases.mean()), float(biases.var(ddof=1)), TEST_TREES, TEST_ROWS),
    )
    ground_m2 = _FRUIT * _GRAMS / 1000 * 10_000 * trees
    sampled = SampledTrees(counted.astype(np.float64), SimpleRandom(BLOCK_TREES), ground_m2, factors)
    found = correct(sampled, predicted_alike(trees, 1.0, 1.0), area_factor("one area"))
    value, of_trees = found.corrected_kg_per_ha.value, component(TREES, found)
    alone = Estimate(value, of_trees.relative_variance * value**2, of_trees.degrees_of_freedom)
    return [each.positive_interval(CONFIDENCE) for each in (alone, found.corrected_kg_per_ha)]


def held(ends: Sequence[tuple[float, float]]) -> int:
    """How many intervals hold the harvest."""
    return sum(low <= 1 <= high for low, high in ends)


def seen_twice() -> Estimate:
    return share_seen_twice(FIRST, SECOND, ON_BOTH)


def for_one_side() -> Estimate:
    return side_factor(FIRST, [a + b - both for a, b, both in zip(FIRST, SECOND, ON_BOTH, strict=True)])


def own_fruit() -> Estimate:
    return own_share(OWN, COUNTED).factor


def other_variance() -> float:
    """Of log α, from what all trees of a block share."""
    return fruit_weight().factor.relative_variance + detector().factor.relative_variance


def block_factor(factor: float, trees: int, year: int) -> BlockFactor:
    variance = TREES_SD**2 / trees
    return BlockFactor(log(factor), variance, trees - 1, trees, REGION, year, VARIETY, other_variance())


def prior() -> FactorPrior:
    return fit_prior([block_factor(factor, 30, year) for year, factors in EARLIER.items() for factor in factors])


def own_estimate(trees: int) -> Estimate:
    """α from the block's own trees alone."""
    of_trees = Estimate(OWN_FACTOR, OWN_FACTOR**2 * TREES_SD**2 / trees, trees - 1)
    shared = (fruit_weight().factor, detector().factor)
    return product([of_trees, *(each.times(1 / each.value) for each in shared)])


def own_error(trees: int) -> float:
    """Standard deviation of log α from few trees, as pooling takes it: their spread drawn towards other blocks'."""
    known = prior().trees
    of_a_tree, _ = known.moderate(TREES_SD**2, trees - 1)
    return sqrt(of_a_tree / trees + other_variance())


def season() -> list[Forecast]:
    of_trees = component(TREES)
    visits = [
        StageVisit(
            day,
            stage,
            fruit,
            of_trees.relative_variance,
            stage_variance=detector().factor.relative_variance,
            degrees_of_freedom=of_trees.degrees_of_freedom,
            sampling_area="B1",
        )
        for day, stage, fruit in zip(DAYS, STAGES, FRUIT_BY_STAGE, strict=True)
    ]
    return forecasts(visits, DEFAULT_RATES)
