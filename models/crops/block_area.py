"""How much of each block a map gives a class, beside the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.crops.series import IntArray


@dataclass(frozen=True, eq=False)
class BlockAreas:
    """Areas of one class by block; a pixel counts its weight, so they are shares of points where points were drawn.

    Attributes:
        block: (b,) numbers of the blocks.
        mapped: (b,) area the map gives the class.
        reference: (b,) area the reference gives it.
        total: (b,) of all classes.
    """

    block: IntArray
    mapped: NDArray[np.float64]
    reference: NDArray[np.float64]
    total: NDArray[np.float64]

    def relative_error(self) -> float:
        """Mapped area of all blocks above the reference's, as a share of that; NaN where the reference has none."""
        there = self.reference.sum()
        return float(self.mapped.sum() / there - 1) if there else float("nan")

    def share_rmse(self) -> float:
        """Root mean square error of the class's share of a block, each block alike."""
        return float(np.sqrt(np.mean(((self.mapped - self.reference) / self.total) ** 2)))

    def r2(self) -> float:
        """Of the class's share of blocks, against the line on which both are equal; NaN where all blocks are alike."""
        there = self.reference / self.total
        around = float(((there - there.mean()) ** 2).sum())
        missed = float(((self.mapped / self.total - there) ** 2).sum())
        return 1 - missed / around if around else float("nan")


def block_areas(
    reference: IntArray, mapped: IntArray, block: IntArray, label: int, area: NDArray[np.floating]
) -> BlockAreas:
    """Areas of one class by block.

    Args:
        reference: (n,) classes that are there.
        mapped: (n,) classes on the map.
        block: (n,) block of each pixel.
        label: the class.
        area: (n,) of each pixel, in any unit.
    """
    blocks, index = np.unique(block, return_inverse=True)

    def sums(there: NDArray[np.bool_]) -> NDArray[np.float64]:
        of_blocks = np.zeros(len(blocks))
        np.add.at(of_blocks, index, np.where(there, area, 0.0))
        return of_blocks

    return BlockAreas(blocks, sums(mapped == label), sums(reference == label), sums(np.ones(len(index), bool)))
