"""``pomona block``."""

from __future__ import annotations

import pytest

from device.orchards import find_block
from device.store import Store
from tests.conftest import Pomona


def test_a_block_is_registered_with_its_orchard_and_listed(run_pomona: Pomona, store: Store) -> None:
    options = ("--area", "30mu", "--trees", 1650, "--fruit-weight", 210, "--unit", "kg/mu", "--variety", "Fuji")
    trained = ("--training-system", "spindle")
    done = run_pomona("block", "add", "B1", "--orchard", "North farm", *options, *trained)
    assert (done.exit_code, done.out) == (0, "Block B1 of North farm, 825 trees a hectare.\n")
    block = find_block(store, "B1")
    assert block.area_m2 == pytest.approx(20_000)
    assert (block.trees, block.fruit_weight_g, block.yield_unit, block.variety) == (1650, 210, "kg/mu", "Fuji")
    assert block.training_system == "spindle"
    assert run_pomona("block", "list").out == "North farm\tB1\tFuji\t2.00 ha\t1650 trees\tspindle\n"


def test_a_block_is_known_by_its_name_alone(run_pomona: Pomona) -> None:
    assert run_pomona("block", "add", "B1", "--orchard", "North farm").out == "Block B1 of North farm.\n"
    unknown = "variety unknown\tarea unknown\ttrees unknown\ttraining system unknown"
    assert run_pomona("block", "list").out == f"North farm\tB1\t{unknown}\n"


def test_an_empty_list_says_how_to_begin(run_pomona: Pomona, store: Store) -> None:
    done = run_pomona("block", "list")
    assert done.out == "No block is registered yet. Add one: pomona block add NAME --orchard ORCHARD\n"


@pytest.mark.parametrize(
    ("text", "m2"), [("2.5ha", 25_000), ("30mu", 20_000), (" 1200 m2 ", 1200), ("1200m²", 1200), ("6acre", 24_281.14)]
)
def test_areas_are_given_with_their_unit(run_pomona: Pomona, store: Store, text: str, m2: float) -> None:
    assert run_pomona("block", "add", "B1", "--orchard", "N", "--area", text).exit_code == 0
    assert find_block(store, "B1").area_m2 == pytest.approx(m2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--area", "30"], "'30' is no area with a unit; write it like 2.5ha, 30mu, 6acre or 1200m2"),
        (["--area", "0ha"], "area is 0; it must be a number above 0"),
        (["--area", "-2ha"], "'-2ha' is no area with a unit"),
        (["--trees", "0"], "0 is not in the range x>=1"),
        (["--trees", "99999999999999999"], "trees of block B1 is 1e+17; it must be above 0 and at most 10,000,000"),
        (["--trees", "100", "--area", "1ha", "--trees-per-ha", "102"], "100 trees on 10000 m² are 100 a hectare"),
        (["--trees-per-ha", "nan"], "trees_per_ha of block B1 is nan; it must be above 0"),
        (["--fruit-weight", "-1"], "fruit_weight_g of block B1 is -1; it must be above 0"),
        (["--unit", "kg"], "yield unit 'kg' is unknown; known are kg/ha, t/ha, kg/mu, kg/tree, lb/acre"),
        (["--unit", "bins/acre"], "yield unit 'bins/acre' does not say what a full bin weighs; weigh one and write"),
        (["--variety", ""], "the variety of block B1 is ''; give 1 to 200 printable characters"),
        (["--training-system", " "], "the training system of block B1 is ''; give 1 to 200 printable characters"),
    ],
)
def test_wrong_input_is_named_the_code_is_two_and_nothing_is_recorded(
    run_pomona: Pomona, store: Store, options: list[str], said: str
) -> None:
    done = run_pomona("block", "add", "B1", "--orchard", "North farm", *options)
    assert done.exit_code == 2
    assert said in done.err
    assert store.outbox.state().waiting == 0


def test_without_an_orchard_there_is_no_block(run_pomona: Pomona) -> None:
    done = run_pomona("block", "add", "B1")
    assert done.exit_code == 2
    assert "Missing option '--orchard'" in done.err
