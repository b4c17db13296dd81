"""Drawn patches: fields of a crop whose backscatter falls and rises, among fields where it does not."""

from __future__ import annotations

import numpy as np

from models.crops.patches import PatchSeries


def drawn_patches(number: int = 12, steps: int = 4, side: int = 16, seed: int = 0) -> PatchSeries:
    """VH and VV; the crop fills one half of each patch, left, right, above or below."""
    random = np.random.default_rng(seed)
    mask = np.zeros((number, side, side), np.int8)
    half = side // 2
    places = ((slice(None), slice(0, half)), (slice(None), slice(half, None)))
    for index in range(number):
        rows, columns = places[index % 2]
        mask[index, rows, columns] = 1
        if index % 4 >= 2:
            mask[index] = mask[index].T
    curve = np.linspace(-6, 4, steps)[None, :, None, None] * mask[:, None]
    noise = random.standard_normal((2, number, steps, side, side))
    values = np.stack([-18 + curve + noise[0], -11 + 0.5 * curve + noise[1]], 2)
    return PatchSeries(
        values.astype(np.float32), mask, ("VH", "VV"), tuple(f"{t:02d}" for t in range(steps)), np.arange(number)
    )
