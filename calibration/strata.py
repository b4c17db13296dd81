"""Strata: trees that are alike, by their vigour or by what they bore before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError, FloatArray
from calibration.guard_rails import FEW_TREES
from calibration.plan import Population, Whole
from calibration.spread import TreeSpread

STRATA = 4
# a stratum of fewer trees than this says more of its trees than of a kind of tree
_FEWEST = 10
_BINS = 100
# how many degrees of freedom the strata's common spread counts beside a stratum's own
_COMMON = 4.0


def cut_strata(values: FloatArray, strata: int = STRATA) -> NDArray[np.intp]:
    """Divide trees by a value of each, so that the roots of the values' frequencies add up alike in every stratum.

    Trees whose value is not known make a stratum of their own. A value of few levels, such as a class of vigour, is
    taken as it is. Source: Dalenius and Hodges, Journal of the American Statistical Association 1959, 54, 88; beyond
    four to six strata little is gained (Cochran, Sampling Techniques, 3rd edition 1977, 5A.8).

    Args:
        values: (N,) vigour or past count of each tree, NaN where unknown.
        strata: how many at most; fewer where that would leave fewer than ten trees in each.

    Returns:
        (N,) stratum of each tree, from 0, the lowest values first and the unknown last.

    Raises:
        CalibrationError: no tree has a value, one is infinite, or fewer than two strata are wanted.
    """
    known = ~np.isnan(values)
    if not known.any() or np.isinf(values).any():
        raise CalibrationError("vigour of the trees is unknown or infinite; give each tree a number, or plan without")
    if strata < 2:
        raise CalibrationError(f"number of strata is {strata}; use two or more, or another design")
    levels, of_known = np.unique(values[known], return_inverse=True)
    if len(levels) > strata:
        most = max(1, min(strata, int(known.sum()) // _FEWEST))
        of_known = np.searchsorted(_boundaries(values[known], most), values[known], side="right")
        _, of_known = np.unique(of_known, return_inverse=True)
    labels = np.full(len(values), of_known.max() + 1)
    labels[known] = of_known
    return labels


def _boundaries(values: FloatArray, strata: int) -> FloatArray:
    numbers, edges = np.histogram(values, bins=_BINS)
    climbed = np.cumsum(np.sqrt(numbers))
    wanted = climbed[-1] * np.arange(1, strata) / strata
    return np.asarray(edges[1:][np.searchsorted(climbed, wanted)])


def stratum_spread(counts: FloatArray, labels: NDArray[np.intp], sizes: Whole) -> Population | None:
    """The population with the spread inside each stratum that an earlier visit showed.

    A stratum's own variance is drawn towards the strata's common one, since few of its trees were counted.

    Args:
        counts: (n,) count of each tree of the visit.
        labels: (n,) stratum of each of these trees.
        sizes: (L,) number of trees in each stratum.

    Returns:
        The population; None where fewer than ten trees, or fewer than two of some stratum, were counted, or none bore.
    """
    own = [counts[labels == stratum] for stratum in range(len(sizes))]
    if len(counts) < FEW_TREES or any(len(part) < min(2, size) for part, size in zip(own, sizes, strict=True)):
        return None
    mean = float(sizes @ np.array([part.mean() for part in own]) / sizes.sum())
    if not mean:
        return None
    freedom = np.array([len(part) - 1.0 for part in own])
    variances = np.array([part.var(ddof=1) if len(part) > 1 else 0.0 for part in own]) / mean**2
    common = float(freedom @ variances / freedom.sum())
    if common:
        spread = TreeSpread(common, _COMMON)
        variances = np.array([spread.moderate(v, d)[0] for v, d in zip(variances, freedom, strict=True)])
    return Population(sizes, variances, float(freedom.sum()) / (1 + 2 * common))
