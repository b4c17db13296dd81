"""How far maps are from yields and crops; whole fields are resampled, since pixels of a field err together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.maps.accuracy import scores
from models.maps.resampling import Interval, limits

FloatArray = NDArray[np.float64]
_RESAMPLES = 2000
_LEVEL = 0.95


def yield_scores(
    yields: FloatArray, predicted: Mapping[str, FloatArray], field: NDArray[np.int64], seed: int = 0
) -> dict[str, dict[str, Interval]]:
    """RMSE, MAE and R² of maps, and RMSE less that of the last one, on the same resamples of fields.

    Args:
        yields: (n,) of points.
        predicted: name of each map to (n,) what it says there.
        field: (n,) of each point.
        seed: of the resamples.
    """
    _, group = np.unique(field, return_inverse=True)
    number = group.max() + 1
    times = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=_RESAMPLES)
    times = np.concatenate([np.ones((1, number), np.int64), times])

    def summed(values: FloatArray) -> FloatArray:
        return np.asarray(times @ np.bincount(group, values, minlength=number))

    points = summed(np.ones_like(yields))
    spread = summed(yields**2) / points - (summed(yields) / points) ** 2
    found: dict[str, dict[str, FloatArray]] = {}
    for name, said in predicted.items():
        squared = summed((said - yields) ** 2) / points
        found[name] = {
            "RMSE": np.sqrt(squared),
            "MAE": summed(np.abs(said - yields)) / points,
            "R²": 1 - squared / spread,
        }
    last = found[list(predicted)[-1]]["RMSE"]
    for figures in found.values():
        figures["less"] = last - figures["RMSE"]
    return {name: {figure: _interval(values) for figure, values in own.items()} for name, own in found.items()}


def _interval(values: FloatArray) -> Interval:
    return Interval(float(values[0]), *limits(values[1:], _LEVEL))


def crop_scores(matrix: NDArray[np.integer]) -> dict[str, float]:
    """Figures of a crop map over the classes that are there.

    Args:
        matrix: see :func:`models.maps.accuracy.confusion`.

    Returns:
        ``accuracy``; ``mIoU``; ``precision``, the paper's mAcc as it is printed, TP/(TP+FP); ``recall``: the last three
        averaged over classes; NaN without any pixel. A class that is never said has a precision of 0.
    """
    present = matrix.sum(0) > 0
    if not present.any():
        return dict.fromkeys(("accuracy", "mIoU", "precision", "recall"), float("nan"))
    found = scores(matrix)
    return {
        "accuracy": float(found["overall"]),
        "mIoU": float(found["iou"][present].mean()),
        "precision": float(np.nan_to_num(found["users"][present]).mean()),
        "recall": float(found["producers"][present].mean()),
    }
