"""What the camera misses: fruit there for each one counted, learned from trees that were also counted by hand.

Both counts err, so a regression of one on the other is pulled towards zero. With errors in proportion to the fruit, as
counts have them (Poisson, or any multiple of it), the errors-in-variables slope through the origin has a closed form:
if the camera's count x of tree i is Poisson with mean θ and the hand's count y Poisson with mean Vθ, the likelihood is
greatest at θ = (x + y) / (1 + V) and V = Σy / Σx, the ratio of totals. It is unbiased in large samples whatever the
errors in x are, as long as they are zero on average (the constant is an instrument; Fuller, Measurement Error Models
1987, 1.4), and it weighs each tree by its fruit, as the orchard's total does. Whether V falls with the load, as it
does where leaves are dense, is told by Deming's regression of the logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from calibration.errors import CalibrationError, FloatArray, require_not_negative
from calibration.estimate import Estimate, exact, weighted_sum
from calibration.intervals import student_t_quantile
from calibration.ratios import ratio_of_totals
from calibration.shared_factors import DETECTOR, SharedFactor

VISIBILITY = "visibility"
BOTH_SIDES = "both sides"
BACKGROUND = "background fruit"
LEAST_TREES = 5
# what the counts were that hand counts are held against, and which factors are then in the visibility already
Basis = Literal["machine", "reviewed", "own fruit seen"]
_INCLUDED: dict[Basis, frozenset[str]] = {
    "machine": frozenset({DETECTOR, BOTH_SIDES, BACKGROUND}),
    "reviewed": frozenset({BOTH_SIDES, BACKGROUND}),
    "own fruit seen": frozenset(),
}
# How far visibility differs between orchards before anybody has measured it: relative, an assumption of ours, worth as
# much as five orchards that were.
BETWEEN_ORCHARDS = Estimate(0.0, 0.10**2, 4)
# trees from which on a change with the load can be told from chance
_LOAD_TREES = 8


@dataclass(frozen=True)
class HandCount:
    """A tree whose fruit was also counted by hand, at the same stage as its photos were taken.

    Attributes:
        counted: its count from photos; which one, :func:`visibility_of` is told.
        by_hand: all fruit on it, hidden ones too.
        orchard: name of its orchard.
        variety: its variety.
        training: how it is trained, such as ``spindle``.
        stage: the growth stage.
    """

    counted: float
    by_hand: float
    orchard: str
    variety: str
    training: str
    stage: str

    def __post_init__(self) -> None:
        for field in ("counted", "by_hand"):
            require_not_negative(getattr(self, field), f"{field} of a tree", "count the tree again")


@dataclass(frozen=True)
class TreeKind:
    """What visibility depends on.

    Attributes:
        orchard: name of the orchard.
        variety: variety.
        training: how trees are trained.
        stage: the growth stage.
    """

    orchard: str
    variety: str
    training: str
    stage: str


def unknown_visibility() -> SharedFactor:
    """Every fruit taken as seen, as the apple framework does without saying so; with a warning."""
    return SharedFactor(
        VISIBILITY,
        exact(1.0),
        "all fruit taken as seen",
        warnings=(
            f"fruit that no photo shows is not counted: count {LEAST_TREES} or more trees by hand to learn how much",
        ),
    )


def visibility_of(kind: TreeKind, trees: Sequence[HandCount], basis: Basis) -> SharedFactor:
    """Fruit there for each one counted, from the trees counted by hand that are most alike.

    Trees of the orchard itself go first; then those of the same variety, training and stage elsewhere, of the same
    training and stage, and of the same stage. What is learned elsewhere holds the variance between orchards.

    Args:
        kind: the trees it is needed for.
        trees: trees counted by hand.
        basis: what their ``counted`` is: the detector's count of their photos, its sides joined as the visit's are, or
            a person's; the bias of the detector, what sides share and neighbours' fruit are then in the visibility and
            are not applied again. Or only the tree's own fruit seen, each once.

    Raises:
        CalibrationError: an unknown basis, or trees without fruit.
    """
    if basis not in _INCLUDED:
        raise CalibrationError(f"basis {basis!r} is unknown; known are {', '.join(_INCLUDED)}")
    for fields in (
        ("orchard", "variety", "training", "stage"),
        ("variety", "training", "stage"),
        ("training", "stage"),
        ("stage",),
    ):
        alike = [tree for tree in trees if all(getattr(tree, field) == getattr(kind, field) for field in fields)]
        if len(alike) >= LEAST_TREES:
            return _fit(alike, basis, f"same {', '.join(fields)}", None if "orchard" in fields else kind.orchard)
    return unknown_visibility()


def _fit(trees: Sequence[HandCount], basis: Basis, alike: str, orchard: str | None) -> SharedFactor:
    """With the variance between orchards where trees of another kind stand in for those of an orchard."""
    counted = np.array([tree.counted for tree in trees], dtype=np.float64)
    by_hand = np.array([tree.by_hand for tree in trees], dtype=np.float64)
    factor, where = ratio_of_totals(by_hand, counted, VISIBILITY), ""
    if orchard is not None:
        orchards = [tree.orchard for tree in trees]
        factor = weighted_sum([factor, _of_another_orchard(by_hand, counted, orchards)], [1, factor.value])
        where = _where(set(orchards), orchard)
    choice = f"{len(trees)} trees{where} counted by hand, {alike}; against {basis}"
    return SharedFactor(VISIBILITY, factor, choice, _INCLUDED[basis], _load_warning(counted, by_hand))


def _where(orchards: set[str], orchard: str) -> str:
    others = len(orchards - {orchard})
    if not others:
        return " here"
    return f"{' here and' * (orchard in orchards)} in {others} other orchard(s)"


def _of_another_orchard(by_hand: FloatArray, counted: FloatArray, orchards: Sequence[str]) -> Estimate:
    """How far visibility in one more orchard may lie from the mean of these, relative to it."""
    names, index = np.unique(np.array(orchards), return_inverse=True)
    seen_there = np.bincount(index, weights=counted)
    if not seen_there.all():
        bare = names[np.argmin(seen_there)]
        raise CalibrationError(f"counted: no fruit was counted on the trees of orchard {bare}; leave them out")
    ratios = np.bincount(index, weights=by_hand) / seen_there
    default, degrees = BETWEEN_ORCHARDS, len(names) - 1
    seen = float(np.square(ratios / ratios.mean() - 1).sum())
    together = default.degrees_of_freedom + degrees
    between = (default.degrees_of_freedom * default.variance + seen) / together
    return Estimate(0.0, between * (1 + 1 / len(names)), together)


def _load_warning(counted: FloatArray, by_hand: FloatArray) -> tuple[str, ...]:
    bearing = (counted > 0) & (by_hand > 0)
    if bearing.sum() < _LOAD_TREES:
        return ()
    slope = deming_slope(np.log(counted[bearing]), np.log(by_hand[bearing]))
    margin = student_t_quantile(0.975, slope.degrees_of_freedom) * sqrt(slope.variance)
    if abs(slope.value - 1) <= margin:
        return ()
    share = "larger" if slope.value > 1 else "smaller"
    warning = (
        f"trees with much fruit hide a {share} share of it (slope {slope.value:.2f} of the logarithms): count by hand "
        "trees as laden as the sampled ones"
    )
    return (warning,)


def deming_slope(x: FloatArray, y: FloatArray) -> Estimate:
    """Slope of y on x where both err alike (Deming, Statistical Adjustment of Data 1943); variance of the jackknife.

    Args:
        x: (N,) measured with error.
        y: (N,) measured with error of the same variance.
    """
    trees = len(x)
    kept = ~np.eye(trees, dtype=bool)
    left_out = np.array([_slope(x[rows], y[rows]) for rows in kept])
    variance = (trees - 1) / trees * float(np.square(left_out - left_out.mean()).sum())
    return Estimate(_slope(x, y), variance, trees - 2)


def _slope(x: FloatArray, y: FloatArray) -> float:
    (xx, xy), (_, yy) = np.cov(x, y)
    return float((yy - xx + np.hypot(yy - xx, 2 * xy)) / (2 * xy)) if xy > 0 else 0.0
