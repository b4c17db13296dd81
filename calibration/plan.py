"""How many trees to photograph, so that the mean per tree is as precise as was promised.

A sample of n of N trees gives the mean to ± t·√(Σ W_h² s_h² (1 − n_h/N_h) / n_h), relative to it here, with t Student's
quantile (Cochran, Sampling Techniques, 3rd edition 1977, 4.6 and 5.3). Two things are not known beforehand. How much
trees differ is itself an estimate, from trees counted earlier or from other orchards; and the sample's own s, which its
interval will be made of, turns out larger or smaller by chance. Both are variances, and the ratio of two variances
follows Fisher's F distribution: the spread is taken that much wider that the interval keeps the promise in the wanted
share of draws, the assurance (Kupper and Hafner, The American Statistician 1989, 43, 101, for a known spread). Spreads
are relative to a mean that is estimated too, which costs them the degrees of freedom of a coefficient of variation c:
by 1 + 2c² fewer (Miller, Communications in Statistics 1991, 20, 3351).

What all trees share (fruit no photo shows, the fruit's weight, the detector, the satellite's prediction) does not
shrink with their number and is not in the promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError, FloatArray, Numbers, require_numbers, require_positive
from calibration.guard_rails import FEW_TREES
from calibration.intervals import student_t_quantile
from calibration.spread import TreeSpread
from calibration.variance_ratio import variance_ratio_quantile
from calibration.yields import CONFIDENCE

Whole = NDArray[np.int64]
# real trees differ otherwise than a normal distribution does; planned at 0.9, the promise is kept in 0.85 or more
ASSURANCE = 0.9


@dataclass(frozen=True)
class Promise:
    """What a plan shall keep.

    Attributes:
        precision: half width of the interval over the mean: 0.1 for ± 10 %.
        confidence: share of intervals that hold the truth.
        assurance: share of draws whose interval is no wider than promised.

    Raises:
        CalibrationError: one of them is no share above 0 and below 1, or the confidence is below a half.
    """

    precision: float
    confidence: float = CONFIDENCE
    assurance: float = ASSURANCE

    def __post_init__(self) -> None:
        for field, least, example in (("precision", 0, 0.1), ("confidence", 0.5, 0.95), ("assurance", 0, 0.9)):
            value = getattr(self, field)
            if not least < value < 1:
                raise CalibrationError(
                    f"{field} is {value:g}; it must be a share above {least:g} and below 1, such as {example:g}"
                )


@dataclass(frozen=True)
class Population:
    """All trees that the sample shall speak for, in strata of their own or in one.

    Attributes:
        sizes: (L,) number of trees in each stratum.
        variances: (L,) variance between the trees of each stratum / squared mean of all trees.
        degrees_of_freedom: how well these variances are known; infinite where they are given.
        along_rows: trees are taken at a fixed interval and their variance is that of successive differences.

    Raises:
        CalibrationError: no tree, fewer than two in all, or a variance that is negative or no number.
    """

    sizes: Whole
    variances: FloatArray
    degrees_of_freedom: float = inf
    along_rows: bool = False

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.variances) or (self.sizes < 1).any() or self.sizes.sum() < 2:
            raise CalibrationError(
                f"number of trees is {self.sizes.tolist()}; give each stratum one tree or more and its variance, and "
                "the block two trees or more"
            )
        require_numbers(self.variances, "variance between trees", "give (standard deviation / mean)²")
        if not self.degrees_of_freedom > 0:
            raise CalibrationError(
                f"degrees of freedom of the spread are {self.degrees_of_freedom:g}; count at least two trees"
            )

    @property
    def shares(self) -> FloatArray:
        """(L,) share of all trees that each stratum holds."""
        return np.asarray(self.sizes / self.sizes.sum())

    @property
    def least_sample(self) -> Whole:
        """(L,) fewest trees each stratum takes: two, so that its spread shows."""
        return np.minimum(self.sizes, 2)


def one_population(
    trees: int, variance: float, degrees_of_freedom: float = inf, *, along_rows: bool = False
) -> Population:
    """All trees of a block in one stratum; arguments and errors as for :class:`Population`."""
    return Population(np.array([trees]), np.array([variance]), degrees_of_freedom, along_rows)


def seen_spread(visits: Sequence[Numbers], trees: int, prior: TreeSpread | None = None) -> tuple[float, float]:
    """The relative variance between trees that earlier visits showed, and its degrees of freedom.

    Seasons are pooled, each relative to its own mean; the same trees counted again in another season are no more trees,
    so they add no degrees of freedom. Fewer than ten trees are too few to plan by alone: other orchards are drawn in.

    Args:
        visits: counts of each visit's trees.
        trees: how many different trees they are of.
        prior: what other orchards say; None takes the default.

    Raises:
        CalibrationError: a count that is negative or no number.
    """
    prior = prior or TreeSpread()
    counts = [require_numbers(visit, "count of a tree", "review the counts of this block") for visit in visits]
    told = [numbers for numbers in counts if len(numbers) > 1 and numbers.any()]
    if not told:
        return prior.variance, prior.degrees_of_freedom
    freedom = np.array([len(numbers) - 1.0 for numbers in told])
    relative = np.array([numbers.var(ddof=1) / numbers.mean() ** 2 for numbers in told])
    variance = float(freedom @ relative / freedom.sum())
    known = min(float(freedom.sum()), trees - 1) / (1 + 2 * variance)
    return (variance, known) if trees >= FEW_TREES else prior.moderate(variance, known)


def relative_half_width(population: Population, sample: Whole, promise: Promise) -> float:
    """Half width / mean that the interval of such a sample keeps below in the assured share of draws.

    Args:
        population: all trees.
        sample: (L,) trees taken from each stratum, at least two where there are two.
        promise: its confidence and assurance.

    Raises:
        CalibrationError: a stratum gives fewer trees than it must or more than it has.
    """
    if (sample < population.least_sample).any() or (sample > population.sizes).any():
        raise CalibrationError(
            f"{sample.tolist()} trees cannot be taken from strata of {population.sizes.tolist()}; take at least two of "
            "each and at most all"
        )
    parts = population.shares**2 * population.variances * (1 - sample / population.sizes) / sample
    variance = float(parts.sum())
    if not variance:
        return 0.0
    freedom = 1 / float((np.square(parts / variance) / np.maximum(sample - 1, 1)).sum())
    if population.along_rows:
        # von Neumann et al., Annals of Mathematical Statistics 1941, 12, 153
        freedom = max(1.0, 2 * freedom**2 / (3 * freedom - 1))
    within = float(population.shares @ population.variances)
    wider = variance_ratio_quantile(
        promise.assurance, max(1.0, freedom / (1 + 2 * within)), max(1.0, population.degrees_of_freedom)
    )
    return student_t_quantile((1 + promise.confidence) / 2, freedom) * sqrt(variance * wider)


def trees_needed(population: Population, promise: Promise, *, neyman: bool = False) -> Whole:
    """The fewest trees that keep a promise, (L,) from each stratum.

    Never fewer than ten, below which an estimate is warned of, and never more than there are.

    Args:
        population: all trees.
        promise: what shall be kept.
        neyman: allocate by size x spread of the strata rather than by size alone.
    """
    trees = int(population.sizes.sum())
    low = min(trees, max(FEW_TREES, int(population.least_sample.sum())))
    high = trees
    while low < high:
        middle = (low + high) // 2
        if relative_half_width(population, allocate(middle, population, neyman=neyman), promise) <= promise.precision:
            high = middle
        else:
            low = middle + 1
    return allocate(low, population, neyman=neyman)


def allocate(sample: int, population: Population, *, neyman: bool = False) -> Whole:
    """Divide a number of trees among the strata, in proportion to their size or (Neyman) to size x spread.

    Each stratum gives at least two trees, or all it has, and none gives more than it has; what rounding leaves goes to
    the largest remainders.

    Args:
        sample: trees in all.
        population: all trees.
        neyman: by size x spread. Source: Neyman, Journal of the Royal Statistical Society 1934, 97, 558.

    Returns:
        (L,) trees of each stratum.

    Raises:
        CalibrationError: fewer trees than two a stratum, or more than there are.
    """
    least, most = population.least_sample, population.sizes
    if not least.sum() <= sample <= most.sum():
        raise CalibrationError(
            f"number of trees to photograph is {sample}; with {len(most)} strata and {most.sum()} trees it must be "
            f"{least.sum()} to {most.sum()}"
        )
    weights = population.sizes.astype(np.float64)
    if neyman:
        weights *= np.sqrt(population.variances)
        # strata without spread give no more than they must, until the others have given all
        weights = np.maximum(weights, float(weights.max()) * 1e-9 or 1.0)
    shares = np.clip(weights * _scale(weights, least, most, sample), least, most)
    taken: Whole = np.floor(shares).astype(np.int64)
    by_remainder = np.lexsort((-weights, taken - shares))
    taken[by_remainder[: sample - int(taken.sum())]] += 1
    return taken


def _scale(weights: FloatArray, least: Whole, most: Whole, sample: int) -> float:
    """By how much weights are multiplied so that they are the sample between their limits."""
    low, high = 0.0, float(most.max() / weights.min())
    for _ in range(100):
        middle = (low + high) / 2
        if np.clip(weights * middle, least, most).sum() < sample:
            low = middle
        else:
            high = middle
    return high


def known_spread(cv: float) -> float:
    """The relative variance of a coefficient of variation that somebody gives.

    Raises:
        CalibrationError: it is not above zero.
    """
    return require_positive(cv, "spread between trees", "give standard deviation / mean, such as 0.35") ** 2
