"""Folds of whole spatial blocks with about equal shares of orchards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from models.maps.errors import MapError

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def split(orchard: NDArray[np.bool_], blocks: NDArray[np.int64], folds: int, seed: int) -> Iterator[Split]:
    """Split points into folds of whole blocks with about equal shares of orchards.

    Args:
        orchard: (n,) labels.
        blocks: (n,) the block of each point.
        folds: how many.
        seed: of the order in which blocks are dealt out.

    Yields:
        Indices to train on and indices to test on; every point is tested on once.

    Raises:
        MapError: fewer blocks than folds, or one class only.
    """
    for name, there in (("orchards", orchard), ("other", ~orchard)):
        number = len(np.unique(blocks[there]))
        if number < folds:
            raise MapError(
                f"{folds} folds need points of {name} in {folds} blocks or more, and there are {number}; "
                "take smaller blocks, fewer folds or more points"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(orchard)), orchard, blocks)
