"""Which trees were sampled, and what that says of all trees: the mean a tree, its variance and degrees of freedom.

Sources: Cochran, Sampling Techniques, 3rd edition 1977: the mean of a simple random sample (2.14, 2.20), of strata
(5.6, 5.16), the ratio of two means (6.4, 6.13). A systematic sample has no unbiased variance; that of successive
differences holds under trend and where neighbours are alike (Wolter, Introduction to Variance Estimation, 2nd edition
2007, 8.2.1, his v2), and its degrees of freedom follow from von Neumann et al., Annals of Mathematical Statistics 1941,
12, 153.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

import numpy as np

from calibration.errors import CalibrationError, FloatArray, Numbers, require_numbers
from calibration.estimate import Estimate, satterthwaite
from calibration.periodicity import aligned_places, regular_counts

_AT_LEAST_TWO = "photograph at least two trees, since one says nothing of how much trees differ"


class Design(Protocol):
    """How the sampled trees were chosen from the population, all trees that the sample shall speak for."""

    @property
    def name(self) -> str:
        """What the design is called in records."""
        ...

    def weights(self, trees: int) -> FloatArray:
        """Weight of each sampled tree in the mean of the population, (trees,), summing to 1.

        Raises:
            CalibrationError: the design is of another number of trees.
        """
        ...

    def variance(self, values: FloatArray) -> tuple[float, float]:
        """Variance of the weighted mean of any figure of the sampled trees, and its degrees of freedom.

        Raises:
            CalibrationError: too few trees to see how they differ.
        """
        ...

    def warnings(self, values: FloatArray) -> tuple[str, ...]:
        """What in the counts of the sampled trees speaks against the design's variance."""
        ...


@dataclass(frozen=True)
class SimpleRandom:
    """Each tree of the population was as likely to be sampled as each other, independently.

    Attributes:
        population: number of its trees; None where unknown, taken as far more than were sampled.
    """

    population: int | None = None
    name = "simple random"

    def weights(self, trees: int) -> FloatArray:
        """See :class:`Design`."""
        return _alike(self.population, trees)

    def variance(self, values: FloatArray) -> tuple[float, float]:
        """See :class:`Design`."""
        trees = len(values)
        share = not_sampled(self.population, trees)
        return share * float(values.var(ddof=1)) / trees, trees - 1

    def warnings(self, values: FloatArray) -> tuple[str, ...]:
        """See :class:`Design`."""
        del values  # nothing in a random sample can
        return ()


@dataclass(frozen=True)
class Systematic:
    """Every so-manieth tree was sampled on a walk along the rows, from a random start; values come in that order.

    Attributes:
        population: number of trees passed; None where unknown, taken as far more than were sampled.
        places: row and place in it of each sampled tree, where known.
    """

    population: int | None = None
    places: tuple[tuple[int, int], ...] = ()
    name = "systematic along rows"

    def weights(self, trees: int) -> FloatArray:
        """See :class:`Design`."""
        return _alike(self.population, trees)

    def variance(self, values: FloatArray) -> tuple[float, float]:
        """See :class:`Design`."""
        trees = len(values)
        share = not_sampled(self.population, trees)
        of_a_tree = float(np.square(np.diff(values)).sum()) / (2 * (trees - 1))
        # 2 σ⁴ over the variance of the mean square successive difference of independent normal values
        return share * of_a_tree / trees, max(1.0, 2 * (trees - 1) ** 2 / (3 * trees - 4))

    def warnings(self, values: FloatArray) -> tuple[str, ...]:
        """See :class:`Design`."""
        return (*regular_counts(values), *aligned_places(self.places))


