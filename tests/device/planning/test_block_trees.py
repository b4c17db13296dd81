"""All trees of a block, from whatever is known of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import InputError
from device.orchards import Block, BlockSettings, register_block
from device.planning.block_trees import find_trees
from device.store import Store
from tests.device.planning.counted import plant

HERE, THERE = (45.5, 11.25), (45.6, 11.5)


@pytest.fixture
def small(store: Store) -> Block:
    """Block B2 of the North farm: four trees."""
    return register_block(store, "B2", "North farm", BlockSettings(trees=4))


def test_the_registry_is_enough_where_it_holds_all_trees(store: Store, small: Block) -> None:
    plant(store, small, {"R01-T10": HERE, "R01-T9": None, "R02-T1": None, "R02-T2": THERE})
    trees, notes = find_trees(store, small)
    assert trees.codes == ("R01-T9", "R01-T10", "R02-T1", "R02-T2")
    assert trees.row is not None
    assert trees.row.tolist() == [1, 1, 2, 2]
    assert trees.placed.tolist() == [False, True, False, True]
    assert notes == ()


def test_trees_photographed_so_far_are_not_taken_for_the_block(store: Store, small: Block) -> None:
    plant(store, small, {"R01-T01": HERE, "R02-T02": HERE})
    trees, notes = find_trees(store, small)
    assert trees.codes == ("T0001", "T0002", "T0003", "T0004")
    assert notes == ("rows are not known, so trees are counted on from row to row: give --rows to be told rows",)


def test_names_that_tell_no_rows_come_in_the_order_people_count(store: Store, small: Block) -> None:
    plant(store, small, {"T10": None, "T9": None, "T1": None, "Oak": None})
    trees, _ = find_trees(store, small)
    assert trees.codes == ("Oak", "T1", "T9", "T10")
    assert trees.row is None


def test_rows_are_joined_with_what_is_registered(store: Store, small: Block) -> None:
    plant(store, small, {"R1-T2": HERE, "R02-T01": THERE, "oak": HERE})
    trees, notes = find_trees(store, small, rows="2x2")
    # the registry's own spelling stays, so that photos come to the same tree
    assert trees.codes == ("R01-T01", "R1-T2", "R02-T01", "R02-T02")
    assert trees.placed.tolist() == [False, True, True, False]
    assert (trees.latitude[1], trees.longitude[1]) == HERE
    assert notes == ()


def test_a_list_is_joined_with_what_is_registered_and_its_own_places_stand(
    store: Store, small: Block, tmp_path: Path
) -> None:
    plant(store, small, {"A": HERE, "B": HERE})
    path = tmp_path / "trees.csv"
    path.write_text("tree,latitude,longitude\nA,,\nB,1,2\nC,,\nD,,\n")
    trees, _ = find_trees(store, small, listed=path)
    assert trees.placed.tolist() == [True, True, False, False]
    assert (trees.latitude[0], trees.latitude[1]) == (45.5, 1)


def test_numbers_that_disagree_are_noted(store: Store, small: Block) -> None:
    _, notes = find_trees(store, small, rows="3x2")
    assert notes == (
        "planned for 6 places, and block B2 is registered with 4 trees; where a chosen place is empty leave it out",
    )


def test_other_blocks_trees_do_not_count(store: Store, small: Block, block: Block) -> None:
    plant(store, block, {f"R1-T{number}": HERE for number in range(4)})
    assert find_trees(store, small, rows="2x2")[0].placed.sum() == 0


def test_a_block_of_which_nothing_is_known_is_asked_about(store: Store) -> None:
    bare = register_block(store, "B3", "North farm", BlockSettings())
    plant(store, bare, {"R1-T1": HERE, "R1-T2": HERE})
    said = "how many trees block B3 has is not known; say it with --rows 28x60 .* block add B3 --orchard 'North farm'"
    with pytest.raises(InputError, match=said):
        find_trees(store, bare)
    assert len(find_trees(store, bare, rows="2x30")[0]) == 60


def test_a_list_and_rows_are_one_too_many(store: Store, small: Block) -> None:
    with pytest.raises(InputError, match="--trees and --rows both say which trees there are; give one of them"):
        find_trees(store, small, Path("trees.csv"), "2x2")
