"""Spatial blocks: points of one block are never on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pyproj import Proj
from sklearn.model_selection import StratifiedGroupKFold

from models.orchards.errors import OrchardMapError

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def block_of(lon: NDArray[np.float64], lat: NDArray[np.float64], block_km: float) -> NDArray[np.int64]:
    """Number the square blocks of an equal-area projection centred on the points.

    Args:
        lon: (n,) degrees east.
        lat: (n,) degrees north.
        block_km: side of a block in km.

    Returns:
        (n,) the block of each point, numbered from 0.

    Raises:
        OrchardMapError: no points, a block without a size, or coordinates that are none.
    """
    if not len(lon) or not block_km > 0:
        raise OrchardMapError("blocks need points and a side above 0 km")
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and (np.abs(lat) <= 90).all()):
        raise OrchardMapError("some points have no longitude and latitude in degrees")
    projection = Proj(proj="laea", lon_0=float(np.median(lon)), lat_0=float(np.median(lat)))
    x_m, y_m = projection(lon, lat)
    cells = np.floor(np.stack([np.asarray(x_m), np.asarray(y_m)], 1) / (block_km * 1000)).astype(np.int64)
    _, blocks = np.unique(cells, axis=0, return_inverse=True)
    return blocks.reshape(-1)


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
        OrchardMapError: fewer blocks than folds, or one class only.
    """
    for name, there in (("orchards", orchard), ("other", ~orchard)):
        number = len(np.unique(blocks[there]))
        if number < folds:
            raise OrchardMapError(
                f"{folds} folds need points of {name} in {folds} blocks or more, and there are {number}; "
                "take smaller blocks, fewer folds or more points"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(orchard)), orchard, blocks)
