"""What people told of trees by hand, as factors of a visit: what both sides show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from calibration.shared_factors import SharedFactor
from calibration.visibility import LEAST_TREES, unknown_visibility
from cloud_sync.messages import Stage
from device.by_hand import HandCounted, record_hand_counts
from device.estimate_factors import counts_and_factors
from device.hand_factors import review_doubt, told_by_hand, visibility
from device.orchards import Block, BlockSettings, find_block, register_block
from device.photo_naming import TreePhoto
from device.recording import Visit, record_visit
from device.reviewing import review_trees
from device.sampled_visits import SampledVisit, find_visit
from device.sides import Rule
from device.store import Store
from device.visits import import_photos
from export.runtime.bundle import Bundle
from export.runtime.counter import Counter
from tests.device.visiting import DAY, bring_in, photograph
from tests.disc_bundle import make_disc_bundle

# fruit on either side, and of them on both, of six trees
SIDES = ((10, 8, 3), (20, 16, 5), (30, 33, 12), (40, 35, 10), (25, 30, 7), (24, 20, 8))


@pytest.fixture(scope="module")
def photographed(counter: Counter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a device that has counted the trees from both sides."""
    folder = tmp_path_factory.mktemp("photographed")
    store = Store(folder / "home")
    block = register_block(store, "B1", "North farm", BlockSettings(trees_per_ha=825))
    bring_in(store, counter, block, *sides_of(folder))
    store.close()
    return folder / "home"


@pytest.fixture
def store(home: Path, photographed: Path) -> Iterator[Store]:
    """Its records, to be changed."""
    shutil.copytree(photographed, home)
    opened = Store(home)
    yield opened
    opened.close()


@pytest.fixture
def both_sides(store: Store) -> Block:
    """The block of these trees."""
    return find_block(store, "B1")


@pytest.fixture
def biased(tmp_path: Path) -> Bundle:
    """A bundle that counts a quarter too many."""
    stages = {"ripening": {"bias": 0.25, "variance": 0.01, "trees": 27, "rows": 5}}
    counting = {"apple": {"threshold": 0.6, "stages": stages}, "apple_flower": {"threshold": 0.6}}
    return make_disc_bundle(tmp_path / "biased", counting=counting)


def sides_of(folder: Path) -> list[TreePhoto]:
    return [
        photograph(folder, f"T0{i}", apples, side)
        for i, tree in enumerate(SIDES)
        for apples, side in zip(tree, "ab", strict=False)
    ]


def choose(store: Store, block: Block, sides: Rule) -> SampledVisit:
    """The visit with another rule for the sides of its trees."""
    with store.change():
        record_visit(store, Visit(block, DAY, "ripening", sides=sides))
    return find_visit(store, block)


def seen_from_both(trees: int = len(SIDES)) -> dict[str, HandCounted]:
    return {f"T0{i}": HandCounted(both=tree[2]) for i, tree in enumerate(SIDES[:trees])}


def found_in(factors: tuple[SharedFactor, ...], name: str) -> SharedFactor:
    return next(factor for factor in factors if factor.name == name)


def sides_factor(store: Store, block: Block, visit: SampledVisit, bundle: Path | None = None) -> SharedFactor:
    return found_in(counts_and_factors(store, block, visit, bundle)[1], "both sides")


@pytest.mark.parametrize(("rule", "value"), [("larger", 1.0), ("sum", 0.85), ("one", 1.7)])
def test_what_both_sides_show_is_assumed_until_five_trees_tell(
    store: Store, both_sides: Block, rule: Rule, value: float
) -> None:
    visit = choose(store, both_sides, rule)
    factor = sides_factor(store, both_sides, visit)
    assert factor.factor.value == pytest.approx(value)
    assert bool(factor.warnings) == (rule != "larger")
    record_hand_counts(store, both_sides, visit, seen_from_both(4))
    assert sides_factor(store, both_sides, visit) == factor
    record_hand_counts(store, both_sides, visit, seen_from_both(5))
    learned = sides_factor(store, both_sides, visit)
    assert (learned == factor) == (rule == "larger")
    assert learned.warnings == ()


