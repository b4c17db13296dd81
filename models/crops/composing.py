"""Step 1 of the weighted LSTM: harmonised monthly composites of series, and what fills their gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.crops.series import FloatArray, IntArray, PixelSeries
from models.earth.gaps import between_neighbours


def medians(values: FloatArray, period: IntArray) -> FloatArray:
    """Median of the clear steps of each period, band by band.

    Args:
        values: (n, time, bands); NaN where not clear.
        period: (time,) the period of each step, numbered from 0.

    Returns:
        (n, periods, bands); NaN where a period has no clear step.
    """
    made = np.full((len(values), int(period.max()) + 1, values.shape[2]), np.nan, np.float32)
    for number in range(made.shape[1]):
        # sorting puts NaN last, so the middle of the known ones is found without a warning for periods of none
        steps = np.sort(values[:, period == number], axis=1)
        known = np.isfinite(steps).sum(1)
        some = known > 0
        low, high = (np.maximum(known, 1) - 1) // 2, np.maximum(known, 1) // 2
        pair = [np.take_along_axis(steps, middle[:, None], 1)[:, 0] for middle in (low, high)]
        made[:, number] = np.where(some, (pair[0] + pair[1]) / 2, np.nan)
    return made


def filled(values: FloatArray) -> FloatArray:
    """Series without gaps: linear between known steps, the nearest known step before the first and after the last.

    A band that was never seen stays NaN.

    Args:
        values: (n, time, bands); NaN where missing.
    """
    last = np.moveaxis(values, 1, 2)
    between = between_neighbours(last, np.arange(last.shape[2], dtype=np.float64))
    known = np.isfinite(between)
    count = between.shape[2]
    first_known, last_known = known.argmax(2), count - 1 - known[..., ::-1].argmax(2)
    nearest = np.clip(np.arange(count), first_known[..., None], last_known[..., None])
    ends = np.take_along_axis(between, nearest, 2)
    return np.ascontiguousarray(np.moveaxis(ends, 2, 1), dtype=np.float32)


def monthly(pixels: PixelSeries, month: IntArray, names: tuple[str, ...]) -> PixelSeries:
    """Composites of the months of a series, without gaps.

    Args:
        pixels: with their series.
        month: (time,) the month of each step, numbered from 0 in the order of ``names``.
        names: of the months.
    """
    return replace(pixels, values=filled(medians(pixels.values, month)), steps=names)


def without_steps(pixels: PixelSeries, share: float, seed: int) -> PixelSeries:
    """Series with steps taken away at random, all bands of a step together, as clouds do.

    A pixel that would lose every step keeps its first.

    Args:
        pixels: with their series.
        share: of steps to take.
        seed: of the choice.
    """
    random = np.random.default_rng(seed)
    gone = random.random(pixels.values.shape[:2]) < share
    gone[gone.all(1), 0] = False
    return replace(pixels, values=np.where(gone[..., None], np.float32(np.nan), pixels.values))
