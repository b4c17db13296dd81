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
from tests.device.planning.counted import count
from tests.device.visiting import bring_in, photograph

PREDICTIONS = TablePredictions("predictions.csv", {"orchard": 20_000.0, "sampling_area": 20_000.0})


def estimated(
    store: Store,
    counter: Counter,
    folder: Path,
    name: str,
    apples: int,
    siting: str = "block",
    predictions: TablePredictions = PREDICTIONS,
) -> Block:
    """A block of 2 ha with 1650 trees of so many apples of 200 g: 165 kg/ha for each apple."""
    settings = BlockSettings(area_m2=20_000, trees=1650, fruit_weight_g=200)
    block = register_block(store, name, "North farm", settings, "kg/ha")
    photos = [photograph(folder / name, f"T{i:02}", apples + i % 2) for i in range(4)]
    bring_in(store, counter, block, *photos)
    estimate(store, block, find_visit(store, block), predictions, Choices(siting=siting))
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


def test_a_block_that_nobody_visited_is_corrected_as_the_predictions_of_the_visited_trees_were(
    store: Store, counter: Counter, tmp_path: Path
) -> None:
    unlike = TablePredictions("predictions.csv", {"orchard": 20_000.0, "sampling_area": 12_000.0})
    estimated(store, counter, tmp_path, "B1", 10, predictions=unlike)
    register_block(store, "B2", "North farm", BlockSettings(area_m2=20_000, trees=1650))
    (view,) = summarise_orchards(store)
    observed = 10.5 * 165
    assert view.corrected == pytest.approx((observed + observed / 12_000 * 20_000) / 2)


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


def additive_orchard(store: Store, blocks: int, day: str = "2025-09-15") -> None:
    """Blocks of 1 ha that bear about 8 t/ha more than predicted, whatever is predicted; two more nobody visited."""
    settings = BlockSettings(area_m2=10_000, trees=825, fruit_weight_g=200)
    for number in range(blocks):
        block = register_block(store, f"A{number}", "West farm", settings, "kg/ha")
        predicted = 5_000.0 * (number + 1)
        fruit = round((predicted + 8_000 + 100 * (-1) ** number) / 165)
        count(store, block, day, {"T1": fruit - 1, "T2": fruit, "T3": fruit + 1})
        table = TablePredictions("p.csv", {"orchard": 30_000.0, "sampling_area": predicted})
        estimate(store, block, find_visit(store, block), table)
    for number in range(2):
        register_block(store, f"Z{number}", "West farm", settings)


def test_enough_blocks_of_a_season_choose_how_the_others_are_corrected(store: Store) -> None:
    additive_orchard(store, 8)
    (view,) = summarise_orchards(store)
    assert (view.form, view.visited, view.blocks) == ("additive", 8, 10)
    assert view.corrected == pytest.approx((8 * (22_500 + 8_000) + 2 * (30_000 + 8_000)) / 10, rel=0.003)
    (why,) = view.notes
    assert "correction the additive form errs" in why
    assert "less than the ratio in 8 blocks left out in turn" in why


def test_with_fewer_blocks_or_of_several_seasons_the_ratio_stays(store: Store) -> None:
    additive_orchard(store, 7)
    (view,) = summarise_orchards(store)
    assert (view.form, view.notes) == (None, ())
    for number in range(4):
        settings = BlockSettings(area_m2=10_000, trees=825, fruit_weight_g=200)
        block = register_block(store, f"Y{number}", "West farm", settings)
        count(store, block, "2024-09-15", {"T1": 100, "T2": 110})
        estimate(store, block, find_visit(store, block), PREDICTIONS)
    (view,) = summarise_orchards(store)
    assert (view.form, view.visited) == (None, 11)


def test_where_all_blocks_were_visited_their_own_trees_tell_the_yield(store: Store) -> None:
    settings = BlockSettings(area_m2=10_000, trees=825, fruit_weight_g=200)
    for number in range(8):
        block = register_block(store, f"A{number}", "West farm", settings, "kg/ha")
        count(store, block, "2025-09-15", {"T1": 95 + number, "T2": 105 + number})
        estimate(store, block, find_visit(store, block), PREDICTIONS)
    (view,) = summarise_orchards(store)
    assert view.form == "ratio"
    assert view.corrected == pytest.approx(103.5 * 165)
    assert view.notes[1].startswith("all blocks were visited")
