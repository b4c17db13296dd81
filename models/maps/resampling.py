"""Intervals from resamples of whole spatial blocks, since points of a block are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A figure with its interval; the limits are NaN where too few resamples had the figure."""

    value: float
    low: float
    high: float


def resampled(matrices: Matrix, resamples: int, seed: int) -> Matrix:
    """Sums of as many blocks as there are, drawn with replacement: (blocks, ...) to (resamples, ...)."""
    number = len(matrices)
    times = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=resamples)
    return np.tensordot(times, matrices, axes=1)


def limits(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Percentile limits of resampled figures; NaN where most resamples have no such figure."""
    known = values[np.isfinite(values)]
    if len(known) < len(values) / 2:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
