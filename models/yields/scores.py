"""How far predictions are from yields, with bootstrap intervals, alone and of two models in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from models.yields.table import FloatArray

RESAMPLES = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value and where it lies with 95 % confidence, by the percentiles of the bootstrap.

    Percentiles and no normal half width: a resample of hardly any variance has an R² far below all others.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the distance of the ends."""
        return (self.high - self.low) / 2


def mae(yields: FloatArray, predicted: FloatArray) -> FloatArray:
    """Mean absolute error over the last axis."""
    return np.asarray(np.abs(predicted - yields).mean(axis=-1))


def rmse(yields: FloatArray, predicted: FloatArray) -> FloatArray:
    """Root of the mean squared error over the last axis."""
    return np.asarray(np.sqrt(((predicted - yields) ** 2).mean(axis=-1)))


def mape(yields: FloatArray, predicted: FloatArray) -> FloatArray:
    """Mean absolute error in per cent of the yield, over the last axis."""
    return np.asarray(100 * np.abs(predicted / yields - 1).mean(axis=-1))


def r_squared(yields: FloatArray, predicted: FloatArray) -> FloatArray:
    """Share of the yields' variance that is predicted, over the last axis; below 0 where their mean does better."""
    spread = ((yields - yields.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    return np.asarray(1 - ((predicted - yields) ** 2).sum(axis=-1) / np.maximum(spread, np.finfo(float).tiny))


METRICS: Mapping[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "MAE": mae,
    "RMSE": rmse,
    "MAPE": mape,
    "R²": r_squared,
}


def bootstrap(yields: FloatArray, predicted: FloatArray, seed: int = 0) -> dict[str, Interval]:
    """Each metric with its interval, from 1000 resamples of the rows with replacement.

    Args:
        yields: (n,) of the test rows.
        predicted: (n,) for them.
        seed: of the resamples.
    """
    chosen = _resamples(len(yields), seed)
    return {name: _interval(yields, predicted, metric, chosen) for name, metric in METRICS.items()}


def paired_difference(yields: FloatArray, ours: FloatArray, theirs: FloatArray, seed: int = 0) -> Interval:
    """RMSE of ours less RMSE of theirs on the same resamples; below 0 where ours is better."""
    chosen = _resamples(len(yields), seed)
    differences = rmse(yields[chosen], ours[chosen]) - rmse(yields[chosen], theirs[chosen])
    return Interval(float(rmse(yields, ours) - rmse(yields, theirs)), *_ends(differences))


def paired_skill(yields: FloatArray, ours: FloatArray, theirs: FloatArray, seed: int = 0) -> Interval:
    """Per cent of their squared error that ours takes away, on the same resamples; below 0 where theirs is better."""
    chosen = _resamples(len(yields), seed)
    shares = 100 * (1 - (rmse(yields[chosen], ours[chosen]) / rmse(yields[chosen], theirs[chosen])) ** 2)
    return Interval(float(100 * (1 - (rmse(yields, ours) / rmse(yields, theirs)) ** 2)), *_ends(shares))


def _resamples(rows: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.random.default_rng(seed).integers(rows, size=(RESAMPLES, rows))


def _interval(
    yields: FloatArray,
    predicted: FloatArray,
    metric: Callable[[FloatArray, FloatArray], FloatArray],
    chosen: np.ndarray[tuple[int, int], np.dtype[np.int64]],
) -> Interval:
    return Interval(float(metric(yields, predicted)), *_ends(metric(yields[chosen], predicted[chosen])))


def _ends(values: FloatArray) -> tuple[float, float]:
    tail = 100 * (1 - _CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
