"""Bands of 20 and 60 m brought to 10 m where both grids fall together: cubic convolution by a whole factor.

Keys' kernel with a = -0.5 (Keys 1981, IEEE TASSP 29:1153), as GDAL's ``cubic``, several times as fast because its
weights repeat. Next to pixels without data the nearest one is taken as it is, so that nothing is made of nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


def enlarge(source: NDArray[np.uint16], factor: int, top: int, left: int, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Cubic convolution of a window.

    Args:
        source: (rows, columns) digital numbers, 0 where there is no data; it should reach two pixels beyond the window
            where the scene does.
        factor: how many fine pixels go into one side of a coarse one.
        top: row of the window's first fine pixel, counted from the source's upper edge.
        left: the same for columns.
        shape: rows and columns of the window, in fine pixels.

    Returns:
        ``shape``; 0 where the coarse pixel has no data.
    """
    fine = np.empty(shape, dtype=np.uint16)
    if fine.size:
        _compiled(np.ascontiguousarray(source), factor, top, left, _weights(factor), fine)
    return fine


def _weights(factor: int) -> NDArray[np.float32]:
    """(factor, 4) Weights of the four coarse pixels round each of the fine ones in a coarse one."""
    places = (np.arange(factor) + 0.5) / factor - 0.5
    distances = np.abs(places[:, None] - np.floor(places)[:, None] - np.array([-1.0, 0.0, 1.0, 2.0]))
    near = 1.5 * distances**3 - 2.5 * distances**2 + 1
    far = -0.5 * distances**3 + 2.5 * distances**2 - 4 * distances + 2
    weights: NDArray[np.float32] = np.where(distances < 1, near, far).astype(np.float32)
    return weights


def _enlarge(
    source: NDArray[np.uint16],
    factor: int,
    top: int,
    left: int,
    weights: NDArray[np.float32],
    fine: NDArray[np.uint16],
) -> None:
    rows, columns = source.shape
    height, width = fine.shape
    along = np.empty(columns, dtype=np.float32)
    whole = np.empty(columns, dtype=np.bool_)
    for y in range(height):
        row = (top + y) // factor
        weight = weights[(top + y) % factor]
        # half of the fine pixels lie before the middle of their coarse one
        first = row - 2 if 2 * ((top + y) % factor) + 1 < factor else row - 1
        a = source[min(max(first, 0), rows - 1)]
        b = source[min(max(first + 1, 0), rows - 1)]
        c = source[min(max(first + 2, 0), rows - 1)]
        d = source[min(max(first + 3, 0), rows - 1)]
        for x in range(columns):
            along[x] = weight[0] * a[x] + weight[1] * b[x] + weight[2] * c[x] + weight[3] * d[x]
            whole[x] = (a[x] > 0) & (b[x] > 0) & (c[x] > 0) & (d[x] > 0)
        nearest = source[min(max(row, 0), rows - 1)]
        for x in range(width):
            column = (left + x) // factor
            phase = (left + x) % factor
            start = column - 2 if 2 * phase + 1 < factor else column - 1
            p, q = min(max(start, 0), columns - 1), min(max(start + 1, 0), columns - 1)
            r, s = min(max(start + 2, 0), columns - 1), min(max(start + 3, 0), columns - 1)
            if whole[p] & whole[q] & whole[r] & whole[s]:
                share = weights[phase]
                value = share[0] * along[p] + share[1] * along[q] + share[2] * along[r] + share[3] * along[s]
                fine[y, x] = np.uint16(min(max(value + np.float32(0.5), np.float32(1)), np.float32(65535)))
            else:
                fine[y, x] = nearest[min(max(column, 0), columns - 1)]


_compiled: Any = numba.njit(nogil=True, cache=True)(_enlarge)
