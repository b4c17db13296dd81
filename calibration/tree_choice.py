"""Which trees to photograph: each design gives every tree of a stratum the same chance, and a seed repeats the draw.

* Systematic: every so-manieth tree of a walk along the rows, from a random start (Cochran, Sampling Techniques, 3rd
  edition 1977, chapter 8). The interval need not be whole, so that neither the number of trees nor their chances are.
* Spread out: neighbours compete, so that chosen trees keep apart in both directions: the local pivotal method
  (Grafström, Lundström and Schelin, Biometrics 2012, 68, 514).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError, FloatArray
from calibration.plan import Whole

Indices = NDArray[np.intp]
# neighbours are looked for among this many trees at once, so that time rises with the trees and not with their square
_CELL = 500
_HAIR = 1e-9
# a walk that meets fewer than this share of the places in a row that it could is in step with the rows
_IN_STEP = 0.5
_MOST_MORE = 10


def walking_order(row: Whole, position: Whole) -> Indices:
    """The trees in the order of a walk up one row and down the next.

    Args:
        row: (N,) number of each tree's row.
        position: (N,) its place in the row.

    Returns:
        (N,) index of the first, second … tree.
    """
    _, rank = np.unique(row, return_inverse=True)
    return np.lexsort((np.where(rank % 2, -position, position), rank))


def along_rows(order: Indices, sample: int, rng: np.random.Generator) -> Indices:
    """Trees at a fixed interval of a walk, from a random start.

    Args:
        order: (N,) the trees in walking order.
        sample: how many.
        rng: decides the start.

    Returns:
        (sample,) chosen trees in walking order.

    Raises:
        CalibrationError: more trees than there are, or none.
    """
    _require_sample(sample, len(order))
    picks = (rng.random() + np.arange(sample)) * (len(order) / sample)
    return np.asarray(order[np.minimum(picks.astype(np.intp), len(order) - 1)])


def out_of_step(order: Indices, position: Whole, sample: int, seed: int) -> Indices:
    """As :func:`along_rows`, with up to ten trees more where the interval is in step with the rows' length.

    In step, the same few places of every row are met, and whatever comes back there (a pole, a pollinator, the row's
    end) is taken for the whole block.

    Args:
        order: (N,) the trees in walking order.
        position: (N,) place of each tree in its row.
        sample: how many at least.
        seed: the same seed chooses the same trees.

    Returns:
        Chosen trees in walking order.
    """
    places = len(np.unique(position))
    most = min(sample + _MOST_MORE, len(order))
    for number in range(sample, most + 1):
        chosen = along_rows(order, number, np.random.default_rng(seed))
        at_random = places * (1 - (1 - 1 / places) ** number)
        if len(np.unique(position[chosen])) >= _IN_STEP * at_random:
            return chosen
    return along_rows(order, sample, np.random.default_rng(seed))


def within_strata(order: Indices, labels: Indices, sample: Whole, rng: np.random.Generator) -> Indices:
    """Trees of each stratum at a fixed interval of a walk past that stratum's trees.

    Args:
        order: (N,) the trees in walking order.
        labels: (N,) stratum of each tree.
        sample: (L,) how many of each stratum.
        rng: decides where each walk starts.

    Returns:
        Chosen trees in walking order.
    """
    of_order = labels[order]
    chosen = [along_rows(order[of_order == stratum], int(number), rng) for stratum, number in enumerate(sample)]
    return np.asarray(order[np.isin(order, np.concatenate(chosen))])


def spread_out(places: FloatArray, sample: int, rng: np.random.Generator) -> Indices:
    """Trees that keep apart from one another.

    Args:
        places: (N, 2) where each tree stands, in any one unit of length.
        sample: how many.
        rng: decides between neighbours.

    Returns:
        (sample,) chosen trees, by index.

    Raises:
        CalibrationError: more trees than there are, none, or a place that is no number.
    """
    trees = len(places)
    _require_sample(sample, trees)
    if not np.isfinite(places).all():
        raise CalibrationError("place of a tree is no number; give every tree its position, or choose along the rows")
    chance = np.full(trees, sample / trees)
    # trees in rows have several neighbours equally near; a hair's breadth decides between them
    places = places + rng.normal(0, _HAIR * (np.ptp(places) + 1), places.shape)
    undecided = np.arange(trees)
    while len(undecided) > 1:
        cells = _cells(places, undecided)
        rest = np.concatenate([_let_compete(places, chance, cell, rng) for cell in cells])
        undecided = rest[(chance[rest] > 0) & (chance[rest] < 1)]
    return np.asarray(np.argsort(-chance, kind="stable")[:sample])


def _cells(places: FloatArray, trees: Indices) -> list[Indices]:
    """Trees cut in halves across their longer extent until the parts are small."""
    if len(trees) <= _CELL:
        return [trees]
    longer = int(np.argmax(np.ptp(places[trees], axis=0)))
    sorted_trees = trees[np.argsort(places[trees, longer], kind="stable")]
    middle = len(trees) // 2
    return [*_cells(places, sorted_trees[:middle]), *_cells(places, sorted_trees[middle:])]


def _let_compete(places: FloatArray, chance: FloatArray, cell: Indices, rng: np.random.Generator) -> Indices:
    """Let a tree and its nearest neighbour decide between them until one tree of the cell is left; returns that one.

    Each contest leaves the expectation of both chances as it was and takes one of them to 0 or 1.
    """
    alive, (x, y) = cell.copy(), places[cell].T.copy()
    draws = rng.random((len(cell), 2)).tolist()
    for left in range(len(cell), 1, -1):
        draw, which = draws[left - 1]
        first = int(which * left)
        squares = np.square(x[:left] - x[first]) + np.square(y[:left] - y[first])
        squares[first] = np.inf
        second = int(squares.argmin())
        decided = _contest(chance, int(alive[first]), int(alive[second]), draw)
        gone = first if decided == alive[first] else second
        for column in (alive, x, y):
            column[gone] = column[left - 1]
    return np.asarray(alive[:1])


def _contest(chance: FloatArray, first: int, second: int, draw: float) -> int:
    """Decide one of two trees; returns the one that is decided."""
    total = float(chance[first] + chance[second])
    if total <= 1:
        winner, loser = (second, first) if draw * total < chance[second] else (first, second)
        chance[winner], chance[loser] = total, 0.0
        return loser
    sure, other = (second, first) if draw * (2 - total) < 1 - chance[first] else (first, second)
    chance[sure], chance[other] = 1.0, total - 1
    return sure


def _require_sample(sample: int, trees: int) -> None:
    if not 1 <= sample <= trees:
        raise CalibrationError(f"number of trees to photograph is {sample}; with {trees} trees it must be 1 to {trees}")
