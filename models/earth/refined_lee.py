"""Lee's refined filter: the local statistics of the half of a window that lies on the pixel's side of an edge.

Source: Lee 1981, Refined filtering of image noise using local statistics, Computer Graphics and Image Processing
15:380, doi:10.1016/S0146-664X(81)80018-4, with the estimator for multiplicative noise of Lee 1980 (IEEE PAMI 2:165).

Of the 7 x 7 window round a pixel the means of nine 3 x 3 parts tell the direction of the steepest gradient. The window
is cut along that edge through the pixel, and the half whose part is more like the middle is kept: 28 pixels with mean m
and variance v. With u = 1 / looks, the relative variance of speckle, the estimate is m + b (y − m), where
b = max(0, (v − m² u) / (1 + u)) / v: the mean where speckle explains the variance, the pixel itself where it does not.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_SIDE_PX = 3
_PART_PX = 2  # from the middle to the middle of a part
MARGIN_PX = _SIDE_PX  # a part's outermost pixel is as far away: 2 + 1


def filter_image(power: NDArray[np.floating[Any]], looks: float) -> NDArray[np.floating[Any]]:
    """Filter one image; uses one thread and releases the GIL.

    Args:
        power: (rows, columns) backscatter in power; NaN where missing, which no statistic counts.
        looks: equivalent number of looks.

    Returns:
        (rows, columns) of the same type.
    """
    # a part whose middle lies beyond the edge still has the pixels that do not
    image = np.pad(power, MARGIN_PX, constant_values=np.nan)
    filtered = np.empty_like(image)
    _filter(image, _part_means(image), _HALVES, 1 / looks, filtered)
    return filtered[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def _halves() -> NDArray[np.int64]:
    """(4 directions, 2 sides, 28 pixels, 2) Offsets down and right of the halves, in the order of the gradients."""
    down, right = np.mgrid[-_SIDE_PX : _SIDE_PX + 1, -_SIDE_PX : _SIDE_PX + 1]
    across = (right, down, right + down, right - down)
    return np.array([[np.argwhere(side >= 0) - _SIDE_PX for side in (-where, where)] for where in across])


_HALVES = _halves()


def _means_of_parts(image: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Mean of the known pixels among the 3 x 3 round each, NaN where there are none; compiled below."""
    height, width = image.shape
    means = np.empty((height, width), dtype=np.float64)
    for y in range(height):
        for x in range(width):
            total, count = 0.0, 0
            for row in range(max(0, y - 1), min(height, y + 2)):
                for column in range(max(0, x - 1), min(width, x + 2)):
                    value = image[row, column]
                    if not np.isnan(value):
                        total += value
                        count += 1
            means[y, x] = total / count if count else np.nan
    return means


def _best_half(parts: NDArray[np.float64], y: int, x: int) -> tuple[int, int]:
    """Direction of the steepest gradient and the side that is more like the middle; compiled below."""
    middle = parts[y, x]
    near = parts[y - _PART_PX : y + _PART_PX + 1 : _PART_PX, x - _PART_PX : x + _PART_PX + 1 : _PART_PX]
    part = np.where(np.isnan(near), middle, near)  # what is unknown makes no edge
    gradients = (
        abs(part[0, 2] + part[1, 2] + part[2, 2] - part[0, 0] - part[1, 0] - part[2, 0]),
        abs(part[2, 0] + part[2, 1] + part[2, 2] - part[0, 0] - part[0, 1] - part[0, 2]),
        abs(part[1, 2] + part[2, 2] + part[2, 1] - part[0, 0] - part[0, 1] - part[1, 0]),
        abs(part[0, 1] + part[0, 2] + part[1, 2] - part[1, 0] - part[2, 0] - part[2, 1]),
    )
    sides = (
        (near[1, 0], near[1, 2]),
        (near[0, 1], near[2, 1]),
        (near[0, 0], near[2, 2]),
        (near[2, 0], near[0, 2]),
    )
    direction = 0
    for other in range(1, 4):
        if gradients[other] > gradients[direction]:
            direction = other
    first, second = sides[direction]
    # of an unknown side the comparison is false
    return direction, 1 if abs(second - middle) < abs(first - middle) or np.isnan(first) else 0


def _filtered(
    image: NDArray[np.floating[Any]],
    parts: NDArray[np.float64],
    halves: NDArray[np.int64],
    speckle: float,
    filtered: NDArray[np.floating[Any]],
) -> None:
    """Fill ``filtered`` but for the margin of the padded image; compiled below."""
    height, width = image.shape
    known = np.empty(halves.shape[2], dtype=np.float64)
    for y in range(_SIDE_PX, height - _SIDE_PX):
        for x in range(_SIDE_PX, width - _SIDE_PX):
            if np.isnan(image[y, x]):
                filtered[y, x] = np.nan
                continue
            direction, side = _half(parts, y, x)
            count = 0
            for place in range(halves.shape[2]):
                value = image[y + halves[direction, side, place, 0], x + halves[direction, side, place, 1]]
                if not np.isnan(value):
                    known[count] = value
                    count += 1
            mean = known[:count].sum() / count
            variance = ((known[:count] - mean) ** 2).sum() / count
            signal = max(0.0, (variance - mean * mean * speckle) / (1 + speckle))
            weight = signal / variance if variance > 0 else 0.0
            filtered[y, x] = mean + weight * (image[y, x] - mean)


_part_means: Any = numba.njit(nogil=True, cache=True)(_means_of_parts)
_half: Any = numba.njit(nogil=True, cache=True)(_best_half)
_filter: Any = numba.njit(nogil=True, cache=True)(_filtered)
