"""Drawn fields: greenness that decides the yield, two crops, one yield in so many pixels."""

from __future__ import annotations

import numpy as np

from models.yields.pixels.scenes import NO_FIELD, UNLABELLED, Points, Scene

CROPS = ("wheat", "barley")


def scene(name: str = "farm", side: int = 48, dates: int = 3, bands: int = 4, seed: int = 0, every: int = 5) -> Scene:
    """Fields of 12 px side by side; a yield in each ``every``-th pixel of a field, a hedge between fields."""
    random = np.random.default_rng(seed)
    block = np.arange(side) // 12
    fields = (block[:, None] * (side // 12 + 1) + block).astype(np.int32) + 100 * seed
    crops = (fields % 2).astype(np.uint8)
    hedge = (np.arange(side) % 12 == 0)[:, None] | (np.arange(side) % 12 == 0)
    fields[hedge], crops[hedge] = NO_FIELD, UNLABELLED
    green = random.uniform(0.2, 0.8, (block.max() + 1, block.max() + 1))[block[:, None], block]
    images = random.normal(0.2, 0.02, (dates, bands, side, side)).astype(np.float32)
    images[:, 0] += 0.3 * green
    images[:, 1] += 0.1 * (crops == 1)
    row, column = np.nonzero(~hedge & (random.integers(every, size=(side, side)) == 0))
    crop = crops[row, column].astype(np.int64)
    yields = 3 + 6 * green[row, column] + 2 * crop
    clear = np.ones((dates, side, side), bool)
    points = Points(row, column, yields, np.zeros(len(row)), crop, fields[row, column].astype(np.int64))
    days = np.linspace(90, 200, dates).astype(np.float32)
    return Scene(name, images, clear, days, crops, fields, points)
