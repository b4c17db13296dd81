"""Registering orchards and blocks."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest

from cloud_sync.messages import BlockBody, OrchardBody, decode_body, decode_envelope
from device.errors import InputError
from device.names import LONGEST
from device.orchards import BlockSettings, all_blocks, find_block, register_block
from device.store import Store
from tests.device.visiting import queued, table

UNNAMEABLE = ["", "  ", "x" * (LONGEST + 1), "bell\x07here", "\udcff"]


def test_a_block_knows_its_orchard_and_what_was_said(store: Store) -> None:
    settings = BlockSettings(area_m2=20_000, trees=1650, variety="Fuji", fruit_weight_g=210)
    block = register_block(store, "B1", "North farm", settings, "kg/mu")
    assert find_block(store, "B1") == block
    assert (block.name, block.orchard, block.yield_unit) == ("B1", "North farm", "kg/mu")
    assert (block.area_m2, block.trees, block.variety, block.fruit_weight_g) == (20_000, 1650, "Fuji", 210)


def test_the_server_learns_of_both(store: Store) -> None:
    register_block(store, "B1", "North farm", BlockSettings(trees=1650, variety="Fuji", training_system="spindle"))
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("jetson-1", 0, 10)]
    assert bodies == [
        OrchardBody(orchard="North farm", crop="apple"),
        BlockBody(orchard="North farm", block="B1", trees=1650, variety="Fuji", training_system="spindle"),
    ]


def test_density_follows_from_trees_and_area_unless_it_was_given(store: Store) -> None:
    assert register_block(store, "B1", "North farm", BlockSettings(trees=1650)).trees_per_ha is None
    assert register_block(store, "B1", "North farm", BlockSettings(area_m2=20_000)).trees_per_ha == pytest.approx(825)
    assert register_block(store, "B1", "North farm", BlockSettings(trees_per_ha=900)).trees_per_ha == 900


def test_trees_and_area_given_together_replace_a_density_given_before(store: Store) -> None:
    register_block(store, "B1", "North farm", BlockSettings(trees_per_ha=900))
    assert register_block(store, "B1", "North farm", BlockSettings(trees=1650)).trees_per_ha == 900
    both = BlockSettings(area_m2=20_000, trees=1650)
    assert register_block(store, "B1", "North farm", both).trees_per_ha == pytest.approx(825)
    (*_, body) = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("jetson-1", 0, 10)]
    assert body == BlockBody(orchard="North farm", block="B1", trees=1650, area_m2=20_000)


def test_trees_area_and_density_may_agree_and_must_not_contradict(store: Store) -> None:
    rounded = BlockSettings(area_m2=20_000, trees=1650, trees_per_ha=830)
    assert register_block(store, "B1", "North farm", rounded).trees_per_ha == 830
    said = "trees_per_ha of block B1 is 900, but 1650 trees on 20000 m² are 825 a hectare; correct one of the three"
    with pytest.raises(InputError, match=said):
        register_block(store, "B1", "North farm", replace(rounded, trees_per_ha=900))
    assert find_block(store, "B1").trees_per_ha == 830


def test_a_name_is_one_name_however_it_is_written(store: Store) -> None:
    decomposed = unicodedata.normalize("NFD", "Grün 1")
    block = register_block(store, f" {decomposed}", "North  farm", BlockSettings(variety="Pink  Lady "))
    assert (block.name, block.orchard, block.variety) == ("Grün 1", "North farm", "Pink Lady")
    assert register_block(store, "Grün 1", "North farm ", BlockSettings()) == block
    assert find_block(store, f"{decomposed} ") == block
    assert queued(store) == ["orchard", "block"]


def test_what_is_not_named_stays_as_it_was(store: Store) -> None:
    register_block(store, "B1", "North farm", BlockSettings(trees=1650, variety="Fuji"), "kg/mu")
    block = register_block(store, "B1", "North farm", BlockSettings(fruit_weight_g=180))
    assert (block.trees, block.variety, block.fruit_weight_g, block.yield_unit) == (1650, "Fuji", 180, "kg/mu")


def test_registering_again_queues_nothing(store: Store) -> None:
    for _ in range(2):
        register_block(store, "B1", "North farm", BlockSettings(trees=1650))
    assert queued(store) == ["orchard", "block"]


def test_blocks_are_listed_by_orchard_and_name(store: Store) -> None:
    for block, orchard in (("B2", "South"), ("B3", "North"), ("B1", "South")):
        register_block(store, block, orchard, BlockSettings())
    assert [(block.orchard, block.name) for block in all_blocks(store)] == [
        *[("North", "B3"), ("South", "B1"), ("South", "B2")]
    ]


@pytest.mark.parametrize("name", UNNAMEABLE)
def test_names_are_one_to_two_hundred_printable_characters(store: Store, name: str) -> None:
    said = f"give 1 to {LONGEST} printable characters"
    with pytest.raises(InputError, match=f"the orchard's name is .*; {said}"):
        register_block(store, "B1", name, BlockSettings())
    with pytest.raises(InputError, match=f"the block's name is .*; {said}"):
        register_block(store, name, "North farm", BlockSettings())
    with pytest.raises(InputError, match=f"the variety of block B1 is .*; {said}"):
        register_block(store, "B1", "North farm", BlockSettings(variety=name))


def test_the_longest_name_and_any_script_are_kept_and_sent(store: Store) -> None:
    block = register_block(store, "果" * LONGEST, "Obstgut Äpfelhöhe", BlockSettings(variety="富士"))
    assert find_block(store, block.name) == block
    assert len(store.outbox.waiting("jetson-1", 0, 10)) == 2


@pytest.mark.parametrize("field", ["area_m2", "trees", "trees_per_ha", "fruit_weight_g"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_numbers_of_a_block_are_above_zero(store: Store, field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{field} of block B1 is .*; it must be above 0"):
        register_block(store, "B1", "North farm", BlockSettings(**{field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "most"),
    [
        ("area_m2", 1e10, "1,000,000,000"),
        ("trees", 99_999_999_999_999_999, "10,000,000"),
        ("trees_per_ha", 1e6, "100,000"),
        ("fruit_weight_g", 1e5, "10,000"),
    ],
)
def test_numbers_of_a_block_are_not_beyond_all_measure(store: Store, field: str, value: float, most: str) -> None:
    with pytest.raises(InputError, match=f"{field} of block B1 is .*; it must be above 0 and at most {most}"):
        register_block(store, "B1", "North farm", BlockSettings(**{field: value}))  # type: ignore[arg-type]
    assert queued(store) == []


def test_a_block_that_is_refused_leaves_no_orchard_behind(store: Store) -> None:
    register_block(store, "B1", "North farm", BlockSettings())
    with pytest.raises(InputError, match="block 'B1' already belongs to North farm; give this one another name"):
        register_block(store, "B1", "Nort farm", BlockSettings())
    assert [row["name"] for row in table(store, "orchard")] == ["North farm"]
    assert queued(store) == ["orchard", "block"]


def test_an_unknown_unit_is_refused_with_the_known_ones(store: Store) -> None:
    with pytest.raises(InputError, match="yield unit 'kg' is unknown; known are kg/ha, t/ha, kg/mu, kg/tree"):
        register_block(store, "B1", "North farm", BlockSettings(), "kg")


def test_an_unknown_block_is_refused_with_the_known_ones(store: Store) -> None:
    with pytest.raises(InputError, match=r"'B9' is unknown \(none is registered yet\); register it: pomona block"):
        find_block(store, "B9")
    for name in ("B2", "B1"):
        register_block(store, name, "North farm", BlockSettings())
    with pytest.raises(InputError, match=r"block 'B9' is unknown \(known are B1, B2\)"):
        find_block(store, "B9")
