"""Which of the drawn fruit a person would box: the truth that counts are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Below these a person who labels photos sees no fruit, or none that could be told from a leaf.
LEAST_VISIBLE_SHARE = 0.30
LEAST_ACROSS_PX = 14

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class DrawnFruit:
    """A fruit or flower cluster as it was put on the canvas.

    Attributes:
        x: column of its centre.
        y: line of its centre.
        reach_px: no pixel of it is further from the centre than this, in x or y.
        area_px: pixels it would cover if nothing hid it.
    """

    x: float
    y: float
    reach_px: int
    area_px: int


@dataclass(frozen=True)
class FruitView:
    """What can be seen of one fruit.

    Attributes:
        visible_share: visible over whole projected area, 0 to 1; what is outside of the photo is not visible.
        box: x1, y1, x2, y2 of the visible part in pixels, x2 and y2 exclusive; None when nothing is seen.
    """

    visible_share: float
    box: Box | None

    @property
    def counted(self) -> bool:
        """Whether at least 30 % of it is seen and what is seen is at least 14 px across, both ways."""
        if self.box is None or self.visible_share < LEAST_VISIBLE_SHARE:
            return False
        x1, y1, x2, y2 = self.box
        return min(x2 - x1, y2 - y1) >= LEAST_ACROSS_PX


def view_fruit(owner: NDArray[np.uint16], drawn: Sequence[DrawnFruit]) -> list[FruitView]:
    """Look up what can be seen of each fruit.

    Args:
        owner: (height, width), number of the fruit seen in each pixel; the first of ``drawn`` is number 1.
        drawn: all fruit of the tree.
    """
    return [_view(owner, number, fruit) for number, fruit in enumerate(drawn, start=1)]


def _view(owner: NDArray[np.uint16], number: int, fruit: DrawnFruit) -> FruitView:
    left, top = max(0, round(fruit.x) - fruit.reach_px), max(0, round(fruit.y) - fruit.reach_px)
    right, bottom = max(0, round(fruit.x) + fruit.reach_px + 1), max(0, round(fruit.y) + fruit.reach_px + 1)
    seen = owner[top:bottom, left:right] == number
    area = int(np.count_nonzero(seen))
    if area == 0:
        return FruitView(0.0, None)
    columns, lines = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    box = (left + int(columns[0]), top + int(lines[0]), left + int(columns[-1]) + 1, top + int(lines[-1]) + 1)
    return FruitView(min(1.0, area / fruit.area_px), box)