@pytest.mark.parametrize("rule", ["sum", "one"])
def test_where_all_trees_tell_the_fruit_that_shows_at_all_comes_out_either_way(
    store: Store, both_sides: Block, rule: Rule
) -> None:
    visit = choose(store, both_sides, rule)
    record_hand_counts(store, both_sides, visit, seen_from_both())
    counts, factors = counts_and_factors(store, both_sides, visit)
    factor = found_in(factors, "both sides")
    assert counts.sum() * factor.factor.value == pytest.approx(sum(one + other - both for one, other, both in SIDES))
    assert factor.factor.variance > 0
    assert factor.factor.degrees_of_freedom == 5
    assert factor.choice.endswith(", seen on 6 trees")


def test_people_see_what_the_model_misses_on_both_sides_too(store: Store, both_sides: Block, biased: Bundle) -> None:
    """The bundle counts a quarter too many, so that of its counts 0.8 are fruit to be seen from both sides."""
    store.db.execute("UPDATE tree_count SET model = ?", [biased.identity])
    visit = choose(store, both_sides, "sum")
    record_hand_counts(store, both_sides, visit, seen_from_both())
    counts, factors = counts_and_factors(store, both_sides, visit, biased.folder)
    found = counts.sum() * found_in(factors, "both sides").factor.value
    assert found == pytest.approx(sum(0.8 * (one + other) - both for one, other, both in SIDES))


