"""Accuracy of maps of any number of classes, from error matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.maps.resampling import Matrix


def confusion(reference: NDArray[np.integer], mapped: NDArray[np.integer], classes: int) -> Matrix:
    """Count points by what the map says (rows) and what is there (columns).

    Args:
        reference: (n,) class that is there.
        mapped: (n,) class on the map.
        classes: how many there are.

    Returns:
        (classes, classes).
    """
    joint = classes * mapped.astype(np.int64) + reference
    return np.bincount(joint, minlength=classes**2).reshape(classes, classes)


def scores(matrix: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Figures of error matrices, NaN where a figure has nothing to divide by.

    Args:
        matrix: (..., k, k) counts, map in rows, reference in columns.

    Returns:
        ``overall`` accuracy and Cohen's ``kappa``, each (...); for each class ``users`` accuracy (of what is mapped,
        the share that is there), ``producers`` accuracy (of what is there, the share that is mapped), ``f1`` and
        ``iou``, each (..., k).
    """
    counts = matrix.astype(np.float64)
    total = counts.sum((-2, -1))
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    mapped, there = counts.sum(-1), counts.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        overall = hits.sum(-1) / total
        by_chance = (mapped * there).sum(-1) / total**2
        return {
            "overall": overall,
            "kappa": (overall - by_chance) / (1 - by_chance),
            "users": hits / mapped,
            "producers": hits / there,
            "f1": 2 * hits / (mapped + there),
            "iou": hits / (mapped + there - hits),
        }
