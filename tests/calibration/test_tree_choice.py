"""Which trees are chosen."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.tree_choice import Indices, along_rows, out_of_step, spread_out, walking_order, within_strata

ROWS, PLACES = 12, 25
ROW, PLACE = np.divmod(np.arange(ROWS * PLACES), PLACES)
ORDER = walking_order(ROW, PLACE)
STANDS = np.column_stack((ROW * 4.0, PLACE * 1.5))
LABELS = np.where(ROW < 4, 0, 1)

Choice = Callable[[np.random.Generator], Indices]
CHOICES: dict[str, Choice] = {
    "along rows": lambda rng: along_rows(ORDER, 40, rng),
    "in strata": lambda rng: within_strata(ORDER, LABELS, np.array([14, 26]), rng),
    "spread out": lambda rng: spread_out(STANDS, 40, rng),
}


def test_the_walk_goes_up_one_row_and_down_the_next() -> None:
    row, place = np.array([7, 2, 2, 7, 7, 2, 9]), np.array([1, 1, 3, 2, 3, 2, 1])
    order = walking_order(row, place)
    assert list(zip(row[order].tolist(), place[order].tolist(), strict=True)) == [
        *[(2, 1), (2, 2), (2, 3), (7, 3), (7, 2), (7, 1), (9, 1)]
    ]


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_the_same_seed_chooses_the_same_trees_and_another_others(choice: Choice) -> None:
    first, again, other = (choice(np.random.default_rng(seed)).tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 40


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_every_tree_has_the_same_chance(choice: Choice) -> None:
    rng = np.random.default_rng(3)
    draws = 400
    chosen = np.zeros(ROWS * PLACES)
    for _ in range(draws):
        chosen[choice(rng)] += 1
    chance = np.where(LABELS == 0, 14 / 100, 26 / 200) if choice is CHOICES["in strata"] else 40 / 300
    deviation = (chosen - draws * chance) / np.sqrt(draws * chance * (1 - chance))
    assert np.abs(deviation).max() < 4.5
    assert deviation.std() < 1.3


@given(st.integers(1, 400), st.data(), st.integers(0, 2**32))
def test_the_interval_is_the_same_everywhere(trees: int, data: st.DataObject, seed: int) -> None:
    sample = data.draw(st.integers(1, trees))
    chosen = along_rows(np.arange(trees), sample, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == sample
    steps = np.diff(np.append(chosen, chosen[0] + trees))
    assert set(steps.tolist()) <= {trees // sample, -(-trees // sample)}


@given(st.integers(2, 300), st.data(), st.integers(0, 2**32))
def test_as_many_trees_are_spread_out_as_were_asked_for(trees: int, data: st.DataObject, seed: int) -> None:
    sample = data.draw(st.integers(1, trees))
    places = np.random.default_rng(seed).random((trees, 2))
    chosen = spread_out(places, sample, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == sample


def test_trees_that_are_spread_out_keep_apart() -> None:
    rng = np.random.default_rng(4)

    def nearest(chosen: Indices) -> float:
        squares = np.square(STANDS[chosen][:, None] - STANDS[chosen]).sum(axis=2)
        return float(np.sqrt(squares + np.diag(np.full(len(chosen), np.inf))).min(axis=1).mean())

    spread = np.mean([nearest(spread_out(STANDS, 20, rng)) for _ in range(60)])
    random = np.mean([nearest(rng.permutation(len(STANDS))[:20]) for _ in range(60)])
    assert spread > 1.2 * random


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_a_trend_over_the_block_is_met_more_closely_than_by_chance(choice: Choice) -> None:
    rng = np.random.default_rng(5)
    trend = ROW / ROWS
    errors = [float(trend[choice(rng)].mean() - trend.mean()) for _ in range(100)]
    if choice is CHOICES["in strata"]:
        weights = np.where(LABELS == 0, 1 / 3 / 14, 2 / 3 / 26)
        errors = [float((trend * weights)[choice(rng)].sum() - trend.mean()) for _ in range(100)]
    by_chance = trend.std() / np.sqrt(40)
    assert np.sqrt(np.mean(np.square(errors))) < 0.4 * by_chance


def test_in_strata_each_gives_what_it_shall_in_the_order_of_the_walk() -> None:
    chosen = within_strata(ORDER, LABELS, np.array([3, 5]), np.random.default_rng(6))
    assert np.bincount(LABELS[chosen]).tolist() == [3, 5]
    assert [int(np.flatnonzero(tree == ORDER)[0]) for tree in chosen] == sorted(
        int(np.flatnonzero(tree == ORDER)[0]) for tree in chosen
    )


def test_an_interval_in_step_with_the_rows_is_shifted_by_a_tree() -> None:
    """Twelve of 300 trees is one a row, at two places only: up the row it is the tenth, down the row the sixteenth."""
    in_step = along_rows(ORDER, ROWS, np.random.default_rng(7))
    assert len(set(PLACE[in_step].tolist())) == 2
    chosen = out_of_step(ORDER, PLACE, ROWS, 7)
    assert ROWS < len(chosen) <= ROWS + 2
    assert len(set(PLACE[chosen].tolist())) > 5


@pytest.mark.parametrize("sample", [10, 17, 40, 300])
def test_an_interval_that_meets_all_places_stays(sample: int) -> None:
    assert out_of_step(ORDER, PLACE, sample, 8).tolist() == (
        along_rows(ORDER, sample, np.random.default_rng(8)).tolist()
    )


def test_ten_thousand_trees_take_less_than_a_second() -> None:
    row, place = np.divmod(np.arange(10_000), 125)
    started = time.process_time()
    chosen = spread_out(np.column_stack((row * 4.0, place * 1.5)), 150, np.random.default_rng(9))
    assert time.process_time() - started < 1
    assert len(chosen) == 150


@pytest.mark.parametrize("sample", [0, -1, 301])
def test_no_more_trees_are_chosen_than_there_are(sample: int) -> None:
    said = f"number of trees to photograph is {sample}; with 300 trees it must be 1 to 300"
    with pytest.raises(CalibrationError, match=said):
        along_rows(ORDER, sample, np.random.default_rng(1))
    with pytest.raises(CalibrationError, match=said):
        spread_out(STANDS, sample, np.random.default_rng(1))


def test_a_tree_without_a_place_cannot_be_spread_out() -> None:
    with pytest.raises(CalibrationError, match="place of a tree is no number; give every tree its position"):
        spread_out(np.array([[0.0, 1.0], [np.nan, 2.0]]), 1, np.random.default_rng(1))
