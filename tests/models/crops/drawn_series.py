"""Drawn pixel series whose classes are known."""

from __future__ import annotations

import numpy as np

from models.crops.series import PixelSeries


def drawn(number: int = 240, classes: int = 3, steps: int = 6, seed: int = 0, noise: float = 0.1) -> PixelSeries:
    """Series of two bands: the step at which a class greens up tells it from the others.

    Blocks of ten pixels, two regions and two zones; classes are dealt out to all of them.
    """
    random = np.random.default_rng(seed)
    label = np.arange(number) % classes
    greening = np.arange(steps)[None] >= 1 + label[:, None]
    green = greening + noise * random.standard_normal((number, steps))
    red = 0.5 - 0.3 * greening + noise * random.standard_normal((number, steps))
    block = np.arange(number) // 10
    half = (np.arange(number) >= number // 2).astype(np.int64)
    return PixelSeries(
        values=np.stack([green, red], 2).astype(np.float32),
        label=label.astype(np.int64),
        legend=tuple(f"crop {index}" for index in range(classes)),
        bands=("B08", "B04"),
        steps=tuple(f"2026-{month:02d}" for month in range(3, 3 + steps)),
        block=block.astype(np.int64),
        region=half,
        regions=("north", "south"),
        zone=block % 2,
        weight=np.ones(number, np.float32),
    )
