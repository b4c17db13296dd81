"""Intervals and paired differences over blocks and seeds."""

from __future__ import annotations

import numpy as np
import pytest

from models.crops.scores import Judged, f1_of, mean_f1, overall, paired_difference, with_interval, worst_f1


def _judged(right: float, seeds: int = 3, seed: int = 0, pixels: int = 600) -> Judged:
    random = np.random.default_rng(seed)
    reference = np.arange(pixels) % 3
    wrong = random.random((seeds, pixels)) > right
    return Judged(reference, np.where(wrong, (reference + 1) % 3, reference), np.arange(pixels) // 20, 3)


def test_a_figure_is_the_mean_of_the_seeds_and_inside_its_interval() -> None:
    judged = _judged(0.8)
    found = with_interval(judged, overall)
    assert found.value == pytest.approx((judged.mapped == judged.reference).mean())
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.1


def test_pairing_takes_out_what_both_sides_share() -> None:
    """Blocks differ much; the same blocks on both sides leave the small difference that every block shows."""
    reference = np.zeros(1000, np.int64)
    hard = np.repeat(np.random.default_rng(0).random(50), 20)
    place = np.tile(np.arange(20) / 20, 50)
    ours = (place < 0.9 * hard).astype(np.int64)
    theirs = (place < hard).astype(np.int64)
    of_ours, of_theirs = (Judged(reference, mapped[None], np.arange(1000) // 20, 2) for mapped in (ours, theirs))
    difference = paired_difference(of_ours, of_theirs, overall)
    alone = with_interval(of_ours, overall)
    assert difference.low > 0
    assert difference.high - difference.low < (alone.high - alone.low) / 3


def test_equal_sides_differ_by_nothing_and_one_training_is_held_against_each() -> None:
    judged, once = _judged(0.8), _judged(0.8, seeds=1)
    nothing = paired_difference(judged, judged, worst_f1)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
    against = paired_difference(judged, once, overall)
    expected = (judged.mapped == judged.reference).mean() - (once.mapped == once.reference).mean()
    assert against.value == pytest.approx(expected)


def test_few_blocks_make_wide_intervals() -> None:
    """The same pixels in larger blocks whose pixels fail together are fewer witnesses."""
    reference = np.zeros(1000, np.int64)
    mapped = np.repeat(np.random.default_rng(1).random(20) < 0.3, 50).astype(np.int64)[None]
    by_block = with_interval(Judged(reference, mapped, np.arange(1000) // 50, 2), overall)
    alone = with_interval(Judged(reference, mapped, np.arange(1000), 2), overall)
    assert by_block.high - by_block.low > 3 * (alone.high - alone.low)


def test_figures_of_classes() -> None:
    matrix = np.array([[8, 2], [2, 4]])
    assert f1_of(1)(matrix) == pytest.approx(8 / 12)
    assert worst_f1(matrix) == pytest.approx(8 / 12)
    assert mean_f1(matrix) == pytest.approx((16 / 20 + 8 / 12) / 2)
