"""Two sides of a tree, and trees behind it: from counts of photos to the count of a tree.

A fruit may show on the photos of both sides, so their sum is too many, and the larger side too few. Three ways are
known; which was taken is kept with the estimate. A photo also shows neighbours: either their fruit was told apart, or a
share is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibration.errors import CalibrationError, FloatArray, Numbers, require_numbers, require_positive
from calibration.estimate import Estimate, exact
from calibration.ratios import ratio_of_totals
from calibration.shared_factors import SharedFactor
from calibration.visibility import BACKGROUND, BOTH_SIDES, LEAST_TREES

_COUNT_AGAIN = "count the side again, or leave the tree out"
LARGER_SIDE = SharedFactor(BOTH_SIDES, exact(1.0), "the larger side")
# Share of the sum that is there twice before anybody has looked. It lies between none, where leaves are dense, and a
# half, where a wall of fruit is one fruit deep; an assumption of ours, worth as much as five orchards measured.
DEFAULT_SEEN_TWICE = Estimate(0.15, 0.08**2, 4)


@dataclass(frozen=True)
class JoinedCounts:
    """One count a tree, and what remains to be multiplied.

    Attributes:
        counts: (trees,) fruit.
        sides: the way the sides were joined.
    """

    counts: FloatArray
    sides: SharedFactor


def larger_side(first: Numbers, second: Numbers) -> JoinedCounts:
    """The fuller side stands for the tree; what only the other shows is left to visibility.

    Args:
        first: count of one side of each tree.
        second: count of the other side.

    Raises:
        CalibrationError: a count that is negative or no number, or sides of other trees.
    """
    one, other = _both(first, second)
    return JoinedCounts(np.maximum(one, other), LARGER_SIDE)


def both_sides(first: Numbers, second: Numbers, seen_twice: Estimate) -> JoinedCounts:
    """The sum of both sides, less the share that was counted on each.

    Args:
        first: count of one side of each tree.
        second: count of the other side.
        seen_twice: share of the sum that is there twice, from :func:`share_seen_twice`.

    Raises:
        CalibrationError: a count that is negative or no number, sides of other trees, or a share that is none.
    """
    one, other = _both(first, second)
    return JoinedCounts(one + other, seen_twice_taken_off(seen_twice))


def one_side(counts: Numbers, factor: Estimate) -> JoinedCounts:
    """One side of each tree, times what both show for each fruit of one.

    Args:
        counts: count of the photographed side of each tree.
        factor: from :func:`side_factor`.

    Raises:
        CalibrationError: a count that is negative or no number, or a factor that is not above zero.
    """
    return JoinedCounts(require_numbers(counts, "count of a side", _COUNT_AGAIN), times_for_both(factor))


def seen_twice_taken_off(share: Estimate) -> SharedFactor:
    """What the sum of both sides is multiplied by.

    Args:
        share: share of the sum that is there twice, from :func:`share_seen_twice`.

    Raises:
        CalibrationError: a share that is negative, or a half or more.
    """
    if not 0 <= share.value < 0.5:
        raise CalibrationError(
            f"share seen twice is {share.value:g}; it must be at least 0 and below a half: each such fruit is "
            "counted twice and taken off once"
        )
    kept = Estimate(1 - share.value, share.variance, share.degrees_of_freedom)
    return SharedFactor(BOTH_SIDES, kept, f"sum of both sides, {share.value * 100:.1f} % taken off as seen twice")


def times_for_both(factor: Estimate) -> SharedFactor:
    """What one side is multiplied by.

    Args:
        factor: from :func:`side_factor`.

    Raises:
        CalibrationError: a factor that is not above zero.
    """
    require_positive(factor.value, "factor of one side", "learn it from trees photographed on both sides")
    return SharedFactor(BOTH_SIDES, factor, f"one side, times {factor.value:.2f} for both")


def unknown_seen_twice() -> SharedFactor:
    """What the sum of both sides is multiplied by before anybody has looked what both show; with a warning."""
    taken_off = seen_twice_taken_off(DEFAULT_SEEN_TWICE)
    return replace(taken_off, choice=f"{taken_off.choice}, assumed", warnings=(_unknown(taken_off.choice),))


def unknown_side_factor() -> SharedFactor:
    """What one side is multiplied by before anybody has looked: sides are alike and share what is assumed."""
    twice = DEFAULT_SEEN_TWICE
    times = times_for_both(Estimate(2 * (1 - twice.value), 4 * twice.variance, twice.degrees_of_freedom))
    return replace(times, choice=f"{times.choice}, assumed", warnings=(_unknown(times.choice),))


def _unknown(choice: str) -> str:
    return (
        f"how much fruit shows on both sides of a tree is not known, and was assumed ({choice}): photograph "
        f"{LEAST_TREES} or more trees from both sides and count the fruit on each that can be seen from both"
    )


def share_seen_twice(first: Numbers, second: Numbers, on_both: Numbers) -> Estimate:
    """Share of the sum of both sides' counts that is there twice, from trees where somebody looked.

    Args:
        first: count of one side of each tree.
        second: count of the other side.
        on_both: fruit that both photos show; marked on the tree or found in both photos.

    Raises:
        CalibrationError: fewer than two trees, or counts that are negative or of other trees.
    """
    one, other = _both(first, second)
    return ratio_of_totals(on_both, one + other, "share seen twice")


def side_factor(photographed: Numbers, both: Numbers) -> Estimate:
    """Fruit of both sides for each one on the photographed side, from trees counted on both.

    Args:
        photographed: count of the side that is photographed elsewhere.
        both: fruit of the same trees on both sides, none twice.

    Raises:
        CalibrationError: fewer than two trees, or counts that are negative or of other trees.
    """
    return ratio_of_totals(both, photographed, "factor of one side")


def target_tree_only() -> SharedFactor:
    """Fruit of neighbours was told apart, by position, by a drawn region or by a person."""
    return SharedFactor(BACKGROUND, exact(1.0), "fruit of the target tree only")


def whole_photo() -> SharedFactor:
    """All fruit of the photo counts, whosever it is; with a warning."""
    return SharedFactor(
        BACKGROUND,
        exact(1.0),
        "whole photo",
        warnings=("fruit of neighbouring trees in a photo counts too: tell a few trees' own fruit to learn how much",),
    )


def own_share(own: Numbers, counted: Numbers) -> SharedFactor:
    """Share of the counted fruit that is the target tree's, from a few trees where a person told them apart.

    Args:
        own: fruit of the target tree among those counted.
        counted: all fruit counted in its photos.

    Raises:
        CalibrationError: fewer than two trees, more own fruit than counted, or counts that are negative.
    """
    share = ratio_of_totals(own, counted, "share of the target tree's own fruit")
    if (np.asarray(own) > np.asarray(counted)).any():
        raise CalibrationError("own: more fruit of the target tree than were counted; count that tree again")
    return SharedFactor(
        BACKGROUND, share, f"{(1 - share.value) * 100:.1f} % neighbours' fruit, told on {len(own)} trees"
    )


def _both(first: Numbers, second: Numbers) -> tuple[FloatArray, FloatArray]:
    one = require_numbers(first, "count of the first side", _COUNT_AGAIN)
    other = require_numbers(second, "count of the second side", _COUNT_AGAIN)
    if len(one) != len(other):
        raise CalibrationError(
            f"the second side has {len(other)} counts and the first {len(one)}; photograph both sides of each tree, or "
            "count one side with a factor"
        )
    return one, other
