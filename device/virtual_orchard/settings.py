"""What a user can choose about a virtual orchard, and what the growth stages look like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from device.virtual_orchard.errors import OrchardSettingsError


@dataclass(frozen=True)
class Stage:
    """How a growth stage differs from the others.

    Attributes:
        label: what is counted: ``apple`` or ``apple_flower``.
        growth: diameter of the fruit on the photo day over its diameter at harvest; 0 while in flower.
        ripeness: mean share of blush on the peel, 0 green to 1 red all over.
        unevenness: how much the blush differs between fruit.
        leaf_length_m: mean length of a leaf blade.
        leafiness: number of leaves against a tree in full leaf.
        leaf_youth: how much younger and lighter the leaves are than in summer, 0 to 0.5.
        turning_leaves: share of leaves that turn yellow.
    """

    label: str
    growth: float
    ripeness: float
    unevenness: float
    leaf_length_m: float
    leafiness: float
    leaf_youth: float
    turning_leaves: float

    @property
    def is_flowering(self) -> bool:
        """Whether flower clusters are drawn instead of fruit."""
        return self.growth == 0


class Stream(IntEnum):
    """Independent streams of random numbers, each started from the seed and its own number."""

    LOADS = 0
    VISIT = 1
    FRUIT = 2
    PHOTO = 3
    LOOKS = 4
    GREENERY = 5


STAGES = MappingProxyType(
    {
        "flowering": Stage("apple_flower", 0.0, 0.0, 0.0, 0.045, 0.55, 0.35, 0.0),
        "young_fruit": Stage("apple", 0.52, 0.0, 0.2, 0.070, 0.9, 0.15, 0.0),
        "fruit_expansion": Stage("apple", 0.86, 0.14, 0.9, 0.075, 0.88, 0.0, 0.003),
        "ripening": Stage("apple", 1.0, 0.72, 1.0, 0.075, 0.9, 0.0, 0.006),
    }
)

_LEAST_WIDTH_PX, _MOST_WIDTH_PX = 800, 8000


@dataclass(frozen=True)
class OrchardSettings:
    """A virtual orchard: one block, of which some trees are photographed on one day.

    Attributes:
        trees: number of photographed trees, spread evenly over the block.
        seed: everything random follows from it.
        stage: ``flowering``, ``young_fruit``, ``fruit_expansion`` or ``ripening``.
        width_px: width of a photo.
        height_px: height of a photo.
        mean_fruit: mean fruit of a tree, hidden ones included; in flower, the mean number of flower clusters.
        fruit_cv: standard deviation of the fruit of a tree over their mean.
        rows: tree rows of the block.
        trees_per_row: trees in a row.
        row_spacing_m: between rows.
        tree_spacing_m: between the trees of a row.
        latitude: degrees north of the first tree.
        longitude: degrees east of the first tree.
        day: day of the visit.
        block: name of the block.
    """

    trees: int = 30
    seed: int = 1
    stage: str = "ripening"
    width_px: int = 2688
    height_px: int = 1664
    mean_fruit: float = 110.0
    fruit_cv: float = 0.35
    rows: int = 12
    trees_per_row: int = 40
    row_spacing_m: float = 4.0
    tree_spacing_m: float = 1.8
    latitude: float = 37.2431
    longitude: float = 120.5427
    day: date = date(2025, 9, 24)
    block: str = "B1"

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            OrchardSettingsError: a setting out of its range; the message names it and what it may be.
        """
        if self.stage not in STAGES:
            raise OrchardSettingsError(f"stage is {self.stage!r}; choose one of {', '.join(STAGES)}")
        _check_range("seed", self.seed, 0, math.inf)
        _check_range("width_px", self.width_px, _LEAST_WIDTH_PX, _MOST_WIDTH_PX)
        _check_range("height_px", self.height_px, 0.5 * self.width_px, 1.5 * self.width_px)
        _check_range("mean_fruit", self.mean_fruit, 1, 400)
        _check_range("fruit_cv", self.fruit_cv, 0, 1)
        _check_range("rows", self.rows, 1, 99)
        _check_range("trees_per_row", self.trees_per_row, 1, 99)
        _check_range("row_spacing_m", self.row_spacing_m, 2, 10)
        _check_range("tree_spacing_m", self.tree_spacing_m, 0.8, 8)
        _check_range("latitude", self.latitude, -85, 85)
        _check_range("longitude", self.longitude, -180, 180)
        if not 1 <= self.trees <= self.block_trees:
            raise OrchardSettingsError(
                f"trees is {self.trees}; choose 1 to {self.block_trees}, the trees of the block "
                "(rows x trees_per_row), or make the block larger"
            )
        if not self.block or not self.block.isprintable():
            raise OrchardSettingsError(f"block is {self.block!r}; give the block a name such as B1")

    @property
    def block_trees(self) -> int:
        """Trees of the whole block."""
        return self.rows * self.trees_per_row

    @property
    def tree_area_m2(self) -> float:
        """Ground of one tree."""
        return self.row_spacing_m * self.tree_spacing_m


def _check_range(name: str, value: Any, least: float, most: float) -> None:
    if not least <= value <= most:  # also refuses NaN
        span = f"{least:g} or more" if math.isinf(most) else f"{least:g} to {most:g}"
        raise OrchardSettingsError(f"{name} is {value}; choose {span}")
