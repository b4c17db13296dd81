"""Where fruit and flowers hang in a tree, in metres."""

from __future__ import annotations

import math

import numpy as np

from device.virtual_orchard.pixels import Floats
from device.virtual_orchard.structure import Tree

_CLUSTER_SIZES, _CLUSTER_SHARES = (1, 2, 3, 4), (0.40, 0.34, 0.18, 0.08)
# a full tree has to take its fruit somewhere: after so many tries they may overlap
_TRIES = 12
_STALK_M = 0.022
# a flower cluster stands above its spur and before it
_FLOWER_OFFSET_M, _FLOWER_SCATTER_M = (0, 0.02, -0.02), 0.015


def hang_fruit(rng: np.random.Generator, tree: Tree, diameters_m: Floats) -> Floats:
    """Hang fruit under the spurs in clusters of one to four, close but not inside one another.

    Args:
        rng: chooses the spurs.
        tree: that bears the fruit.
        diameters_m: (n,) of the fruit.

    Returns:
        (n, 3) centres.
    """
    total = len(diameters_m)
    centres = np.zeros((total, 3), np.float32)
    outside = np.hypot(tree.spurs_m[:, 0], tree.spurs_m[:, 2])
    chances = np.cumsum(0.1 + outside**1.5)  # flower buds form in the light
    placed = 0
    while placed < total:
        size = min(int(rng.choice(_CLUSTER_SIZES, p=_CLUSTER_SHARES)), total - placed)
        own = diameters_m[placed : placed + size]
        for attempt in range(_TRIES):
            spur = tree.spurs_m[int(np.searchsorted(chances, rng.uniform(0, chances[-1])))]
            cluster = _cluster(rng, spur, own)
            if attempt == _TRIES - 1 or _is_free(cluster, own, centres[:placed], diameters_m[:placed]):
                break
        centres[placed : placed + size] = cluster
        placed += size
    return centres


def _cluster(rng: np.random.Generator, spur: Floats, diameters_m: Floats) -> Floats:
    """Centres of the fruit of one spur: side by side around a point below it."""
    size = len(diameters_m)
    angles = rng.uniform(0, 2 * math.pi) + np.arange(size) * 2 * math.pi / max(size, 2)
    apart = 0.0 if size == 1 else 0.52 / math.sin(math.pi / max(size, 2))
    ring = np.stack((np.cos(angles), rng.normal(0, 0.5, size), np.sin(angles)), axis=1) * apart
    below = np.array((0.0, -_STALK_M - float(diameters_m.mean()) / 2, 0.0))
    return np.asarray(spur + below + ring * diameters_m[:, None], np.float32)


def _is_free(centres: Floats, diameters_m: Floats, others: Floats, other_diameters_m: Floats) -> bool:
    distances = np.linalg.norm(centres[:, None] - others[None], axis=2)
    return bool(np.all(distances > 0.47 * (diameters_m[:, None] + other_diameters_m[None])))


def hang_flowers(rng: np.random.Generator, tree: Tree, number: int) -> Floats:
    """Places of flower clusters, one a spur while there are spurs enough.

    Returns:
        (number, 3) centres.
    """
    spurs = len(tree.spurs_m)
    order = np.concatenate([rng.permutation(spurs) for _ in range(-(-max(number, 1) // spurs))])[:number]
    return np.asarray(tree.spurs_m[order] + rng.normal(_FLOWER_OFFSET_M, _FLOWER_SCATTER_M, (number, 3)), np.float32)