@dataclass(frozen=True)
class Stratified:
    """Trees were sampled at random within strata, such as rows or classes of vigour.

    Attributes:
        strata: stratum of each sampled tree.
        population: number of trees in each stratum.
    """

    strata: tuple[str, ...]
    population: Mapping[str, int]
    name = "stratified"

    def weights(self, trees: int) -> FloatArray:
        """See :class:`Design`."""
        if trees != len(self.strata):
            raise CalibrationError(
                f"strata are given for {len(self.strata)} trees and {trees} were counted; name the stratum of each tree"
            )
        sampled = self._sampled()
        if missing := sorted(set(self.population) - set(sampled)):
            raise CalibrationError(
                f"stratum {missing[0]!r} has no sampled tree; photograph two there, or join it to one that is alike"
            )
        for stratum, number in sampled.items():
            if stratum not in self.population:
                raise CalibrationError(f"stratum {stratum!r} has no number of trees; give it with the others'")
            _require_population(self.population[stratum], number, f" in stratum {stratum!r}")
        everything = sum(self.population.values())
        return np.array([self.population[stratum] / everything / sampled[stratum] for stratum in self.strata])

    def variance(self, values: FloatArray) -> tuple[float, float]:
        """See :class:`Design`."""
        weights = self.weights(len(values))
        labels = np.array(self.strata)
        parts = []
        for stratum, number in self._sampled().items():
            if number < 2 and self.population[stratum] > 1:
                raise CalibrationError(
                    f"stratum {stratum!r} has one sampled tree; photograph a second there, or join it to one that is "
                    "alike"
                )
            members = labels == stratum
            share = not_sampled(self.population[stratum], number)
            if share:
                of_a_tree = float(values[members].var(ddof=1))
                total = (float(weights[members][0]) * number) ** 2
                parts.append(Estimate(0.0, total * share * of_a_tree / number, number - 1))
        return sum(part.variance for part in parts), _degrees_of_freedom(parts)

    def warnings(self, values: FloatArray) -> tuple[str, ...]:
        """See :class:`Design`."""
        del values  # nothing in a random sample can
        return ()

    def _sampled(self) -> dict[str, int]:
        labels, numbers = np.unique(np.array(self.strata), return_counts=True)
        return dict(zip(labels.tolist(), numbers.tolist(), strict=True))


def _degrees_of_freedom(strata: Sequence[Estimate]) -> float:
    """Satterthwaite's, with what they lose in strata of few trees given back.

    The square of an estimated variance with ν degrees of freedom is too large by (ν + 2) / ν on average, three times in
    strata of two trees. That is undone, and never more than trees - strata are taken.
    """
    known = [part for part in strata if part.variance > 0]
    if not known:
        return inf
    total = sum(part.variance for part in known) ** 2
    corrected = total / sum(part.variance**2 / (part.degrees_of_freedom + 2) for part in known) - 2
    return min(max(corrected, satterthwaite(known)), sum(part.degrees_of_freedom for part in known))


def not_sampled(population: int | None, trees: int) -> float:
    """Share of the population that was not sampled: the finite-population correction; 1 where its number is unknown."""
    return 1.0 if population is None else 1 - trees / population


def mean_per_tree(values: Numbers, design: Design) -> Estimate:
    """Mean of a figure over all trees of the population.

    Args:
        values: the figure of each sampled tree, in the order walked where the design is systematic.
        design: how the trees were chosen.

    Raises:
        CalibrationError: fewer than two trees, a value that is negative or no number, or a design that does not fit.
    """
    numbers = require_numbers(values, "count of a tree", _AT_LEAST_TWO, least=2)
    weights = design.weights(len(numbers))
    return Estimate(float(weights @ numbers), *design.variance(numbers))


def ratio_per_tree(values: Numbers, predicted: Numbers, design: Design) -> Estimate:
    """Sum of a figure over all trees of the population / sum of another: the ratio of the two weighted means.

    Its variance is that of what the second figure leaves unexplained, so that a prediction which follows the
    differences between trees makes the ratio surer, and one that goes against them less sure.

    Args:
        values: the figure of each sampled tree, in the order walked where the design is systematic.
        predicted: what it is divided by, for each of the same trees.
        design: how the trees were chosen.

    Raises:
        CalibrationError: fewer than two trees, a value that is negative or no number, predictions of other trees or
            not above zero, or a design that does not fit.
    """
    numbers = require_numbers(values, "count of a tree", _AT_LEAST_TWO, least=2)
    below = require_numbers(
        predicted, "predicted yield of a tree", "check the predictions", least=len(numbers), above_zero=True
    )
    if len(below) != len(numbers):
        raise CalibrationError(
            f"{len(below)} trees have a prediction and {len(numbers)} a count; give both for the same trees"
        )
    weights = design.weights(len(numbers))
    mean = float(weights @ below)
    ratio = float(weights @ numbers) / mean
    return Estimate(ratio, *design.variance((numbers - ratio * below) / mean))


def _alike(population: int | None, trees: int) -> FloatArray:
    """Weights of trees that each stand for as many."""
    _require_population(population, trees)
    return np.full(trees, 1 / trees)


def _require_population(population: int | None, trees: int, where: str = "") -> None:
    if population is not None and population < trees:
        raise CalibrationError(
            f"{trees} trees were sampled{where} of {population} there; correct the number of trees of the block"
        )
