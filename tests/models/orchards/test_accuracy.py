"""Figures of a map and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from models.orchards.accuracy import confusion, differences, scores, with_intervals


def test_figures_of_a_small_table_by_hand() -> None:
    """20 rightly other, 5 missed, 10 invented, 15 found: Cohen's own example of kappa 0.4."""
    found = scores(np.array([[20, 5], [10, 15]]))
    assert found["overall"] == pytest.approx(0.7)
    assert found["kappa"] == pytest.approx(0.4)
    assert found["users"] == pytest.approx(0.6)
    assert found["producers"] == pytest.approx(0.75)
    assert found["f1"] == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    assert found["share_difference"] == pytest.approx(0.1)


def test_an_error_matrix_has_the_map_in_its_rows() -> None:
    reference = np.array([True, True, True, False, False])
    mapped = np.array([True, False, False, True, False])
    assert confusion(reference, mapped).tolist() == [[1, 2], [1, 1]]


def test_a_figure_without_anything_to_divide_by_is_no_number() -> None:
    found = with_intervals(np.zeros(6, bool), np.zeros(6, bool), np.arange(6))
    assert found["overall"].value == 1
    assert np.isnan(found["users"].value)
    assert np.isnan(found["users"].low)


def test_points_of_a_block_count_as_one_draw() -> None:
    """When whole blocks are right or wrong together, the interval is that of the blocks and not of the points."""
    rng = np.random.default_rng(1)
    right = rng.random(40) < 0.8
    blocks = np.repeat(np.arange(40), 25)
    reference = np.tile([True, False], 500)
    mapped = np.where(np.repeat(right, 25), reference, ~reference)
    by_block = with_intervals(reference, mapped, blocks)["overall"]
    by_point = with_intervals(reference, mapped, np.arange(1000))["overall"]
    share = right.mean()
    assert by_block.value == pytest.approx(share)
    assert by_block.high - by_block.low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 40), rel=0.15)
    assert by_point.high - by_point.low == pytest.approx((by_block.high - by_block.low) / 5, rel=0.15)


def test_maps_are_compared_on_the_same_draws() -> None:
    """Two maps that differ at two points differ by little, however much the blocks differ."""
    rng = np.random.default_rng(2)
    reference = rng.random(400) < 0.5
    first = np.where(np.repeat(rng.random(40) < 0.5, 10), reference, ~reference)
    second = first.copy()
    wrong = np.flatnonzero(first != reference)[[0, -1]]
    second[wrong] = reference[wrong]
    less = differences(reference, {"first": first, "second": second}, np.repeat(np.arange(40), 10))
    assert set(less) == {"second"}
    assert less["second"].value == pytest.approx(2 / 400)
    assert 0 <= less["second"].low <= 2 / 400 <= less["second"].high < 0.02
