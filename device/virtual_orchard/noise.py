"""Smooth random fields: the irregularity of peel, bark, foliage, clouds and grass."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from device.virtual_orchard.pixels import Floats


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell_px: float) -> Floats:
    """Noise that changes over about ``cell_px`` pixels.

    Returns:
        (height, width) float32, mean about 0, standard deviation about 0.7.
    """
    rows, columns = max(2, round(height / cell_px) + 2), max(2, round(width / cell_px) + 2)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def rough_noise(rng: np.random.Generator, height: int, width: int, cells_px: Sequence[float]) -> Floats:
    """Noise of several sizes, the largest first and each following one at 0.6 of the one before.

    Returns:
        (height, width) float32, standard deviation about 1.
    """
    total = np.zeros((height, width), np.float32)
    for number, cell_px in enumerate(cells_px):
        total += 0.6**number * smooth_noise(rng, height, width, cell_px)
    return total
