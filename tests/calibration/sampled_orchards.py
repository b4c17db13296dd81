"""Visits to drawn orchards: trees chosen by a design, counts made into yield, and how its interval does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product as pairs
from math import log

import numpy as np
from numpy.typing import NDArray

from calibration.bootstrap import Block, draw_again
from calibration.errors import FloatArray
from calibration.estimate import Estimate
from calibration.fruit_weight import given_weight, weighed_sample
from calibration.observed import SampledTrees
from calibration.sampling import Design, SimpleRandom, Stratified, Systematic
from calibration.shared_factors import SharedFactor, detector_factor
from calibration.sides import JoinedCounts, both_sides, larger_side, one_side, own_share, share_seen_twice, side_factor
from calibration.siting import SITINGS, Siting, area_factor, learn_between_areas, learn_hand_picked
from calibration.visibility import Basis, HandCount, TreeKind, visibility_of
from calibration.yields import Correction, Predicted, correct
from tests.calibration.simulated_orchards import AREAS, TREES_PER_HA, Orchard, draw_farm, draw_orchard

CONFIDENCE = 0.9
SIZES = (6, 15, 30, 60)
DESIGNS = ("simple random", "stratified", "systematic")
ORCHARDS_OF_A_FARM = 9
_BY_HAND = 8
_STRATA = 3
Trees = NDArray[np.intp]
KIND = TreeKind("here", "Gala", "spindle", "ripening")


@dataclass(frozen=True)
class Way:
    """How counts of photos become counts of trees, and what was learned for it in the orchard.

    Attributes:
        join: from the counts of both sides.
        factors: all shared factors but that of the sides.
    """

    join: Callable[[FloatArray, FloatArray], JoinedCounts]
    factors: tuple[SharedFactor, ...]


def learn_way(orchard: Orchard, random: np.random.Generator) -> Way:
    """One of the ways there are, chosen at random: by trees counted by hand, or piece by piece."""
    flat = {name: getattr(orchard, name).reshape(-1) for name in ("fruit", "seen", "on_both")}
    own, counted_own, counted = (table.reshape(2, -1) for table in (orchard.own, orchard.counted_own, orchard.counted))
    looked_at = random.permutation(orchard.fruit.size).reshape(-1)[: 4 * _BY_HAND].reshape(4, _BY_HAND)
    by_hand = flat["fruit"][looked_at[0]] * random.normal(1, 0.02, _BY_HAND)
    weight = _weigh(orchard, random)
    way = random.integers(3)
    if way == 0:
        seen = counted[:, looked_at[0]].max(axis=0)
        return Way(larger_side, (weight, detector_factor(*orchard.bias), _visibility(seen, by_hand, "machine")))
    visibility = _visibility(flat["seen"][looked_at[0]], by_hand, "own fruit seen")
    told = looked_at[1]
    background = own_share(counted_own[:, told].sum(axis=0), counted[:, told].sum(axis=0))
    factors = (weight, detector_factor(*orchard.bias), visibility, background)
    marked = looked_at[2]
    if way == 1:
        twice = share_seen_twice(own[0, marked], own[1, marked], flat["on_both"][marked])
        return Way(lambda first, second: both_sides(first, second, twice), factors)
    factor = side_factor(own[0, marked], flat["seen"][marked])
    return Way(lambda first, _second: one_side(first, factor), factors)


def _visibility(counted: FloatArray, by_hand: FloatArray, basis: Basis) -> SharedFactor:
    trees = [
        HandCount(float(count), float(fruit), KIND.orchard, KIND.variety, KIND.training, KIND.stage)
        for count, fruit in zip(counted, by_hand, strict=True)
    ]
    return visibility_of(KIND, trees, basis)


def _weigh(orchard: Orchard, random: np.random.Generator) -> SharedFactor:
    """Four fruit of each of ten trees on a scale."""
    of_trees = random.normal(orchard.weight_g, 0.05 * orchard.weight_g, 10)
    fruit = random.normal(of_trees[:, None], 0.18 * orchard.weight_g, (10, 4)).clip(min=20)
    return weighed_sample(fruit.reshape(-1), [str(tree) for tree in range(10) for _ in range(4)])


def choose_area(orchard: Orchard, siting: Siting, random: np.random.Generator) -> Trees:
    """The trees that the sampled ones are taken from: all, those of an area, or of the best-looking of some areas."""
    areas = orchard.areas.reshape(-1)
    if siting == "scattered":
        return np.arange(areas.size)
    looked_at = random.permutation(AREAS**2)[: random.integers(3, 8) if siting == "hand-picked" else 1]
    looks = [orchard.fruit.reshape(-1)[areas == area].mean() * random.normal(1, 0.08) for area in looked_at]
    return np.flatnonzero(areas == looked_at[int(np.argmax(looks))])


def choose_trees(
    frame: Trees, places: int, design: str, number: int, random: np.random.Generator
) -> tuple[Trees, Design]:
    """Trees of a frame by a design, in the order walked: up one row and down the next."""
    row, place = frame // places, frame % places
    walked = frame[np.lexsort((np.where(row % 2, -place, place), row))]
    if design == "simple random":
        return random.choice(frame, number, replace=False), SimpleRandom(len(frame))
    if design == "systematic":
        start = random.uniform(0, len(frame) / number)
        return walked[(start + np.arange(number) * len(frame) / number).astype(np.intp)], Systematic(len(frame))
    bands = np.array_split(walked, _STRATA)
    trees = np.concatenate([random.choice(band, number // _STRATA, replace=False) for band in bands])
    names = [str(band) for band in range(_STRATA)]
    strata = tuple(name for name in names for _ in range(number // _STRATA))
    return trees, Stratified(strata, {name: len(band) for name, band in zip(names, bands, strict=True)})


def visit(orchard: Orchard, way: Way, frame: Trees, chosen: tuple[Trees, Design], area: SharedFactor) -> Correction:
    """What a device makes of the photos of some trees of a frame."""
    assert np.isin(chosen[0], frame).all()
    block = photograph(orchard, way, chosen, area)
    return correct(block.trees, block.predicted, block.area)


def photograph(orchard: Orchard, way: Way, chosen: tuple[Trees, Design], area: SharedFactor) -> Block:
    """What a device knows of some trees."""
    trees, design = chosen
    joined = way.join(*orchard.counted.reshape(2, -1)[:, trees])
    sampled = SampledTrees(joined.counts, design, _ground_m2(trees), (*way.factors, joined.sides))
    return Block(sampled, _predicted(orchard, trees), area)


def photograph_as_the_paper(orchard: Orchard, chosen: tuple[Trees, Design]) -> Block:
    """The ratio of two numbers: the fuller side is the tree, all fruit is seen and its own, the weight known."""
    trees, design = chosen
    counts = orchard.counted.reshape(2, -1)[:, trees].max(axis=0)
    weight = given_weight(orchard.weight_g, 0)
    return Block(
        SampledTrees(counts, design, _ground_m2(trees), (weight,)),
        _predicted(orchard, trees),
        area_factor("scattered"),
    )


def _ground_m2(trees: Trees) -> float:
    return len(trees) / TREES_PER_HA * 10_000


def _predicted(orchard: Orchard, trees: Trees) -> Predicted:
    everywhere = orchard.predicted_kg_per_ha.reshape(-1)
    return Predicted(everywhere[trees], float(everywhere.mean()))


@dataclass(frozen=True)
class Outcome:
    """How one interval did.

    Attributes:
        method: ``delta``, ``bootstrap``, or ``trees only`` for the paper's ratio with what its trees differ.
        siting: where the trees stood.
        design: how they were chosen.
        trees: their number.
        learned: whether the error between areas was learned from earlier ones, or the default.
        low: lower end / true yield.
        high: upper end / true yield.
        value: estimate / true yield.
    """

    method: str
    siting: str
    design: str
    trees: int
    learned: bool
    low: float
    high: float
    value: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds the orchard's yield."""
        return self.low <= 1 <= self.high


