"""Which pixels are trained on, which decide when to stop, which are kept for the test; never one block on two sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.crops.series import CropError, IntArray, PixelSeries

PATCHES_A_SIDE = 10


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of pixels.

    Attributes:
        train: that are fitted to.
        validation: that decide settings and when to stop.
        test: that no fit and no choice ever sees.
    """

    train: IntArray
    validation: IntArray
    test: IntArray


def patch_of(rows: IntArray, columns: IntArray, height: int, width: int, a_side: int = PATCHES_A_SIDE) -> IntArray:
    """The patch each pixel of a tile lies in; 100 patches by default, as equal as the tile's size allows.

    Args:
        rows: (n,) of the pixels.
        columns: (n,) of the pixels.
        height: of the tile in pixels.
        width: of the tile in pixels.
        a_side: patches along each side.

    Returns:
        (n,) numbered row by row from 0.
    """
    return rows * a_side // height * a_side + columns * a_side // width


def by_blocks(pixels: PixelSeries, validation: float, test: float, seed: int) -> Split:
    """Deal whole blocks out at random, region by region, as the paper deals out its 100 patches.

    Args:
        pixels: with their blocks.
        validation: share of blocks.
        test: share of blocks.
        seed: of the dealing.

    Raises:
        CropError: a part without a block.
    """
    random = np.random.default_rng(seed)
    part = np.zeros(len(pixels), np.int64)
    for region in np.unique(pixels.region):
        here = pixels.region == region
        blocks = random.permutation(np.unique(pixels.block[here]))
        tests, checks = round(test * len(blocks)), round(validation * len(blocks))
        if not (tests and checks and tests + checks < len(blocks)):
            raise CropError(
                f"{len(blocks)} blocks of {pixels.regions[region]} do not make three parts; take smaller blocks, or "
                "larger shares for validation and test"
            )
        part[here & np.isin(pixels.block, blocks[:tests])] = 2
        part[here & np.isin(pixels.block, blocks[tests : tests + checks])] = 1
    return _split(part)


def folds(pixels: PixelSeries, number: int, validation: float, seed: int) -> list[Split]:
    """Every block in the test once: folds of whole blocks, region by region.

    Args:
        pixels: with their blocks.
        number: of folds.
        validation: share of the other blocks that decide when to stop.
        seed: of the dealing.

    Raises:
        CropError: a region with fewer blocks than folds.
    """
    random = np.random.default_rng(seed)
    fold = np.zeros(len(pixels), np.int64)
    for region in np.unique(pixels.region):
        here = pixels.region == region
        blocks = random.permutation(np.unique(pixels.block[here]))
        if len(blocks) < number:
            raise CropError(f"{pixels.regions[region]} has {len(blocks)} blocks for {number} folds; take fewer folds")
        for index in range(number):
            fold[here & np.isin(pixels.block, blocks[index::number])] = index
    return [_tested_on(pixels, fold == index, validation, random) for index in range(number)]


def zone_to_zone(pixels: PixelSeries, test_zone: int, validation: float, seed: int) -> Split:
    """Train on one zone of a region, test on another: the hardest of the spatial tests.

    Args:
        pixels: with their zones.
        test_zone: to test on.
        validation: share of the other zone's blocks.
        seed: of the choice of those.

    Raises:
        CropError: all pixels or none lie in the zone.
    """
    return _tested_on(pixels, pixels.zone == test_zone, validation, np.random.default_rng(seed))


def random_draw(pixels: PixelSeries, a_class: int, validation: float, seed: int) -> Split:
    """The same number of pixels of each class at random, all others for the test; neighbours may be on both sides.

    That is how published peers draw; it flatters, and says nothing of a place that was not sampled.

    Args:
        pixels: to draw from.
        a_class: pixels of each class to train on, those for validation among them.
        validation: share of those.
        seed: of the draw.

    Raises:
        CropError: a class with too few pixels.
    """
    random = np.random.default_rng(seed)
    part = np.full(len(pixels), 2)
    checks = round(validation * a_class)
    for index, name in enumerate(pixels.legend):
        of_class = random.permutation(np.flatnonzero(pixels.label == index))
        if len(of_class) <= a_class:
            raise CropError(f"{name} has {len(of_class)} pixels; {a_class} to train on leave none for the test")
        part[of_class[:a_class]] = 0
        part[of_class[:checks]] = 1
    return _split(part)


def _tested_on(pixels: PixelSeries, test: NDArray[np.bool_], validation: float, random: np.random.Generator) -> Split:
    blocks = random.permutation(np.unique(pixels.block[~test & ~np.isin(pixels.block, pixels.block[test])]))
    checks = max(1, round(validation * len(blocks)))
    if not test.any() or checks >= len(blocks):
        raise CropError(
            f"{int(test.sum())} pixels to test on leave {len(blocks)} blocks for training and validation; both "
            "need some, so test on another part"
        )
    part = np.where(test, 2, 3)
    part[~test & np.isin(pixels.block, blocks[checks:])] = 0
    part[~test & np.isin(pixels.block, blocks[:checks])] = 1
    return _split(part)


def _split(part: NDArray[np.int64]) -> Split:
    return Split(*(np.flatnonzero(part == index) for index in range(3)))
