"""Boxes as a counted tree has them, drawn by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_sync.boxes import ROW


def orchard_like(boxes: int, seed: int = 1) -> NDArray[Any]:
    """Rows of round fruit of much the same size, all over a photo of 2688 x 1664, with scores as a model gives them."""
    random = np.random.default_rng(seed)
    width = np.clip(random.normal(34, 8, boxes), 12, 80)
    height = width * random.normal(1.03, 0.1, boxes)
    left, top = random.uniform(0, 2688 - width), random.uniform(0, 1664 - height)
    rows = np.zeros(boxes, ROW)
    rows["box"] = np.rint(np.stack((left, top, left + width, top + height), axis=1))
    rows["score"] = np.rint(random.beta(4, 2, boxes) * 178 + 77)
    return rows
