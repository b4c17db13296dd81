"""The sampling plan of a block."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.guard_rails import FEW_TREES
from calibration.plan import Promise, one_population, trees_needed
from calibration.tree_choice import walking_order
from device.errors import InputError
from device.orchards import Block
from device.planning.plan import Plan, Wishes, make_plan
from device.store import Store
from tests.device.planning.counted import count, plant

ROWS = "30x55"  # the block's 1650 trees
TENTH = Wishes(Promise(0.1))
IN_ROWS = replace(TENTH, rows=ROWS)


def codes(plan: Plan) -> list[str]:
    return [plan.trees.codes[tree] for tree in plan.walk.tolist()]


def spread_counts(trees: int, cv: float, seed: int = 1) -> dict[str, int]:
    """Counts of trees here and there in the block."""
    rng = np.random.default_rng(seed)
    fruit = np.round(rng.gamma(cv**-2, 100 * cv**2, trees)).astype(int).tolist()
    places = rng.permutation(30 * 55)[:trees].tolist()
    return {f"R{p // 55 + 1:02d}-T{p % 55 + 1:02d}": n for p, n in zip(places, fruit, strict=True)}


@pytest.fixture
def vigour(tmp_path: Path) -> Path:
    """A third of the block, each of whose rows is stronger than the one before."""
    path = tmp_path / "vigour.csv"
    lines = [f"R{row:02d}-T{tree:02d},{row / 10 + tree / 1000}" for row in range(1, 31) for tree in range(1, 56)]
    path.write_text("\n".join(("tree,vigour", *lines)))
    return path


def test_the_number_is_that_of_the_spread_and_the_promise(store: Store, block: Block) -> None:
    plan = make_plan(store, block, IN_ROWS)
    spread = plan.draw.spread
    population = one_population(1650, spread.variance, spread.degrees_of_freedom, along_rows=True)
    assert len(plan.walk) == trees_needed(population, IN_ROWS.promise)[0]
    assert plan.precision <= 0.1
    assert plan.draw.design == "systematic"


def test_the_same_block_gets_the_same_trees_and_another_seed_or_block_others(store: Store, block: Block) -> None:
    once = codes(make_plan(store, block, IN_ROWS))
    assert codes(make_plan(store, block, IN_ROWS)) == once
    assert codes(make_plan(store, block, replace(IN_ROWS, seed=5))) != once
    assert codes(make_plan(store, replace(block, name="B2"), IN_ROWS)) != once


@pytest.mark.parametrize("design", ["systematic", "spread-out", "stratified"])
def test_every_design_keeps_the_promise_with_trees_of_the_block(
    store: Store, block: Block, vigour: Path, design: str
) -> None:
    plan = make_plan(store, block, replace(TENTH, trees=vigour, design=design))
    assert plan.draw.design == design
    assert plan.precision <= 0.1
    assert len(set(codes(plan))) == len(plan.walk) == int(plan.draw.sample.sum())


@pytest.mark.parametrize("design", ["systematic", "spread-out"])
def test_the_walk_goes_up_one_row_and_down_the_next_that_has_a_chosen_tree(
    store: Store, block: Block, design: str
) -> None:
    plan = make_plan(store, block, replace(TENTH, rows="165x10", number=90, design=design))
    assert plan.trees.row is not None
    assert plan.trees.position is not None
    rows, positions = plan.trees.row[plan.walk].tolist(), plan.trees.position[plan.walk].tolist()
    assert rows == sorted(rows)
    visited = sorted(set(rows))
    for number, row in enumerate(visited):
        met = [position for position, of in zip(positions, rows, strict=True) if of == row]
        assert met == sorted(met, reverse=bool(number % 2))


def test_trees_that_differ_less_than_elsewhere_need_fewer(store: Store, block: Block) -> None:
    unknown = make_plan(store, block, IN_ROWS)
    assert any("plan again after the first visit" in note for note in unknown.notes)
    count(store, block, "2024-09-15", spread_counts(40, cv=0.2))
    seen = make_plan(store, block, IN_ROWS)
    assert len(seen.walk) < 0.5 * len(unknown.walk)
    assert seen.draw.spread.source == "seen on 40 trees in 2024"
    (note,) = seen.notes
    assert note.startswith("26 trees and not 24: ")


def test_a_number_that_is_given_is_told_what_it_can_promise(store: Store, block: Block) -> None:
    few, many = (make_plan(store, block, replace(IN_ROWS, number=number)) for number in (13, 200))
    assert (len(few.walk), len(many.walk)) == (13, 200)
    assert few.precision > 0.3
    assert many.precision < 0.1
    short = make_plan(store, block, replace(IN_ROWS, number=5))
    assert any(f"fewer than {FEW_TREES} trees say little" in note for note in short.notes)


def test_a_given_spread_goes_before_what_was_seen(store: Store, block: Block) -> None:
    count(store, block, "2024-09-15", spread_counts(40, cv=0.2))
    given = make_plan(store, block, replace(IN_ROWS, cv=0.6))
    assert given.draw.spread.source == "as given"
    assert len(given.walk) > 3 * len(make_plan(store, block, IN_ROWS).walk)


def test_vigour_makes_strata_and_shares_follow_their_size(store: Store, block: Block, vigour: Path) -> None:
    draw = make_plan(store, block, replace(TENTH, trees=vigour)).draw
    assert (draw.design, draw.allocation) == ("stratified", "proportional")
    assert draw.names is not None
    assert len(draw.names) == 4
    assert draw.names[0].startswith("vigour 0.101 to ")
    assert draw.sample / draw.population.sizes == pytest.approx(len(draw.chosen) / 1650, rel=0.05)


def test_trees_without_vigour_are_sampled_too(store: Store, block: Block, vigour: Path) -> None:
    vigour.write_text(vigour.read_text().replace("R07-T01,0.701", "R07-T01,").replace("R07-T02,0.702", "R07-T02,"))
    draw = make_plan(store, block, replace(TENTH, trees=vigour)).draw
    assert draw.names is not None
    assert draw.names[-1] == "vigour unknown"
    assert draw.sample[-1] == 2


def test_past_counts_inside_strata_of_vigour_save_trees(store: Store, block: Block, vigour: Path) -> None:
    """Fruit follows the rows, as vigour does."""
    rng = np.random.default_rng(2)
    places = rng.permutation(1650)[:60].tolist()
    fruit = {f"R{p // 55 + 1:02d}-T{p % 55 + 1:02d}": int(40 + 8 * (p // 55) + rng.normal(0, 10)) for p in places}
    count(store, block, "2024-09-15", fruit)
    by_vigour = make_plan(store, block, replace(TENTH, trees=vigour))
    assert by_vigour.draw.allocation == "neyman"
    assert by_vigour.draw.spread.source == "inside the strata, seen on 60 trees in 2024"
    assert by_vigour.draw.spread.cv < 0.2
    assert by_vigour.precision <= 0.1
    assert len(by_vigour.walk) < 0.6 * len(make_plan(store, block, IN_ROWS).walk)
    proportional = make_plan(store, block, replace(TENTH, trees=vigour, allocation="proportional"))
    assert proportional.draw.allocation == "proportional"
    assert len(proportional.walk) >= len(by_vigour.walk)


def test_past_counts_of_nearly_all_trees_make_strata_themselves(store: Store, block: Block) -> None:
    everything = spread_counts(1600, cv=0.4)
    count(store, block, "2024-09-15", everything)
    draw = make_plan(store, block, IN_ROWS).draw
    assert (draw.design, draw.allocation) == ("stratified", "proportional")
    assert draw.names is not None
    assert draw.names[0].endswith(" in 2024")
    assert draw.names[-1] == "not counted in 2024"
    assert int(draw.population.sizes[-1]) == 50


def test_counts_do_not_tell_the_spread_inside_the_strata_they_make_but_those_of_another_year_do(
    store: Store, block: Block
) -> None:
    everything = spread_counts(1650, cv=0.4)
    count(store, block, "2024-09-15", everything)
    alone = make_plan(store, block, IN_ROWS).draw
    assert alone.allocation == "proportional"
    assert alone.spread.source == "seen on 1650 trees in 2024"
    assert alone.spread.cv == pytest.approx(0.4, abs=0.03)
    rng = np.random.default_rng(3)
    some = {code: round(fruit * rng.uniform(0.8, 1.2)) for code, fruit in list(everything.items())[:80]}
    count(store, block, "2023-09-15", some)
    with_another = make_plan(store, block, IN_ROWS).draw
    assert with_another.allocation == "neyman"
    assert with_another.spread.source == "inside the strata, seen on 80 trees in 2023"
    assert with_another.spread.cv < 0.3
    assert len(with_another.chosen) < 0.7 * len(alone.chosen)


def test_an_interval_in_step_with_the_rows_is_avoided(store: Store, block: Block) -> None:
    plan = make_plan(store, block, replace(IN_ROWS, number=30))
    assert len(plan.walk) > 30
    assert plan.trees.position is not None
    assert len(set(plan.trees.position[plan.walk].tolist())) > 10
    (said,) = (note for note in plan.notes if "keep step" in note)
    assert said.startswith(f"{len(plan.walk)} trees and not 30: with 30 the walk would keep step with the rows")
    as_asked = make_plan(store, block, replace(IN_ROWS, number=len(plan.walk)))
    assert len(as_asked.walk) == len(plan.walk)
    assert not any("keep step" in note for note in as_asked.notes)


def test_an_interval_in_step_with_a_pattern_of_past_counts_is_told(store: Store, block: Block, tmp_path: Path) -> None:
    """A pollinator with little fruit at every eleventh tree of the walk, a few trees not counted, in no order."""
    rng = np.random.default_rng(5)
    listed = [f"R{place // 50 + 1:02d}-T{place % 50 + 1:02d}" for place in rng.permutation(1650).tolist()]
    (tmp_path / "trees.csv").write_text("\n".join(("tree", *listed)))
    wishes = replace(TENTH, trees=tmp_path / "trees.csv", number=150, design="systematic")
    before = make_plan(store, block, wishes)
    assert not any("keeps step" in note for note in before.notes)
    assert before.trees.row is not None
    assert before.trees.position is not None
    walk = walking_order(before.trees.row, before.trees.position).tolist()
    noise = rng.normal(0, 10, len(walk)).round().astype(int).tolist()
    fruit = {before.trees.codes[tree]: 150 + noise[at] - 80 * (at % 11 == 3) for at, tree in enumerate(walk)}
    count(store, block, "2024-09-15", dict(list(fruit.items())[60:]))
    (told,) = (note for note in make_plan(store, block, wishes).notes if "keeps step" in note)
    assert told.startswith("a walk that stops at every 11. tree keeps step with a pattern in the past figures")
    for harmless in (replace(wishes, number=137), replace(wishes, design="stratified")):
        assert not any("keeps step" in note for note in make_plan(store, block, harmless).notes)


def test_few_past_counts_tell_nothing_of_a_pattern(store: Store, block: Block) -> None:
    count(store, block, "2024-09-15", spread_counts(200, cv=0.4))
    notes = make_plan(store, block, replace(TENTH, rows="33x50", number=150, design="systematic")).notes
    assert not any("keeps step" in note for note in notes)


def test_trees_are_spread_over_the_ground_by_their_places(store: Store, block: Block) -> None:
    """Without rows, and with names that say nothing."""
    rng = np.random.default_rng(4)
    names = rng.permutation(1650).tolist()
    plant(
        store,
        block,
        {f"tree {name}": (45 + number // 55 * 4e-5, 11 + number % 55 * 2e-5) for number, name in enumerate(names)},
    )
    plan = make_plan(store, block, replace(TENTH, number=60, design="spread-out"))
    north = plan.trees.latitude[plan.walk]
    quarters = np.histogram(north, bins=4, range=(45, 45 + 30 * 4e-5))[0]
    assert quarters.min() >= 12


def test_a_small_block_is_photographed_whole(store: Store, block: Block) -> None:
    plan = make_plan(store, block, replace(TENTH, rows="2x4"))
    assert len(plan.walk) == 8
    assert plan.precision == 0


def test_ten_thousand_trees_are_planned_in_less_than_a_second(store: Store, block: Block) -> None:
    for design in ("systematic", "spread-out"):
        started = time.process_time()
        plan = make_plan(store, block, replace(TENTH, rows="80x125", design=design))
        assert time.process_time() - started < 1
        assert len(plan.trees) == 10_000


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (
            replace(IN_ROWS, design="stratified"),
            "--design stratified needs something to tell trees apart by",
        ),
        (replace(TENTH, design="spread-out"), "--design spread-out needs to know where trees stand; give --rows"),
        (replace(IN_ROWS, allocation="neyman"), "--allocation neyman divides trees among strata, and there are none"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(store: Store, block: Block, wishes: Wishes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_plan(store, block, wishes)


def test_neyman_needs_to_know_the_spread_inside_strata(store: Store, block: Block, vigour: Path) -> None:
    with pytest.raises(
        InputError, match="--allocation neyman needs the spread inside each stratum: past counts of ten"
    ):
        make_plan(store, block, replace(TENTH, trees=vigour, allocation="neyman"))