def test_neighbours_fruit_is_not_seen_from_both_sides_of_the_tree(store: Store, both_sides: Block) -> None:
    visit = choose(store, both_sides, "sum")
    told = {f"T0{i}": HandCounted(own=(one + other) // 2, both=both // 3) for i, (one, other, both) in enumerate(SIDES)}
    record_hand_counts(store, both_sides, visit, told)
    counts, factors = counts_and_factors(store, both_sides, visit)
    own = found_in(factors, "background fruit").factor.value
    assert counts.sum() * own * found_in(factors, "both sides").factor.value == pytest.approx(
        own * counts.sum() - sum(both // 3 for _, _, both in SIDES)
    )


def test_what_hand_counts_of_whole_trees_hold_already_is_not_told_again(store: Store, both_sides: Block) -> None:
    visit = choose(store, both_sides, "sum")
    nothing = told_by_hand(store, both_sides, visit)
    record_hand_counts(store, both_sides, visit, {f"T0{i}": HandCounted(60) for i in range(5)})
    counted = told_by_hand(store, both_sides, visit)
    record_hand_counts(store, both_sides, visit, seen_from_both())
    assert told_by_hand(store, both_sides, visit) == counted != nothing


def test_no_more_fruit_is_there_twice_than_a_side_shows(store: Store, both_sides: Block) -> None:
    visit = choose(store, both_sides, "sum")
    record_hand_counts(store, both_sides, visit, {tree: HandCounted(both=99) for tree in seen_from_both()})
    counts, _ = counts_and_factors(store, both_sides, visit)
    kept = counts.sum() * sides_factor(store, both_sides, visit).factor.value
    assert kept == pytest.approx(sum(max(one, other) for one, other, _ in SIDES))


@pytest.mark.parametrize(
    ("settings", "stage", "learned"),
    [
        (BlockSettings(training_system="spindle"), "ripening", True),
        (BlockSettings(training_system="trellis"), "ripening", False),
        (BlockSettings(training_system="spindle"), "young_fruit", False),
    ],
)
def test_trees_of_the_orchard_trained_alike_at_the_same_stage_tell(
    store: Store,
    both_sides: Block,
    counter: Counter,
    tmp_path: Path,
    settings: BlockSettings,
    stage: Stage,
    learned: bool,
) -> None:
    register_block(store, "B1", "North farm", BlockSettings(training_system="spindle"))
    record_hand_counts(store, both_sides, choose(store, both_sides, "larger"), seen_from_both())
    other = register_block(store, "B2", "North farm", settings)
    photos = [photograph(tmp_path / "other", f"T{i}", 7) for i in range(2)]
    import_photos(store, counter, Visit(other, DAY, stage, sides="one"), photos)
    factor = sides_factor(store, other, find_visit(store, other))
    assert factor.choice.endswith("seen on 6 trees") == learned


def test_trees_that_another_model_counted_or_without_photos_of_two_sides_tell_nothing(
    store: Store, both_sides: Block, counter: Counter, tmp_path: Path
) -> None:
    more = [photograph(tmp_path / "more", "T06", apples, side) for apples, side in ((5, "a"), (6, "b"), (7, "c"))]
    bring_in(store, counter, both_sides, *more, photograph(tmp_path / "more", "T07", 9))
    visit = choose(store, both_sides, "sum")
    told = {**seen_from_both(), "T06": HandCounted(both=2), "T07": HandCounted(both=2)}
    record_hand_counts(store, both_sides, visit, told)
    factor = sides_factor(store, both_sides, visit)
    assert factor.choice.endswith("seen on 6 trees")
    (said,) = factor.warnings
    assert said.startswith("2 trees (T06, T07) without photos of just two sides")
    store.db.execute("UPDATE tree_count SET model = 'older' WHERE both = 3")
    assert not sides_factor(store, both_sides, visit).warnings[1:]
    only_newer = replace(visit, trees=tuple(tree for tree in visit.trees if tree.code != "T00"))
    assert sides_factor(store, both_sides, only_newer).choice.endswith("seen on 5 trees")


def test_hand_counts_teach_visits_whose_sides_were_joined_alike(
    store: Store, both_sides: Block, counter: Counter, tmp_path: Path
) -> None:
    told = {f"T0{i}": HandCounted(2 * max(tree)) for i, tree in enumerate(SIDES)}
    record_hand_counts(store, both_sides, find_visit(store, both_sides), told)
    later = Visit(both_sides, date(2025, 10, 1), "ripening", sides="sum")
    import_photos(store, counter, later, sides_of(tmp_path / "later"))
    visit = find_visit(store, both_sides)
    assert visit.sides == "sum"
    assert visibility(store, both_sides, visit) == unknown_visibility()
    record_hand_counts(store, both_sides, visit, told)
    learned = visibility(store, both_sides, visit)
    assert learned.factor.value == pytest.approx(
        sum(2 * max(tree) for tree in SIDES) / sum(one + other for one, other, _ in SIDES)
    )
    assert "both sides" in learned.includes


def test_reviewing_few_of_the_trees_counted_by_hand_is_doubted(store: Store, both_sides: Block) -> None:
    """LEAST_TREES of them have to be reviewed before what they tell is used again."""
    visit = find_visit(store, both_sides)
    assert review_doubt(store, visit) is None
    record_hand_counts(store, both_sides, visit, {f"T0{i}": HandCounted(by_hand=50) for i in range(LEAST_TREES)})
    assert review_doubt(store, find_visit(store, both_sides)) is None, "nobody has reviewed anything"
    review_trees(store, both_sides, visit, {"T00": 12, "T01": 21})
    doubt = review_doubt(store, find_visit(store, both_sides))
    assert doubt is not None
    assert f"{LEAST_TREES} trees counted by hand tell" in doubt
    assert f"2 of those are; review {LEAST_TREES - 2} more" in doubt
    review_trees(store, both_sides, visit, {f"T0{i}": 30 for i in range(LEAST_TREES)})
    assert review_doubt(store, find_visit(store, both_sides)) is None


def test_without_hand_counts_reviews_are_not_doubted(store: Store, both_sides: Block) -> None:
    review_trees(store, both_sides, find_visit(store, both_sides), {"T00": 12})
    assert review_doubt(store, find_visit(store, both_sides)) is None
