"""Partial pooling of log α: a block with few trees borrows strength from blocks measured before.

    log α̂_b = μ + region + year + season + variety + block + error_b

where season is region x year (weather), the effects are normal with a variance each, and the error comes from which
trees were sampled, with a known or moderated variance (:mod:`calibration.spread`). The server fits the effects and
their variances (:func:`fit_prior`); the device weighs what they say of a block against the block's own trees
(:func:`apply_prior`), offline and in closed form.

Sources: empirical Bayes for areas with known sampling variance is Fay and Herriot, Journal of the American Statistical
Association 1979, 74, 269; that its interval has to hold the error of the estimated weight too, Morris, the same 1983,
78, 47. How effects and variances are fitted stands in :mod:`calibration.effects`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, inf, isfinite, sqrt
from typing import Any

import numpy as np

from calibration.effects import fit_effects
from calibration.errors import CalibrationError, require_not_negative
from calibration.estimate import Estimate, satterthwaite
from calibration.spread import TreeSpread, learn_tree_spread

EFFECTS = ("region", "year", "season", "variety")
BLOCK = "block"
# Standard deviations of log α to begin with. They are ours: satellite yield models err by 10 to 20 % between places and
# years. Each counts as one level seen before, which a handful of real ones outweighs.
DEFAULT_SPREAD: Mapping[str, float] = {"region": 0.15, "year": 0.10, "season": 0.10, "variety": 0.10, BLOCK: 0.15}
DEFAULT_WEIGHT = 1.0
CONFLICT = 3.0


@dataclass(frozen=True)
class BlockFactor:
    """What the sampled trees of one block say about its correction factor.

    Attributes:
        log_factor: log α̂, with α̂ = observed / predicted yield of the sampling area.
        variance: of log α̂ from which trees were sampled; the relative variance of their mean yield.
        degrees_of_freedom: of that variance; 0 for a single tree, whose variance is then not looked at.
        trees: sampled trees; where they are more than a few per cent of the block, divided by the share not sampled, as
            the variance is smaller by that share too.
        region: where the yield model may err in its own way, such as a county.
        year: of the harvest.
        variety: of the block.
        other_variance: of log α̂ from what no number of trees takes away (fruit weight, detector, visibility).
    """

    log_factor: float
    variance: float
    degrees_of_freedom: float
    trees: float
    region: str
    year: int
    variety: str
    other_variance: float = 0.0

    def __post_init__(self) -> None:
        if not isfinite(self.log_factor):
            raise CalibrationError(
                f"log_factor is {self.log_factor:g}; it must be a number: "
                "observed and predicted yield must both be above 0"
            )
        for field in ("variance", "other_variance"):
            require_not_negative(getattr(self, field), field, "give the variance of log α, a relative variance")
        if not self.degrees_of_freedom >= 0:
            raise CalibrationError(
                f"degrees_of_freedom is {self.degrees_of_freedom:g}; it must be 0 or more: trees less one"
            )
        if not 1 <= self.trees < inf:
            raise CalibrationError(f"trees is {self.trees:g}; it must be 1 or more: photograph at least one tree")
        place(self.region, self.year, self.variety)


def place(region: str, year: int, variety: str) -> tuple[tuple[str, str], ...]:
    """The effects of a block of this region, year and variety, each as its name and level.

    Raises:
        CalibrationError: a region or variety without a name.
    """
    for field, name in (("region", region), ("variety", variety)):
        if not name:
            raise CalibrationError(f"{field} is empty; name it for the block, the same way everywhere")
    return (("region", region), ("year", str(year)), ("season", f"{region} {year}"), ("variety", variety))


@dataclass(frozen=True)
class Spread:
    """Variance of one effect between its levels.

    Attributes:
        variance: of log α.
        degrees_of_freedom: how well it is known.
    """

    variance: float
    degrees_of_freedom: float

    def __post_init__(self) -> None:
        if not (0 < self.variance < inf and self.degrees_of_freedom >= 1):
            raise _broken(f"a spread of {self.variance:g} with {self.degrees_of_freedom:g} degrees of freedom")


@dataclass(frozen=True)
class FactorPrior:
    """What blocks measured before say about the correction factor of another.

    Attributes:
        levels: the effects seen, each as its name and level; shape (effects,).
        effects: μ, then the effect of each level, on log α; shape (1 + effects,).
        covariance: of their errors; shape (1 + effects, 1 + effects).
        spread: variance of each of :data:`EFFECTS` and of :data:`BLOCK`.
        trees: spread between the trees of a block.
        blocks: how many blocks it was learned from.

    Raises:
        CalibrationError: parts that do not fit together.
    """

    levels: tuple[tuple[str, str], ...]
    effects: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    spread: Mapping[str, Spread]
    trees: TreeSpread
    blocks: int

    def __post_init__(self) -> None:
        size = 1 + len(self.levels)
        if len(self.effects) != size or [len(row) for row in self.covariance] != [size] * size:
            raise _broken(f"{len(self.levels)} levels with {len(self.effects)} effects")
        if not np.isfinite(self.effects).all() or not np.isfinite(self.covariance).all():
            raise _broken("an effect or covariance that is no number")
        if missing := {*EFFECTS, BLOCK} - set(self.spread):
            raise _broken(f"no spread of {', '.join(sorted(missing))}")
        if self.blocks < 1:
            raise _broken(f"{self.blocks} blocks")

    def expect(self, region: str, year: int, variety: str) -> Estimate:
        """Log α of a block that nobody has sampled yet; levels not seen before are as spread as those seen.

        Raises:
            CalibrationError: a region or variety without a name.
        """
        index = {level: i for i, level in enumerate(self.levels, start=1)}
        wanted = place(region, year, variety)
        seen = [0, *(index[level] for level in wanted if level in index)]
        known = float(np.asarray(self.covariance)[np.ix_(seen, seen)].sum())
        block = self.spread[BLOCK]
        unseen = [self.spread[level[0]] for level in wanted if level not in index]
        parts = [
            Estimate(sum(self.effects[i] for i in seen), known + block.variance, block.degrees_of_freedom),
            *(Estimate(0.0, effect.variance, effect.degrees_of_freedom) for effect in unseen),
        ]
        return Estimate(parts[0].value, sum(part.variance for part in parts), satterthwaite(parts))

    def only(self, regions: Collection[str], years: Collection[int]) -> FactorPrior:
        """The part that devices of some regions need, as small as a document should be; what it says is unchanged."""
        named = {("year", str(year)) for year in years} | {("region", region) for region in regions}
        named |= {("season", f"{region} {year}") for region in regions for year in years}
        kept = [i for i, level in enumerate(self.levels) if level[0] == "variety" or level in named]
        rows = [0, *(i + 1 for i in kept)]
        return FactorPrior(
            tuple(self.levels[i] for i in kept),
            tuple(self.effects[i] for i in rows),
            tuple(tuple(self.covariance[i][j] for j in rows) for i in rows),
            self.spread,
            self.trees,
            self.blocks,
        )

    def to_document(self) -> dict[str, Any]:
        """Plain values that JSON holds without loss; :func:`prior_from_document` reads them."""
        return asdict(self)


def prior_from_document(document: Mapping[str, Any]) -> FactorPrior:
    """The prior whose ``to_document`` gave these values.

    Raises:
        CalibrationError: a value that is missing, of the wrong kind or impossible.
    """
    try:
        return FactorPrior(
            levels=tuple((str(effect), str(level)) for effect, level in document["levels"]),
            effects=tuple(map(float, document["effects"])),
            covariance=tuple(tuple(map(float, row)) for row in document["covariance"]),
            spread={effect: Spread(**values) for effect, values in document["spread"].items()},
            trees=TreeSpread(**document["trees"]),
            blocks=int(document["blocks"]),
        )
    except CalibrationError:
        raise
    except KeyError as error:
        raise _broken(f"no {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise _broken(f"values of another kind ({error})") from error


@dataclass(frozen=True)
class PooledFactor:
    """The correction factor of a block, from its own trees and from what is known of others.

    Attributes:
        log_factor: log α.
        own_weight: share of the block's own trees in it, between 0 and 1; the rest is the prior's.
        conflict: how far the block's trees lie from what the prior expects, in standard deviations of that difference.
        warnings: what the reader should know before relying on it.
    """

    log_factor: Estimate
    own_weight: float
    conflict: float
    warnings: tuple[str, ...]

    @property
    def factor(self) -> Estimate:
        """α, the median of its distribution; its ``positive_interval`` is that of log α."""
        value, log = exp(self.log_factor.value), self.log_factor
        return Estimate(value, value**2 * log.variance, log.degrees_of_freedom)


def fit_prior(blocks: Sequence[BlockFactor]) -> FactorPrior:
    """Learn from measured blocks what to expect of others; the server runs it.

    Args:
        blocks: one row a block and year.

    Raises:
        CalibrationError: no block.
    """
    if not blocks:
        raise CalibrationError("blocks is empty; a prior needs at least one block with a measured correction factor")
    spread = learn_tree_spread(
        np.array([block.variance * block.trees for block in blocks], dtype=np.float64),
        np.array([block.degrees_of_freedom for block in blocks], dtype=np.float64),
    )
    places = [place(block.region, block.year, block.variety) for block in blocks]
    levels = sorted({level for levels in places for level in levels})
    fitted = fit_effects(
        np.array([block.log_factor for block in blocks], dtype=np.float64),
        np.array([_error_variance(block, spread)[0] for block in blocks], dtype=np.float64),
        np.array([[level in held for level in levels] for held in map(set, places)]),
        np.array([EFFECTS.index(effect) for effect, _ in levels], dtype=np.intp),
        np.array([(DEFAULT_SPREAD[effect] ** 2, DEFAULT_WEIGHT) for effect in (*EFFECTS, BLOCK)]),
    )
    pairs = zip(fitted.variances.tolist(), fitted.degrees_of_freedom.tolist(), strict=True)
    return FactorPrior(
        levels=tuple(levels),
        effects=tuple(fitted.values.tolist()),
        covariance=tuple(map(tuple, fitted.covariance.tolist())),
        spread={effect: Spread(*pair) for effect, pair in zip((*EFFECTS, BLOCK), pairs, strict=True)},
        trees=spread,
        blocks=len(blocks),
    )


def apply_prior(prior: FactorPrior, block: BlockFactor) -> PooledFactor:
    """Weigh a block's own trees against what other blocks let expect; the device runs it, offline.

    The weights are the inverse variances. The variance of the result holds, beside that of a weighted mean, what comes
    from not knowing the two variances: their ratio sets the weight, so its error moves the result along the difference
    between the two (delta method).

    Args:
        prior: as the server fitted it; it should not have seen this block's own measurement.
        block: what the block's sampled trees say.
    """
    expected = prior.expect(block.region, block.year, block.variety)
    error, error_degrees = _error_variance(block, prior.trees)
    together = expected.variance + error
    weight = expected.variance / together
    difference = block.log_factor - expected.value
    # weights w and 1 - w: d w / d log(variance ratio) = w (1 - w), and a log variance errs by 2 / degrees of freedom
    rest = 1 - weight
    weight_variance = (weight * rest) ** 2 * (2 / expected.degrees_of_freedom + 2 / error_degrees)
    variance = weight * error + weight_variance * difference**2
    doubt = rest**2 / expected.degrees_of_freedom + weight**2 / error_degrees
    conflict = difference / sqrt(together)
    return PooledFactor(
        log_factor=Estimate(expected.value + weight * difference, variance, 1 / doubt if doubt else inf),
        own_weight=weight,
        conflict=conflict,
        warnings=_warnings(conflict, block.log_factor, expected.value),
    )


def _error_variance(block: BlockFactor, spread: TreeSpread) -> tuple[float, float]:
    of_a_tree, degrees = spread.moderate(block.variance * block.trees, block.degrees_of_freedom)
    return of_a_tree / block.trees + block.other_variance, degrees


def _warnings(conflict: float, own: float, expected: float) -> tuple[str, ...]:
    if abs(conflict) <= CONFLICT:
        return ()
    told = (
        f"the sampled trees give a correction factor of {exp(own):.2f} where blocks like this one had "
        f"{exp(expected):.2f}: check the fruit weight, the area and which trees were sampled, and sample more trees"
    )
    return (told,)


def _broken(what: str) -> CalibrationError:
    return CalibrationError(f"the prior of the correction factor holds {what}; fetch it again or fit it anew")
