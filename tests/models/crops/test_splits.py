"""Splits: nothing on two sides, no block on two sides."""

from __future__ import annotations

import numpy as np
import pytest

from models.crops.series import CropError, PixelSeries
from models.crops.splits import Split, by_blocks, folds, patch_of, random_draw, zone_to_zone


def _blocks(pixels: PixelSeries, split: Split) -> list[set[int]]:
    return [set(pixels.block[part].tolist()) for part in (split.train, split.validation, split.test)]


def _are_apart(parts: list[set[int]]) -> bool:
    return all(parts) and sum(map(len, parts)) == len(set.union(*parts))


def test_a_tile_has_a_hundred_patches_that_do_not_overlap() -> None:
    rows, columns = np.divmod(np.arange(1098 * 1097), 1097)
    patches, pixels = np.unique(patch_of(rows, columns, 1098, 1097), return_counts=True)
    assert patches.tolist() == list(range(100))
    assert pixels.max() / pixels.min() < 1.02
    assert patch_of(np.array([0, 1097]), np.array([0, 1096]), 1098, 1097).tolist() == [0, 99]


def test_blocks_are_dealt_out_whole_and_in_every_region(pixels: PixelSeries) -> None:
    split = by_blocks(pixels, 0.2, 0.3, seed=3)
    assert _are_apart(_blocks(pixels, split))
    assert len(split.train) + len(split.validation) + len(split.test) == len(pixels)
    for part in (split.train, split.validation, split.test):
        assert set(pixels.region[part]) == {0, 1}
    again, other = by_blocks(pixels, 0.2, 0.3, seed=3), by_blocks(pixels, 0.2, 0.3, seed=4)
    assert np.array_equal(split.test, again.test)
    assert not np.array_equal(split.test, other.test)


def test_folds_test_every_pixel_once(pixels: PixelSeries) -> None:
    tested = np.zeros(len(pixels), int)
    for split in folds(pixels, 4, 0.2, seed=0):
        assert _are_apart(_blocks(pixels, split))
        tested[split.test] += 1
    assert (tested == 1).all()


def test_zone_to_zone_learns_nothing_of_the_other_zone(pixels: PixelSeries) -> None:
    split = zone_to_zone(pixels, 1, 0.2, seed=0)
    assert _are_apart(_blocks(pixels, split))
    assert set(pixels.zone[split.test]) == {1}
    assert set(pixels.zone[np.concatenate([split.train, split.validation])]) == {0}


def test_a_block_across_the_border_of_two_zones_is_not_trained_on(pixels: PixelSeries) -> None:
    pixels.zone[:5] = 1  # block 0 now lies in both
    split = zone_to_zone(pixels, 1, 0.2, seed=0)
    assert 0 not in set(pixels.block[np.concatenate([split.train, split.validation])])


def test_a_random_draw_has_as_many_of_each_class(pixels: PixelSeries) -> None:
    split = random_draw(pixels, 20, 0.25, seed=0)
    assert np.bincount(pixels.label[split.train]).tolist() == [15] * 3
    assert np.bincount(pixels.label[split.validation]).tolist() == [5] * 3
    assert len(split.test) == 180
    assert not set(split.test) & (set(split.train) | set(split.validation))


def test_too_little_is_refused_with_a_remedy(pixels: PixelSeries) -> None:
    with pytest.raises(CropError, match="crop 0 has 80 pixels"):
        random_draw(pixels, 80, 0.2, seed=0)
    with pytest.raises(CropError, match="smaller blocks"):
        by_blocks(pixels.take(pixels.block < 2), 0.2, 0.3, seed=0)
    with pytest.raises(CropError, match="fewer folds"):
        folds(pixels, 40, 0.2, seed=0)
    with pytest.raises(CropError, match="test on another part"):
        zone_to_zone(pixels, 7, 0.2, seed=0)
