"""The median along time of masked reflectance, by a sorting network that works on many pixels at once.

A comparison of two dates is the same two instructions (smaller, larger) for every pixel, so a strip of pixels goes
through Batcher's odd-even merge network (Batcher 1968, AFIPS 32:307) side by side in vector registers. What is masked
or missing sorts to the end as infinity, and each pixel then takes the middle of as many dates as it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_STRIP_PX = 256  # dates x this many float32 stay in the first-level cache


def masked_median(values: NDArray[np.float32], clear: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Median over the clear dates of each pixel; the mean of the middle two where their number is even.

    It releases the GIL and uses one thread: what calls it block by block shares the cores out.

    Args:
        values: (dates, rows, columns); NaN where there is nothing, never infinite.
        clear: (dates, rows, columns) whether the pixel was seen.

    Returns:
        (rows, columns); NaN where no date is clear.
    """
    if values.shape != clear.shape:
        raise ValueError(f"values are of shape {values.shape} and the mask of {clear.shape}; both must be the same")
    dates, rows, columns = values.shape
    median = np.full((rows, columns), np.nan, dtype=np.float32)
    if dates:
        _median(
            np.ascontiguousarray(values, dtype=np.float32).reshape(dates, -1),
            np.ascontiguousarray(clear, dtype=np.bool_).reshape(dates, -1),
            _network(dates),
            median.reshape(-1),
        )
    return median


@cache
def _network(size: int) -> NDArray[np.intp]:
    """(comparisons, 2) Pairs of places, lower first, that sort any ``size`` values."""
    pairs = [pair for pair in _batcher(0, 1 << max(size - 1, 1).bit_length()) if pair[1] < size]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def _batcher(start: int, size: int) -> Iterator[tuple[int, int]]:
    """The network for a power of two; comparisons with places beyond the values' number are left out by the caller."""
    if size > 1:
        half = size // 2
        yield from _batcher(start, half)
        yield from _batcher(start + half, half)
        yield from _merge(start, size, 1)


def _merge(start: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    if 2 * step < size:
        yield from _merge(start, size, 2 * step)
        yield from _merge(start + step, size, 2 * step)
        for place in range(start + step, start + size - step, 2 * step):
            yield place, place + step
    else:
        yield start, start + step


def _median_of_pixels(
    values: NDArray[np.float32], clear: NDArray[np.bool_], network: NDArray[np.intp], median: NDArray[np.float32]
) -> None:
    """Fill ``median`` (pixels,) from (dates, pixels); compiled below."""
    dates, pixels = values.shape
    strip = np.full((dates, _STRIP_PX), np.inf, dtype=np.float32)
    seen = np.empty(_STRIP_PX, dtype=np.int32)
    nothing = np.float32(np.inf)
    for start in range(0, pixels, _STRIP_PX):
        width = min(_STRIP_PX, pixels - start)
        seen[:] = 0
        for date in range(dates):
            row, mask, sorted_row = values[date, start : start + width], clear[date, start : start + width], strip[date]
            for x in range(width):
                value = row[x]
                sorted_row[x] = value if mask[x] & (value == value) else nothing  # noqa: PLR0124  (not NaN)
            # a loop of its own, which the compiler turns into vector instructions
            for x in range(width):
                seen[x] += np.int32(1) if sorted_row[x] < nothing else np.int32(0)
        for comparison in range(network.shape[0]):
            first, second = strip[network[comparison, 0]], strip[network[comparison, 1]]
            for x in range(_STRIP_PX):
                a, b = first[x], second[x]
                first[x] = min(b, a)
                second[x] = max(a, b)
        for x in range(width):
            n = seen[x]
            if n > 0:
                low = strip[(n - 1) // 2, x]
                median[start + x] = low if n % 2 else np.float32(0.5) * (low + strip[n // 2, x])


_median: Any = numba.njit(nogil=True, cache=True)(_median_of_pixels)
