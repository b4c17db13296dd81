"""An orchard of several blocks, from the estimates of some."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.estimates import Choices, estimate
from device.orchard_summary import summarise_orchards
from device.orchards import Block, BlockSettings, register_block
from device.predictions import TablePredictions
from device.sampled_visits import find_visit
from device.store import Store
from export.runtime.counter import Counter
from tests.device.visiting import bring_in, photograph

PREDICTIONS = TablePredictions("predictions.csv", {"orchard": 20_000.0, "sampling_area": 20_000.0})


def estimated(store: Store, counter: Counter, folder: Path, name: str, apples: int, siting: str = "block") -> Block:
    """A block of 2 ha with 1650 trees of so many apples of 200 g: 165 kg/ha for each apple."""
    settings = BlockSettings(area_m2=20_000, trees=1650, fruit_weight_g=200)
    block = register_block(store, name, "North farm", settings, "kg/ha")
    photos = [photograph(folder / name, f"T{i:02}", apples + i % 2) for i in range(4)]
    bring_in(store, counter, block, *photos)
    estimate(store, block, find_visit(store, block), PREDICTIONS, Choices(siting=siting))
    return block


def test_one_block_is_no_more_than_its_own_estimate(store: Store, counter: Counter, tmp_path: Path) -> None:
    estimated(store, counter, tmp_path, "B1", 10)
    assert summarise_orchards(store) == []


def test_blocks_are_joined_by_area_and_share_their_fruit_weight(store: Store, counter: Counter, tmp_path: Path) -> None:
    estimated(store, counter, tmp_path, "B1", 10)
    estimated(store, counter, tmp_path, "B2", 20)
    (view,) = summarise_orchards(store)
    assert (view.orchard, view.unit, view.visited, view.blocks) == ("North farm", "kg/ha", 2, 2)
    assert view.corrected == pytest.approx(15.5 * 165)
    # both blocks' fruit was given one weight, a tenth uncertain, and trees hardly differ
    assert view.corrected_high / view.corrected == pytest.approx(1.216, abs=0.02)


def test_a_block_that_nobody_visited_widens_the_interval(store: Store, counter: Counter, tmp_path: Path) -> None:
    estimated(store, counter, tmp_path, "B1", 10)
    register_block(store, "B2", "North farm", BlockSettings(area_m2=20_000, trees=1650))
    (view,) = summarise_orchards(store)
    assert (view.visited, view.blocks) == (1, 2)
    assert view.corrected == pytest.approx(10.5 * 165)
    assert view.corrected_high / view.corrected > 1.3


def test_trees_of_one_area_say_less_of_their_block(store: Store, counter: Counter, tmp_path: Path) -> None:
    for name in ("B1", "B2"):
        estimated(store, counter, tmp_path, name, 10)
    (whole,) = summarise_orchards(store)
    for name in ("B1", "B2"):
        block = estimated(store, counter, tmp_path, name, 10, siting="area")
        assert block.area_m2 == 20_000
    (area,) = summarise_orchards(store)
    assert area.corrected_high > whole.corrected_high


def test_orchards_with_a_block_of_unknown_area_or_without_estimates_are_left_out(
    store: Store, counter: Counter, tmp_path: Path
) -> None:
    estimated(store, counter, tmp_path, "B1", 10)
    register_block(store, "B2", "North farm", BlockSettings())
    for name in ("S1", "S2"):
        register_block(store, name, "South farm", BlockSettings(area_m2=10_000))
    assert summarise_orchards(store) == []


def test_kg_a_tree_needs_the_trees_of_every_block(store: Store, counter: Counter, tmp_path: Path) -> None:
    estimated(store, counter, tmp_path, "B1", 10)
    register_block(store, "B2", "North farm", BlockSettings(area_m2=20_000), "kg/tree")
    (view,) = summarise_orchards(store)
    assert view.unit == "kg/ha"
    register_block(store, "B2", "North farm", BlockSettings(trees=1650))
    (view,) = summarise_orchards(store)
    assert view.unit == "kg/tree"
    assert view.corrected == pytest.approx(10.5 * 0.2)
