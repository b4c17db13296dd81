"""What the reader should know before relying on a correction factor, in words that say what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np

from calibration.errors import FloatArray
from calibration.intervals import student_t_quantile

PLAUSIBLE_FACTOR = (0.3, 3.0)
FEW_TREES = 10
_LEAST_TREES = 4
_CHANCE = 0.01
# Standard deviations of the orchard's cells; from half a one on, adjusting by a model is not to be trusted (Rubin,
# Health Services and Outcomes Research Methodology 2001, 2, 169).
UNLIKE = 0.5


def implausible_factor(factor: float) -> tuple[str, ...]:
    """Of a correction factor that is more likely a wrong unit than a wrong model."""
    low, high = PLAUSIBLE_FACTOR
    if low <= factor <= high:
        return ()
    return (
        (
            f"the correction factor {factor:.2f} lies outside {low:g} to {high:g}: check the fruit weight, the area of "
            "the sampled trees and the units of the predictions"
        ),
    )


def few_trees(trees: int) -> tuple[str, ...]:
    """Of a sample too small to rely on."""
    if trees >= FEW_TREES:
        return ()
    return (f"only {trees} trees were sampled: photograph at least {FEW_TREES}",)


def one_tree_carries(values: FloatArray, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Of a tree that is no tree like the others and moves the mean by more than its standard error without it.

    The first is Student's t of its distance from the others, at one chance in a hundred over all trees; the second is
    the bound of Belsley, Kuh and Welsch, Regression Diagnostics 1980, 2.1, for small samples.

    Args:
        values: (trees,) yield or fruit of each sampled tree.
        names: code of each; None counts them.
    """
    trees = len(values)
    if trees < _LEAST_TREES:
        return ()
    total, squares = values.sum(), np.square(values - values.mean())
    rest = (total - values) / (trees - 1)
    variance = (squares.sum() - squares * trees / (trees - 1)).clip(min=0) / (trees - 2)
    change = np.abs(values.mean() - rest)
    farthest = int(np.argmax(change))
    # the mean of all lies (value - mean of the others) / trees from the others' mean
    of_chance = student_t_quantile(1 - _CHANCE / (2 * trees), trees - 2) / sqrt(trees - 1)
    if change[farthest] <= max(1.0, of_chance) * sqrt(variance[farthest] / trees) or not rest[farthest]:
        return ()
    name = names[farthest] if names is not None else f"number {farthest + 1}"
    share = float(values.mean() / rest[farthest]) - 1
    told = f"tree {name} alone moves the estimate by {share * 100:+.0f} %"
    return (f"{told}: look at its photos again, and photograph more trees",)


def unlike_orchard(sampled: Mapping[str, FloatArray], orchard: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """Of a sampling area that the satellite sees as another kind of orchard than the rest.

    Args:
        sampled: by satellite feature, its value in the cell of each sampled tree.
        orchard: by satellite feature, its value in each cell of the orchard; NaN where there is none.
    """
    apart = {}
    for feature, cells in orchard.items():
        spread = float(np.nanstd(cells))
        if feature in sampled and spread > 0:
            apart[feature] = (float(np.nanmean(sampled[feature])) - float(np.nanmean(cells))) / spread
    far = {feature: distance for feature, distance in apart.items() if abs(distance) > UNLIKE}
    if not far:
        return ()
    worst = max(far, key=lambda feature: abs(far[feature]))
    others = f", and {len(far) - 1} more" if len(far) > 1 else ""
    return (
        (
            f"the sampled trees stand where the satellite sees another orchard ({worst} by {far[worst]:+.1f} standard "
            f"deviations{others}): sample trees over all of it"
        ),
    )
