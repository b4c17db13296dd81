"""Drawn orchards of which everything is known: each tree's fruit, what its photos show, what the satellite predicts.

Fruit follows the rows and grows in patches; a photo hides some, shows some of the neighbours', and each side shows
part of the other's; a detector is off in an orchard by as much for all its trees; fruit has a weight that a sample
tells; the satellite sees part of the differences between areas and errs on the rest. Sizes of all this are drawn anew
for each farm over the range that trees harvested one by one show (``agridat``: coefficients of variation of 0.23 to
0.48 between trees, rows that differ by half of their mean), so that no estimator can be fitted to one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.errors import FloatArray

AREAS = 4  # along rows and across them: sixteen areas of 60 to 140 trees in an orchard
TREES_PER_HA = 1000.0
_PATCHES = 8


@dataclass(frozen=True)
class Farm:
    """What orchards of one farm have in common.

    Attributes:
        rows: rows of each orchard.
        places: trees in a row.
        fruit: mean fruit of a tree.
        trees_sd: standard deviation of log fruit between neighbours.
        trend: difference in log fruit between the last row and the first.
        patches_sd: standard deviation of log fruit between patches.
        seen_by_satellite: share of trend and patches that predictions follow.
        areas_sd: standard deviation of log predictions between areas that means nothing.
        hidden: share of fruit that no photo shows.
        on_both: share of seen fruit that both sides show.
        neighbours: share of a neighbour's side that a photo shows.
        detector: mean and standard deviation of the detector's count bias between rows and orchards.
        weight_g: mean single fruit weight.
    """

    rows: int
    places: int
    fruit: float
    trees_sd: float
    trend: float
    patches_sd: float
    seen_by_satellite: float
    areas_sd: float
    hidden: float
    on_both: float
    neighbours: float
    detector: tuple[float, float]
    weight_g: float


@dataclass(frozen=True, eq=False)
class Orchard:
    """One orchard in one season; tables are (rows, places).

    Attributes:
        fruit: fruit on each tree.
        seen: fruit of each tree that a photo shows.
        on_both: those that both sides show.
        own: (2, rows, places) own fruit each side's photo shows.
        counted_own: (2, rows, places) of them, and of what is none, counted by the detector.
        counted: (2, rows, places) all the detector counts in each side's photo, neighbours' fruit too.
        predicted_kg_per_ha: predicted for the cell of each tree.
        areas: number of the area each tree stands in.
        weight_g: mean single fruit weight of the season.
        bias: bias, variance between rows, trees and rows of the detector's test.
    """

    fruit: FloatArray
    seen: FloatArray
    on_both: FloatArray
    own: FloatArray
    counted_own: FloatArray
    counted: FloatArray
    predicted_kg_per_ha: FloatArray
    areas: FloatArray
    weight_g: float
    bias: tuple[float, float, int, int]

    @property
    def kg_per_ha(self) -> float:
        """What the harvest will weigh."""
        return float(self.fruit.mean()) * self.weight_g / 1000 * TREES_PER_HA


def draw_farm(random: np.random.Generator) -> Farm:
    """A farm of its own kind."""
    return Farm(
        rows=int(random.integers(28, 45)),
        places=int(random.integers(36, 53)),
        fruit=random.uniform(60, 250),
        trees_sd=random.uniform(0.1, 0.45),
        trend=random.uniform(-0.8, 0.8),
        patches_sd=random.uniform(0.05, 0.3),
        seen_by_satellite=random.uniform(0.0, 0.7),
        areas_sd=random.uniform(0.03, 0.12),
        hidden=random.uniform(0.1, 0.4),
        on_both=random.uniform(0.1, 0.35),
        neighbours=random.uniform(0.02, 0.1),
        detector=(random.uniform(-0.04, 0.06), random.uniform(0.02, 0.08)),
        weight_g=random.uniform(140, 260),
    )


def draw_orchard(farm: Farm, random: np.random.Generator) -> Orchard:
    """An orchard of the farm."""
    shape = farm.rows, farm.places
    trend = farm.trend * np.linspace(-0.5, 0.5, farm.rows)[:, None]
    patches = _smooth(random.normal(0, farm.patches_sd, (_PATCHES, _PATCHES)), shape)
    expected = np.exp(np.log(farm.fruit) + trend + patches + random.normal(0, farm.trees_sd, shape))
    fruit = random.poisson(expected)
    areas = np.add.outer(
        np.arange(farm.rows) * AREAS // farm.rows * AREAS, np.arange(farm.places) * AREAS // farm.places
    )
    weight = farm.weight_g * random.normal(1, 0.08)
    log_predicted = (
        np.log(farm.fruit * farm.weight_g / 1000 * TREES_PER_HA)
        + random.normal(-0.1, 0.15)
        + farm.seen_by_satellite * (trend + patches)
        + random.normal(0, farm.areas_sd, AREAS**2)[areas]
    )
    hidden = np.clip(farm.hidden + random.normal(0, 0.03) + random.normal(0, 0.05, shape), 0.02, 0.9)
    seen = random.binomial(fruit, 1 - hidden)
    on_both = random.binomial(seen, np.clip(farm.on_both + random.normal(0, 0.02), 0.02, 0.9))
    first = random.binomial(seen - on_both, np.clip(random.normal(0.5, 0.06, shape), 0.1, 0.9))
    own = np.stack([first + on_both, seen - first])
    beside = np.zeros_like(own)
    beside[:, :, 1:] += own[:, :, :-1]
    beside[:, :, :-1] += own[:, :, 1:]
    neighbours = random.binomial(beside, farm.neighbours * np.exp(random.normal(0, 0.1)))
    mean, spread = farm.detector
    bias = max(-0.09, random.normal(mean, spread))
    tested = random.normal(mean, np.hypot(spread, 0.015), 5)
    counted_own = _detect(own, bias, random)
    return Orchard(
        fruit=fruit.astype(np.float64),
        seen=seen.astype(np.float64),
        on_both=on_both.astype(np.float64),
        own=own.astype(np.float64),
        counted_own=counted_own,
        counted=counted_own + _detect(neighbours, bias, random),
        predicted_kg_per_ha=np.exp(log_predicted),
        areas=areas.astype(np.float64),
        weight_g=weight,
        bias=(float(tested.mean()), float(tested.var(ddof=1)), 27, 5),
    )


def _detect(fruit: np.ndarray, bias: float, random: np.random.Generator) -> FloatArray:
    """A tenth is missed, and so much that is none is counted that the sum is off by the bias."""
    return (random.binomial(fruit, 0.9) + random.poisson(fruit * (0.1 + bias))).astype(np.float64)


def _smooth(coarse: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """A coarse grid drawn out to a fine one, linearly in both directions."""
    rows, places = (_between(length, len(coarse)) for length in shape)
    smooth: FloatArray = rows @ coarse @ places.T
    return smooth


def _between(fine: int, coarse: int) -> FloatArray:
    away = np.abs(np.linspace(0, coarse - 1, fine)[:, None] - np.arange(coarse))
    weights: FloatArray = np.clip(1 - away, 0, None)
    return weights