def visit_farm(random: np.random.Generator, sizes: Sequence[int] = SIZES, draws: int = 0) -> list[Outcome]:
    """Every siting, design and size on each orchard of a farm; the error between areas learned from its others.

    Args:
        random: the source of chance.
        sizes: numbers of trees.
        draws: times to draw simple random samples again; 0 for the delta method alone.
    """
    farm = draw_farm(random)
    orchards = [draw_orchard(farm, random) for _ in range(ORCHARDS_OF_A_FARM)]
    ways = [learn_way(orchard, random) for orchard in orchards]
    past = {
        siting: [_look_back(orchard, way, siting, random) for orchard, way in zip(orchards, ways, strict=True)]
        for siting in SITINGS[1:]
    }
    outcomes = []
    for number, (orchard, way) in enumerate(zip(orchards, ways, strict=True)):
        for siting in SITINGS:
            frame = choose_area(orchard, siting, random)
            areas = {False: area_factor(siting)}
            if siting != "scattered":
                others = past[siting][:number] + past[siting][number + 1 :]
                areas[True] = area_factor(siting, _learn(siting, others))
            for design, size in pairs(DESIGNS, sizes):
                chosen = choose_trees(frame, farm.places, design, size, random)
                for learned, area in areas.items():
                    block = photograph(orchard, way, chosen, area)
                    ends = {"delta": _delta(block)}
                    if draws and design == "simple random" and (learned or siting == "scattered"):
                        drawn = draw_again([block], draws, random)
                        ends["bootstrap"] = (*drawn.intervals(CONFIDENCE)[0].tolist(), float(drawn.kg_per_ha[0]))
                        ends["trees only"] = _delta(photograph_as_the_paper(orchard, chosen))
                    for method, figures in ends.items():
                        shares = (figure / orchard.kg_per_ha for figure in figures)
                        outcomes.append(Outcome(method, siting, design, size, learned, *shares))
    return outcomes


def _delta(block: Block) -> tuple[float, float, float]:
    found = correct(block.trees, block.predicted, block.area).corrected_kg_per_ha
    return (*found.positive_interval(CONFIDENCE), found.value)


def _look_back(orchard: Orchard, way: Way, siting: Siting, random: np.random.Generator) -> tuple[float, float]:
    """Log of an area's factor over its orchard's, known since the harvest, and the variance of its measurement."""
    frame = choose_area(orchard, siting, random)
    chosen = choose_trees(frame, orchard.fruit.shape[1], "simple random", 30, random)
    found = visit(orchard, way, frame, chosen, area_factor("scattered")).factor
    of_orchard = orchard.kg_per_ha / float(orchard.predicted_kg_per_ha.mean())
    return log(found.value / of_orchard), found.relative_variance


def _learn(siting: Siting, past: Sequence[tuple[float, float]]) -> Estimate:
    ratios, variances = zip(*past, strict=True)
    return (learn_hand_picked if siting == "hand-picked" else learn_between_areas)(ratios, variances)
