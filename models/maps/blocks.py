"""Spatial blocks: points of one block are never on both sides of a split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import Proj

from models.maps.errors import MapError


def block_of(lon: NDArray[np.float64], lat: NDArray[np.float64], block_km: float) -> NDArray[np.int64]:
    """Number the square blocks of an equal-area projection centred on the points.

    Args:
        lon: (n,) degrees east.
        lat: (n,) degrees north.
        block_km: side of a block in km.

    Returns:
        (n,) the block of each point, numbered from 0.

    Raises:
        MapError: no points, a block without a size, or coordinates that are none.
    """
    if not len(lon) or not block_km > 0:
        raise MapError("blocks need points and a side above 0 km")
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and (np.abs(lat) <= 90).all()):
        raise MapError("some points have no longitude and latitude in degrees")
    projection = Proj(proj="laea", lon_0=float(np.median(lon)), lat_0=float(np.median(lat)))
    x_m, y_m = projection(lon, lat)
    cells = np.floor(np.stack([np.asarray(x_m), np.asarray(y_m)], 1) / (block_km * 1000)).astype(np.int64)
    _, blocks = np.unique(cells, axis=0, return_inverse=True)
    return blocks.reshape(-1)
