"""The straight line that a network may begin at: ridge regression, its shrinkage chosen on fields left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.yields.pixels.batches import Encoding
from models.yields.pixels.network import NetworkSettings, StraightLine
from models.yields.pixels.over_time import Stack
from models.yields.pixels.scenes import Points, Scene

FloatArray = NDArray[np.float64]
# as shares of the number of yields; with less, tens of fields are followed too closely
_SHRINKAGE = (0.1, 0.3, 1.0)
_FOLDS = 10


def fit_line(
    tiles: Sequence[Scene], encoding: Encoding, network: NetworkSettings
) -> tuple[dict[str, Tensor], list[Scene]]:
    """Fit the line, and say what it leaves to learn.

    On the fields that it was fitted to a line leaves less than on new ones. So each yield is moved by what lines do
    that were fitted without its field less what the line of all does: what then remains of it is what remains where
    the line is used.

    Args:
        tiles: of the training.
        encoding: fitted to them.
        network: the form that takes the line.

    Returns:
        Weights of the network's line, and the tiles with moved yields.
    """
    joined = Points.joined([tile.points for tile in tiles])
    rows = np.concatenate([_rows(tile, encoding, network) for tile in tiles])
    yields = encoding.yields.normalised(joined.yields, joined.crop)
    fold = _dealt(joined.field)
    sums = [_Sums.of(rows[fold == number], yields[fold == number]) for number in range(_FOLDS)]
    tried = [share * len(rows) for share in _SHRINKAGE]
    left_out = {shrinkage: _left_out(rows, fold, sums, shrinkage) for shrinkage in tried}
    best = min(left_out, key=lambda shrinkage: float(((left_out[shrinkage] - yields) ** 2).mean()))
    slopes, level = _Sums.joined(sums).line(best)
    moved = encoding.yields.widths(joined.crop) * (rows @ slopes + level - left_out[best])
    parts = np.split(moved, np.cumsum([len(tile.points) for tile in tiles])[:-1])
    weights = {
        "straight.weight": torch.tensor(slopes, dtype=torch.float32),
        "straight.bias": torch.tensor(level, dtype=torch.float32),
    }
    return weights, [
        replace(tile, points=replace(tile.points, yields=tile.points.yields + part))
        for tile, part in zip(tiles, parts, strict=True)
    ]


def _rows(tile: Scene, encoding: Encoding, network: NetworkSettings) -> FloatArray:
    """(points, channels) of the line at the points of a tile."""
    images, clear, days = (values[None] for values in encoding.inputs(tile))
    stacked = Stack(mask=network.cloud_mask)(images, clear, days)
    at = StraightLine.channels(stacked, clear)[0][:, tile.points.row, tile.points.column]
    return np.asarray(at.T.double())


def _dealt(field: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the fold of each point, whole fields; points one by one where there are fewer fields than two."""
    names, group = np.unique(field, return_inverse=True)
    if len(names) < 2:
        names, group = np.arange(len(field)), np.arange(len(field))
    order = np.random.default_rng(0).permutation(len(names))
    return np.asarray(order[group] % _FOLDS)


def _left_out(rows: FloatArray, fold: NDArray[np.int64], sums: Sequence[_Sums], shrinkage: float) -> FloatArray:
    """(n,) what lines say of points whose fold they were not fitted to."""
    said = np.empty(len(rows))
    for number in np.unique(fold):
        slopes, level = _Sums.joined([own for other, own in enumerate(sums) if other != number]).line(shrinkage)
        said[fold == number] = rows[fold == number] @ slopes + level
    return said


class _Sums(NamedTuple):
    """What a ridge regression needs of its rows; sums of parts are the sums of the whole."""

    number: float
    rows: FloatArray
    yields: float
    squares: FloatArray
    products: FloatArray

    @classmethod
    def of(cls, rows: FloatArray, yields: FloatArray) -> _Sums:
        return cls(len(rows), rows.sum(0), float(yields.sum()), rows.T @ rows, rows.T @ yields)

    @classmethod
    def joined(cls, parts: Sequence[_Sums]) -> _Sums:
        return cls(*(sum(column) for column in zip(*parts, strict=True)))

    def line(self, shrinkage: float) -> tuple[FloatArray, float]:
        """Slopes and level."""
        mean, level = self.rows / self.number, self.yields / self.number
        squares = self.squares - self.number * np.outer(mean, mean)
        slopes = np.linalg.solve(squares + shrinkage * np.eye(len(mean)), self.products - self.number * mean * level)
        return np.asarray(slopes, np.float64), level - float(mean @ slopes)
