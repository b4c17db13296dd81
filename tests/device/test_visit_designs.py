"""How the trees of a visit were chosen, from what a person says."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.sampling import SimpleRandom, Stratified, Systematic
from calibration.strata import cut_strata
from device.errors import InputError
from device.orchards import Block
from device.planning.designs import find_strata
from device.planning.tree_lists import read_tree_list
from device.sampled_visits import find_visit
from device.store import Store
from device.visit_designs import design_of
from export.runtime.counter import Counter
from tests.device.visiting import bring_in, photograph

CODES = ("R01-T02", "R01-T09", "R02-T03", "R02-T08")


@pytest.fixture
def visited(store: Store, block: Block, counter: Counter, tmp_path: Path) -> Block:
    """Two trees in each of two rows."""
    bring_in(store, counter, block, *(photograph(tmp_path, code, 5) for code in CODES))
    return block


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """All trees: two rows of twelve, the second row stronger."""
    lines = [f"R{row:02}-T{tree:02},{row},{tree},{row}" for row in (1, 2) for tree in range(1, 13)]
    path = tmp_path / "trees.csv"
    path.write_text("tree,row,position,vigour\n" + "\n".join(lines))
    return path


def test_trees_chosen_at_random_come_as_they_are(store: Store, visited: Block) -> None:
    order, design = design_of(store, visited, find_visit(store, visited), "random")
    assert (order.tolist(), design) == ([0, 1, 2, 3], SimpleRandom(1650))


def test_of_a_part_of_the_block_nobody_knows_how_many_trees_there_are(store: Store, visited: Block) -> None:
    _, design = design_of(store, visited, find_visit(store, visited), "random", whole_block=False)
    assert design == SimpleRandom(None)


def test_a_walk_goes_up_one_row_and_down_the_next(store: Store, visited: Block) -> None:
    order, design = design_of(store, visited, find_visit(store, visited), "systematic")
    assert order.tolist() == [0, 1, 3, 2]
    assert design == Systematic(1650, ((1, 2), (1, 9), (2, 8), (2, 3)))


@pytest.mark.parametrize("name", ["vigour", "row"])
def test_strata_have_the_sizes_of_the_list(store: Store, visited: Block, listed: Path, name: str) -> None:
    order, design = design_of(store, visited, find_visit(store, visited), name, listed)
    assert order.tolist() == [0, 1, 2, 3]
    assert isinstance(design, Stratified)
    assert sorted(design.population.values()) == [12, 12]
    assert design.strata[0] == design.strata[1] != design.strata[2] == design.strata[3]


def test_a_plan_and_an_estimate_call_a_vigour_class_alike(store: Store, visited: Block, listed: Path) -> None:
    _, design = design_of(store, visited, find_visit(store, visited), "vigour", listed)
    assert isinstance(design, Stratified)
    trees = read_tree_list(listed)
    strata = find_strata(trees, ())
    assert strata is not None
    assert set(design.population) == set(strata.names(cut_strata(trees.vigour)))


def test_a_walk_past_trees_without_rows_is_not_known(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "old oak", 5), photograph(tmp_path, "R01-T02", 5))
    with pytest.raises(
        InputError, match=r"their codes do not say row and position \(R03-T07\); estimate with --design"
    ):
        design_of(store, block, find_visit(store, block), "systematic")


@pytest.mark.parametrize("name", ["vigour", "row"])
def test_strata_need_the_list_of_all_trees(store: Store, visited: Block, name: str) -> None:
    with pytest.raises(InputError, match=f"--design {name} needs to know .* list all trees of block B1 with --trees"):
        design_of(store, visited, find_visit(store, visited), name)


def test_a_list_without_vigour_or_without_a_tree_is_named(store: Store, visited: Block, tmp_path: Path) -> None:
    path = tmp_path / "trees.csv"
    path.write_text("tree\nR01-T02\nR01-T09\n")
    visit = find_visit(store, visited)
    with pytest.raises(InputError, match=r"trees\.csv has no vigour; add the column vigour"):
        design_of(store, visited, visit, "vigour", path)
    with pytest.raises(InputError, match=r"tree R02-T03 was photographed and is not in .*trees\.csv; add it there"):
        design_of(store, visited, visit, "row", path)
    path.write_text("tree\na\nb\n")
    with pytest.raises(InputError, match="does not say in which row each tree stands; add the columns row,position"):
        design_of(store, visited, visit, "row", path)


@pytest.mark.parametrize(
    ("name", "what", "others"),
    [
        ("row", "row", [f"row {number}" for number in range(3, 9)]),
        ("vigour", "class of vigour", ["vigour 3 to 4"]),
    ],
)
def test_strata_that_miss_trees_are_named_with_the_way_out(
    store: Store, visited: Block, tmp_path: Path, name: str, what: str, others: list[str]
) -> None:
    path = tmp_path / "trees.csv"
    lines = [f"R{row:02}-T{tree:02},{row},{tree},{row}" for row in range(1, 9) for tree in range(1, 13)]
    path.write_text("tree,row,position,vigour\n" + "\n".join(lines))
    with pytest.raises(InputError) as refused:
        design_of(store, visited, find_visit(store, visited), name, path)
    said = str(refused.value)
    assert said.startswith(f"--design {name} needs two photographed trees in every {what}, and fewer stand in ")
    assert others[0] in said
    assert ("row 3, row 4, row 5, row 6 and 2 more" in said) == (name == "row")
    assert said.endswith("photograph more there, or estimate with --design random")


def test_a_row_of_one_tree_needs_no_second(store: Store, visited: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, visited, photograph(tmp_path, "R03-T01", 5))
    path = tmp_path / "trees.csv"
    lines = [f"R{row:02}-T{tree:02}" for row in (1, 2) for tree in range(1, 13)]
    path.write_text("\n".join(("tree", *lines, "R03-T01")))
    _, design = design_of(store, visited, find_visit(store, visited), "row", path)
    assert isinstance(design, Stratified)
    assert design.population["row 3"] == 1


def test_an_unknown_design_is_refused(store: Store, visited: Block) -> None:
    with pytest.raises(InputError, match="design 'x' is unknown; known are random, systematic, vigour, row"):
        design_of(store, visited, find_visit(store, visited), "x")
