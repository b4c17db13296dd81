"""How many pixels of each class, which, and batches of all regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.crops.sampling import Counts, alike_by_region, counts_by_class, shuffled, stratified, threshold
from models.crops.series import CropError


def test_the_threshold_is_the_linear_65th_percentile() -> None:
    share = np.array([0.1, 0.2, 0.3, 0.4])
    assert threshold(share, 0.65) == pytest.approx(0.295)  # 1.95 places on: 0.2 and 0.95 of the way to 0.3


def test_counts_by_hand() -> None:
    pixels = np.array([600_000, 300_000, 90_000, 9_700, 300])
    # 65th percentile of the shares: 0.9·0.09 + 0.6·(0.3 - 0.09) past it, so the first two are most present
    assert counts_by_class(pixels, Counts()).tolist() == [12_500, 6_500, 4_100, 888, 300]


_pixels = st.lists(st.integers(0, 10**6), min_size=2, max_size=20).filter(lambda pixels: sum(pixels) > 0)


@given(_pixels)
def test_counts_rise_with_the_share_inside_a_group_and_never_fall_below_the_minimum(pixels: list[int]) -> None:
    there = np.array(pixels)
    made = counts_by_class(there, Counts())
    assert (made <= there).all()
    assert (made >= np.minimum(there, 500)).all()
    share = there / there.sum()
    present = share >= threshold(share, 0.65)
    for group in (present, ~present):
        order = np.argsort(there[group], kind="stable")
        assert (np.diff(made[group][order]) >= 0).all()


def test_a_map_without_pixels_is_refused() -> None:
    with pytest.raises(CropError, match="no pixels"):
        counts_by_class(np.zeros(3, np.int64), Counts())


def test_a_stratified_draw_is_random_inside_each_class() -> None:
    label = np.repeat([0, 1, 2], [50, 30, 5])
    one, same, other = (stratified(label, np.array([10, 10, 10]), seed) for seed in (1, 1, 2))
    assert np.bincount(label[one]).tolist() == [10, 10, 5]
    assert len(set(one)) == 25
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_an_epoch_has_every_pixel_once_in_an_order_of_its_own() -> None:
    first, second = (np.concatenate(list(shuffled(10, 4, 0, epoch))) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert not np.array_equal(first, second)
    assert [len(part) for part in shuffled(9, 4, 0, 0)] == [4, 4]


def test_batches_hold_each_region_alike_and_cycle_the_shorter_ones() -> None:
    region = np.repeat([0, 1], [20, 6])
    batches = list(alike_by_region(region, 4, seed=0, epoch=0))
    assert len(batches) == 5
    for batch in batches:
        assert [len(part) for part in batch] == [4, 4]
        assert [set(region[part]) for part in batch] == [{0}, {1}]
    assert sorted(np.concatenate([batch[0] for batch in batches])) == list(range(20))
    _, times = np.unique(np.concatenate([batch[1] for batch in batches]), return_counts=True)
    assert len(times) == 6
    assert times.max() - times.min() <= 1
