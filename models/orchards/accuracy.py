"""Accuracy of a map of two classes, with intervals from a bootstrap of blocks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.maps import accuracy
from models.maps.resampling import Interval, Matrix, limits, resampled

SCORES = ("overall", "kappa", "users", "producers", "f1", "share_difference")


def confusion(reference: NDArray[np.bool_], mapped: NDArray[np.bool_]) -> Matrix:
    """Count points by what the map says (rows) and what is there (columns); index 0 is other, 1 orchard.

    Args:
        reference: (n,) whether an orchard is there.
        mapped: (n,) whether the map says so.
    """
    return accuracy.confusion(reference.astype(np.int64), mapped.astype(np.int64), 2)


def scores(matrix: NDArray[np.integer]) -> dict[str, NDArray[np.float64]]:
    """Figures of error matrices, NaN where a figure has nothing to divide by.

    Args:
        matrix: (..., 2, 2) counts, map in rows, reference in columns.

    Returns:
        ``overall`` accuracy; Cohen's ``kappa``; ``users`` and ``producers`` accuracy and ``f1`` of orchards;
        ``share_difference``, the mapped share of orchards less the true one. Each (...).
    """
    found = accuracy.scores(matrix)
    mapped, there = matrix[..., 1, :].sum(-1), matrix[..., :, 1].sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share_difference = (mapped - there) / matrix.sum((-2, -1))
    of_orchards = {name: found[name][..., 1] for name in ("users", "producers", "f1")}
    return {"overall": found["overall"], "kappa": found["kappa"], **of_orchards, "share_difference": share_difference}


def _by_block(reference: NDArray[np.bool_], mapped: NDArray[np.bool_], blocks: NDArray[np.int64]) -> Matrix:
    _, index = np.unique(blocks, return_inverse=True)
    matrices = np.zeros((index.max() + 1, 2, 2), np.int64)
    np.add.at(matrices, (index, mapped.astype(np.int64), reference.astype(np.int64)), 1)
    return matrices


def with_intervals(
    reference: NDArray[np.bool_],
    mapped: NDArray[np.bool_],
    blocks: NDArray[np.int64],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Figures of a map with percentile intervals; whole blocks are drawn, since points of a block are alike.

    Args:
        reference: (n,) whether an orchard is there.
        mapped: (n,) whether the map says so.
        blocks: (n,) the spatial block of each point.
        resamples: how often blocks are drawn.
        level: what share of the resamples an interval holds.
        seed: of the draws; equal seeds draw the same blocks, so that maps are compared on the same resamples.
    """
    matrices = _by_block(reference, mapped, blocks)
    drawn = scores(resampled(matrices, resamples, seed))
    return {
        name: Interval(float(value), *limits(drawn[name], level)) for name, value in scores(matrices.sum(0)).items()
    }


def differences(
    reference: NDArray[np.bool_],
    mapped: Mapping[str, NDArray[np.bool_]],
    blocks: NDArray[np.int64],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Overall accuracy of each map less that of the first, on the same resamples of blocks.

    Args:
        reference: (n,) whether an orchard is there.
        mapped: name of each map to (n,) what it says.
        blocks: (n,) the spatial block of each point.
        resamples: how often blocks are drawn.
        level: what share of the resamples an interval holds.
        seed: of the draws.
    """
    matrices = {name: _by_block(reference, said, blocks) for name, said in mapped.items()}
    values = {name: float(scores(matrix.sum(0))["overall"]) for name, matrix in matrices.items()}
    drawn = {name: scores(resampled(matrix, resamples, seed))["overall"] for name, matrix in matrices.items()}
    first, *others = mapped
    return {name: Interval(values[name] - values[first], *limits(drawn[name] - drawn[first], level)) for name in others}
