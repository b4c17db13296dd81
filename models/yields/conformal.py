"""Intervals from errors on years that were left out (conformal prediction, grouped by year).

Rows of one year err together, so a row of a new year is like a row of another year that was left out, not like other
rows of its own. Each year counts the same, however many rows it has (the pooled distribution of Dunn, Wasserman and
Ramdas, Journal of the American Statistical Association 2023, 118, 2491). With as few years as there usually are this is
no guarantee for every year; what the intervals cover is measured on years that nothing was fitted to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.yields.table import FloatArray, TableError

CONFIDENCE = 0.9


def half_width(errors: FloatArray, years: NDArray[np.int64], confidence: float = CONFIDENCE) -> float:
    """Distance from the prediction to both ends of its interval.

    Args:
        errors: (n,) prediction less yield of rows whose year was left out of the fit.
        years: (n,) of these rows.
        confidence: share of yields to lie inside.

    Raises:
        TableError: fewer than two years, a confidence that cannot be, or errors that are no numbers.
    """
    if not 0 < confidence < 1:
        raise TableError(f"a confidence of {confidence:g} cannot be; use one between 0 and 1, such as 0.9")
    if not np.isfinite(errors).all():
        raise TableError("some errors are no numbers; leave every year out once before asking for intervals")
    names, group, counts = np.unique(years, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise TableError(f"errors of {len(names)} year tell nothing of another; leave out two years at least")
    share = 1 / (len(names) * counts[group])
    order = np.argsort(np.abs(errors))
    # as if the new row itself, of a weight like the others', had the largest error
    covered = np.cumsum(share[order]) * len(errors) / (len(errors) + 1)
    reached = np.flatnonzero(covered >= confidence - 1e-12)
    return float(np.abs(errors[order[reached[0] if len(reached) else -1]]))


def coverage(yields: FloatArray, predicted: FloatArray, half_widths: FloatArray) -> float:
    """Share of yields within their intervals."""
    return float((np.abs(predicted - yields) <= half_widths).mean())
