"""Grey-level co-occurrence counts that slide along a row, and the measures read off them.

A window one pixel further on shares nearly all its pairs with the one before, so a column of pairs is added and one
taken away instead of counting anew. All that is carried along is whole numbers, so that nothing drifts: a term that is
not whole (n ln n, the homogeneity of a difference) is held as a multiple of 2⁻⁴⁵.

For symmetric counts c of n pairs (a, b): ``Σ p² = Σ c² / (2n)²`` and ``−Σ p ln p = ln 2n − Σ c ln c / 2n``; the moments
follow from the sums of a + b, a² + b², (a − b)² and powers of a + b.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

# in the order of the rows that measures() fills; Earth Engine's names
MEASURES = (
    "asm",
    "contrast",
    "corr",
    "var",
    "idm",
    "savg",
    "ent",
    "diss",
    "dvar",
    "svar",
    "inertia",
    "shade",
    "prom",
    "sent",
    "dent",
    "imcorr1",
    "imcorr2",
)
# measures that need the counts of sums, differences and single levels as well
OF_MARGINALS = frozenset(MEASURES[MEASURES.index("svar") :]) - {"inertia"}

_ONE = float(1 << 45)  # of fixed point
# places in the running sums
_PAIRS, _SUM, _SQUARES, _ABSOLUTE, _DIFFERENCE2, _COUNTS2, _ENTROPY, _HOMOGENEITY = range(8)
_SUM3, _SUM4, _SUM_ENTROPY, _DIFFERENCE_ENTROPY, _LEVEL_ENTROPY = range(8, 13)
_PLACES = 13


class _Counts(NamedTuple):
    """Of one window and direction.

    ``joint`` holds pairs with a ≤ b; ``marginals`` counts of sums, then of differences, then of levels.
    """

    joint: NDArray[np.int32]
    marginals: NDArray[np.int32]
    sums: NDArray[np.int64]


class _Tables(NamedTuple):
    """Fixed-point values: n ln n by count, 1 / (1 + d²) by difference."""

    n_ln_n: NDArray[np.int64]
    homogeneity: NDArray[np.int64]


class _Choice(NamedTuple):
    size: int
    grey: int
    offsets: NDArray[np.int64]
    wanted: NDArray[np.int64]
    average: bool
    least_share: float
    of_marginals: bool


def _count_margin(counts: _Counts, place: int, entropy: int, step: int, n_ln_n: NDArray[np.int64]) -> None:
    """Change one marginal count and the running sum of n ln n it belongs to; compiled below."""
    before = counts.marginals[place]
    counts.sums[entropy] += n_ln_n[before + step] - n_ln_n[before]
    counts.marginals[place] = before + step


_margin: Any = numba.njit(nogil=True, cache=True)(_count_margin)


def _column(
    levels: NDArray[np.int16],
    rows: tuple[int, int],
    column: int,
    offset: tuple[int, int],
    step: int,
    counts: _Counts,
    tables: _Tables,
    of_marginals: bool,
) -> None:
    """Add (step 1) or take away (step −1) the pairs that begin in one column; compiled below."""
    joint, _, sums = counts
    n_ln_n, homogeneity = tables
    dy, dx = offset
    if column < 0 or column >= levels.shape[1] or column + dx < 0 or column + dx >= levels.shape[1]:
        return
    grey = joint.shape[0]
    pairs = total = squares = absolute = difference2 = counts2 = entropy = alike = np.int64(0)
    for y in range(rows[0], rows[1] - dy):
        a = np.int64(levels[y, column])
        b = np.int64(levels[y + dy, column + dx])
        if a < 0 or b < 0:
            continue
        low = min(a, b)
        high = max(a, b)
        pairs += 1
        total += a + b
        squares += a * a + b * b
        absolute += high - low
        difference2 += (high - low) * (high - low)
        alike += homogeneity[high - low]
        before = np.int64(joint[low, high])
        after = before + step
        joint[low, high] = after
        if low == high:  # one cell that holds both orders
            counts2 += 4 * (after * after - before * before)
            entropy += n_ln_n[2 * after] - n_ln_n[2 * before]
        else:
            counts2 += 2 * (after * after - before * before)
            entropy += 2 * (n_ln_n[after] - n_ln_n[before])
        if of_marginals:
            both = a + b
            sums[_SUM3] += step * both**3
            sums[_SUM4] += step * both**4
            _margin(counts, a + b, _SUM_ENTROPY, step, n_ln_n)
            _margin(counts, 2 * grey + high - low, _DIFFERENCE_ENTROPY, step, n_ln_n)
            _margin(counts, 3 * grey + a, _LEVEL_ENTROPY, step, n_ln_n)
            _margin(counts, 3 * grey + b, _LEVEL_ENTROPY, step, n_ln_n)
    sums[_PAIRS] += step * pairs
    sums[_SUM] += step * total
    sums[_SQUARES] += step * squares
    sums[_ABSOLUTE] += step * absolute
    sums[_DIFFERENCE2] += step * difference2
    sums[_HOMOGENEITY] += step * alike
    sums[_COUNTS2] += counts2
    sums[_ENTROPY] += entropy


def _measures(
    sums: NDArray[np.int64], of_marginals: bool, n_ln_n: NDArray[np.int64], measures: NDArray[np.float64]
) -> None:
    """All measures of one window and direction, from its running sums; compiled below."""
    n = sums[_PAIRS]
    entries = float(2 * n)
    mean = sums[_SUM] / entries
    # whole numbers up to the division: exact however close to constant the window is
    variance = 2 * n * sums[_SQUARES] - sums[_SUM] * sums[_SUM]
    covariance = 2 * n * (sums[_SQUARES] - sums[_DIFFERENCE2]) - sums[_SUM] * sums[_SUM]
    measures[0] = sums[_COUNTS2] / (entries * entries)
    measures[1] = sums[_DIFFERENCE2] / float(n)
    measures[2] = covariance / variance if variance > 0 else 0.0
    measures[3] = variance / (entries * entries)
    measures[4] = sums[_HOMOGENEITY] / _ONE / float(n)
    measures[5] = 2 * mean
    measures[6] = (n_ln_n[2 * n] - sums[_ENTROPY]) / _ONE / entries
    measures[7] = sums[_ABSOLUTE] / float(n)
    measures[8] = (n * sums[_DIFFERENCE2] - sums[_ABSOLUTE] * sums[_ABSOLUTE]) / (float(n) * float(n))
    measures[10] = measures[1]
    if not of_marginals:
        return
    # moments of a + b about a whole number near their mean, then about the mean: no digits cancel
    near = np.int64(round(2 * mean))
    sum2 = 2 * sums[_SQUARES] - sums[_DIFFERENCE2]
    m1 = 2 * mean - near
    m2 = (sum2 - 2 * near * sums[_SUM] + n * near * near) / float(n)
    m3 = (sums[_SUM3] - 3 * near * sum2 + 3 * near**2 * sums[_SUM] - n * near**3) / float(n)
    m4 = sums[_SUM4] - 4 * near * sums[_SUM3] + 6 * near**2 * sum2 - 4 * near**3 * sums[_SUM] + n * near**4
    measures[9] = m2 - m1 * m1
    measures[11] = m3 - 3 * m1 * m2 + 2 * m1**3
    measures[12] = m4 / float(n) - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    measures[13] = (n_ln_n[n] - sums[_SUM_ENTROPY]) / _ONE / float(n)
    measures[14] = (n_ln_n[n] - sums[_DIFFERENCE_ENTROPY]) / _ONE / float(n)
    # the counts are symmetric, so Haralick's HXY1 and HXY2 are both twice HX, the entropy of the levels
    of_levels = n_ln_n[2 * n] - sums[_LEVEL_ENTROPY]
    shared = max(of_levels - (sums[_LEVEL_ENTROPY] - sums[_ENTROPY]), np.int64(0))
    measures[15] = -shared / of_levels if of_levels > 0 else 0.0
    measures[16] = np.sqrt(1 - np.exp(-2 * shared / _ONE / entries))


def _slide(levels: NDArray[np.int16], choice: _Choice, tables: _Tables, textures: NDArray[Any]) -> None:
    """Fill ``textures`` (measures [x directions], rows, columns); compiled below."""
    size, grey, offsets, wanted, average, least_share, of_marginals = choice
    height, width = levels.shape
    directions = offsets.shape[0]
    joint = np.empty((grey, grey), dtype=np.int32)
    marginals = np.empty(4 * grey, dtype=np.int32)
    sums = np.empty(_PLACES, dtype=np.int64)
    counts = _Counts(joint, marginals, sums)
    measures = np.empty(len(MEASURES), dtype=np.float64)
    row = np.empty((textures.shape[0], width), dtype=np.float64)
    for y in range(height):
        rows = (max(0, y - size), min(height, y + size + 1))
        row[:] = 0.0
        for direction in range(directions):
            dy = offsets[direction, 0]
            dx = offsets[direction, 1]
            whole = (2 * size + 1 - dy) * (2 * size + 1 - abs(dx))
            joint[:] = 0
            marginals[:] = 0
            sums[:] = 0
            first = -size - min(0, dx)  # columns in which pairs of the window begin, from its middle
            last = size - max(0, dx)
            for column in range(first, last):
                _add(levels, rows, column, (dy, dx), 1, counts, tables, of_marginals)
            for x in range(width):
                _add(levels, rows, x + last, (dy, dx), 1, counts, tables, of_marginals)
                if levels[y, x] < 0 or sums[_PAIRS] == 0 or sums[_PAIRS] < least_share * whole:
                    measures[:] = np.nan
                else:
                    _read(sums, of_marginals, tables.n_ln_n, measures)
                for place in range(wanted.shape[0]):
                    if average:
                        row[place, x] += measures[wanted[place]] / directions
                    else:
                        row[place * directions + direction, x] = measures[wanted[place]]
                _add(levels, rows, x + first, (dy, dx), -1, counts, tables, of_marginals)
        textures[:, y] = row


_add: Any = numba.njit(nogil=True, cache=True)(_column)
_read: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(_measures)
_fill: Any = numba.njit(nogil=True, cache=True)(_slide)


def fill_textures(
    levels: NDArray[np.int16],
    size: int,
    grey: int,
    offsets: tuple[tuple[int, int], ...],
    wanted: tuple[str, ...],
    average: bool,
    least_share: float,
    textures: NDArray[Any],
) -> None:
    """Textures of each pixel's window; uses one thread and releases the GIL.

    Args:
        levels: (rows, columns) grey levels 0 to ``grey`` − 1, below 0 where missing.
        size: pixels on each side of the middle one.
        grey: number of grey levels.
        offsets: (down, right) from a pixel to its partner, down ≥ 0, each shorter than the window.
        wanted: names out of :data:`MEASURES`.
        average: the mean of all directions instead of each.
        least_share: of a direction's pairs below which it is missing, 0 to 1.
        textures: what is filled; (wanted, rows, columns), or (wanted x directions, rows, columns) without ``average``.
    """
    most = 2 * (2 * size + 1) ** 2
    counts = np.arange(most + 1, dtype=np.float64)
    n_ln_n = np.rint(counts * np.log(np.maximum(counts, 1)) * _ONE).astype(np.int64)
    homogeneity = np.rint(_ONE / (1 + np.arange(grey, dtype=np.float64) ** 2)).astype(np.int64)
    choice = _Choice(
        size,
        grey,
        np.array(offsets, dtype=np.int64),
        np.array([MEASURES.index(name) for name in wanted], dtype=np.int64),
        average,
        float(least_share),
        not OF_MARGINALS.isdisjoint(wanted),
    )
    _fill(levels, choice, _Tables(n_ln_n, homogeneity), textures)
