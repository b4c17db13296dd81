"""Samples drawn again and again from trees that were all weighed, and how often their interval holds the known mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.sampling import Design, SimpleRandom, Stratified, Systematic, mean_per_tree
from tests.calibration.harvested_orchards import Harvested

STRATA = 3


@dataclass(frozen=True)
class Coverage:
    """How a design did on one orchard.

    Attributes:
        held: share of intervals that hold the mean of all trees.
        width: their mean width, as a share of that mean.
    """

    held: float
    width: float


def cover(
    orchard: Harvested, design: str, trees: int, draws: int, random: np.random.Generator, confidence: float = 0.9
) -> Coverage:
    """Sample an orchard again and again."""
    mean, ends = float(orchard.yields.mean()), np.empty((draws, 2))
    for i in range(draws):
        chosen, known = _choose(orchard, design, trees, random)
        ends[i] = mean_per_tree(orchard.yields[chosen], known).positive_interval(confidence)
    held = (ends[:, 0] <= mean) & (mean <= ends[:, 1])
    return Coverage(float(held.mean()), float(np.diff(ends).mean()) / mean)


def _choose(orchard: Harvested, design: str, trees: int, random: np.random.Generator) -> tuple[np.ndarray, Design]:
    everything = len(orchard.yields)
    if design == "simple random":
        return random.choice(everything, trees, replace=False), SimpleRandom(everything)
    if design == "systematic":
        start = random.uniform(0, everything / trees)
        return (start + np.arange(trees) * everything / trees).astype(np.intp), Systematic(everything)
    bands = np.array_split(np.arange(everything), STRATA)
    chosen = np.concatenate([random.choice(band, trees // STRATA, replace=False) for band in bands])
    names = [str(band) for band in range(STRATA)]
    strata = tuple(name for name in names for _ in range(trees // STRATA))
    return chosen, Stratified(strata, {name: len(band) for name, band in zip(names, bands, strict=True)})
