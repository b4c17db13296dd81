"""Whether a walk that stops at every so-manieth tree keeps step with something that repeats along it.

A systematic sample whose step is a multiple of such a period (a pollinator every tenth tree, a headland at each row's
end, every other row of another variety) sees one phase of it only, and its own variance cannot tell. So each thing
that can tell is asked: the sampled counts, the places of the sampled trees, and past figures of all trees if known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from calibration.errors import CalibrationError, FloatArray, Numbers, require_numbers

_LEAST_TREES = 12
# chance of a false alarm where counts are independent
_SIGNIFICANCE = 0.01
_START_ANEW = "photograph the same number of trees chosen at random, or with another step"


def regular_counts(counts: FloatArray) -> tuple[str, ...]:
    """Of counts that go up and down in step with the walk.

    The largest peak of the periodogram, trend taken off and long waves left out since patches make them, against the
    sum of all (Fisher, Proceedings of the Royal Society A 1929, 125, 54; the first term of his series).

    Args:
        counts: (trees,) in the order walked.
    """
    trees = len(counts)
    if trees < _LEAST_TREES:
        return ()
    at = np.arange(trees) - (trees - 1) / 2
    rest = counts - counts.mean() - at * (at @ counts) / (at @ at)
    # at half the sampling rate there is one degree of freedom where the others have two; it is left out
    power = np.square(np.abs(np.fft.rfft(rest)))[3 : (trees + 1) // 2]
    if not power.any():
        return ()
    share = float(power.max() / power.sum())
    if len(power) * (1 - share) ** (len(power) - 1) > _SIGNIFICANCE:
        return ()
    period = trees / (3 + int(np.argmax(power)))
    return (
        (
            f"counts go up and down about every {period:.1f} sampled trees: the walk may keep step with the planting, "
            f"and then the interval is wrong; {_START_ANEW}"
        ),
    )


def aligned_places(places: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Of sampled trees that stand in one or two lines across the rows.

    Args:
        places: row and place in it of each sampled tree, in the order walked.
    """
    if len(places) < _LEAST_TREES or len({row for row, _ in places}) < len(places) / 2:
        return ()
    lines = Counter(place for _, place in places).most_common(2)
    if sum(trees for _, trees in lines) < len(places):
        return ()
    return (
        (
            f"all sampled trees stand at place {' or '.join(map(str, dict(lines)))} of their rows: they see one "
            f"line across the block; {_START_ANEW}"
        ),
    )


def step_against_frame(figures: Numbers, trees: int) -> tuple[str, ...]:
    """Of a step that keeps time with what past counts or vigour show; asked before the walk.

    The variance between the means of all such walks is compared with that between random samples of the same number.

    Args:
        figures: a figure of every tree of the block, in the order walked.
        trees: number of trees to be sampled.

    Raises:
        CalibrationError: fewer figures than trees, or one that is negative or no number.
    """
    numbers = require_numbers(figures, "past figure of a tree", "leave the past figures out", least=2)
    if not 2 <= trees <= len(numbers):
        raise CalibrationError(f"trees is {trees}; it must be at least 2 and at most the {len(numbers)} of the block")
    step = len(numbers) // trees
    if step < 2:
        return ()
    starts = numbers[: step * trees].reshape(trees, step)
    of_walks = float(starts.mean(axis=0).var(ddof=1))
    of_chance = float(numbers.var(ddof=1)) / trees * (1 - trees / len(numbers))
    if of_walks <= of_chance * _largest_by_chance(step - 1):
        return ()
    return (
        (
            f"a walk that stops at every {step}. tree keeps step with a pattern in the past figures (such walks "
            f"differ {np.sqrt(of_walks / of_chance):.1f} times as much as random samples); {_START_ANEW}"
        ),
    )


def _largest_by_chance(degrees_of_freedom: int) -> float:
    """χ² over its degrees of freedom, exceeded once in a hundred (Wilson and Hilferty, PNAS 1931, 17, 684)."""
    spread = 2 / (9 * degrees_of_freedom)
    return float((1 - spread + NormalDist().inv_cdf(1 - _SIGNIFICANCE) * np.sqrt(spread)) ** 3)
