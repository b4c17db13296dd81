"""The sides of a tree, how they become one number, and the rule of a visit for it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.messages import CountBody, decode_body, decode_envelope
from device.by_hand import HandCounted, record_hand_counts
from device.commands import visit as command
from device.errors import InputError
from device.orchards import Block
from device.recording import Visit
from device.reviewing import review_trees
from device.sampled_visits import find_visit
from device.sides import (
    LARGER,
    ONE,
    RULES,
    SUM,
    CountedPhoto,
    JoinedSides,
    Rule,
    count_by_side,
    counted_photos,
    join,
    of_other_sides,
)
from device.store import Store
from device.visits import import_photos
from export.runtime.counter import Counter
from tests.device.visiting import DAY, bring_in, photograph, queued, table

by_side = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 1000), min_size=1)
two_sides = st.fixed_dictionaries({"a": st.integers(0, 1000), "b": st.integers(0, 1000)})


@pytest.mark.parametrize(
    ("rule", "counts", "joined"),
    [
        (LARGER, {"a": 5, "b": 9}, JoinedSides(9, "largest")),
        (SUM, {"a": 5, "b": 9}, JoinedSides(14, "sum of both sides")),
        (SUM, {"b": 9}, JoinedSides(18, "one side, twice")),
        (SUM, {"east": 8, "north": 5, "south": 9, "west": 6}, JoinedSides(14, "mean of 4 sides, twice")),
        (ONE, {"b": 9, "a": 5}, JoinedSides(5, "one side")),
        (ONE, {"b": 9}, JoinedSides(9, "one side")),
    ],
)
def test_each_rule(rule: Rule, counts: dict[str, int], joined: JoinedSides) -> None:
    assert join(rule, counts) == joined


def test_of_several_photos_of_one_side_the_fullest_stands() -> None:
    photos = [
        CountedPhoto("1", "b", 4),
        CountedPhoto("2", "a", 5),
        CountedPhoto("3", "b", 7),
        CountedPhoto("4", "b", 1),
    ]
    assert list(count_by_side(photos).items()) == [("a", 5), ("b", 7)]


@given(counts=by_side)
def test_one_side_is_at_most_the_larger_and_that_at_most_the_sum(counts: dict[str, int]) -> None:
    one, larger, summed = (join(rule, counts).count for rule in (ONE, LARGER, SUM))
    assert one <= larger
    assert summed <= 2 * larger
    if len(counts) == 2:
        assert larger <= summed


@given(counts=by_side)
def test_the_order_in_which_sides_were_photographed_means_nothing(counts: dict[str, int]) -> None:
    turned = dict(reversed(counts.items()))
    assert [join(rule, counts) for rule in RULES] == [join(rule, turned) for rule in RULES]


@given(counts=by_side, side=st.sampled_from("abcd"), more=st.integers(0, 50))
def test_more_fruit_on_a_side_is_never_less_on_the_tree(counts: dict[str, int], side: str, more: int) -> None:
    if side in counts:
        fuller = {**counts, side: counts[side] + more}
        assert all(join(rule, fuller).count >= join(rule, counts).count for rule in RULES)


@given(fruit=st.integers(0, 1000), sides=st.integers(1, 4))
def test_sides_alike_add_up_to_two_however_many_were_photographed(fruit: int, sides: int) -> None:
    assert join(SUM, dict.fromkeys("abcd"[:sides], fruit)).count == 2 * fruit


def test_the_photos_of_a_tree_stand_with_the_last_count_of_each(
    store: Store, block: Block, counter: Counter, newer_counter: Counter, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, "T01", apples, side, blossoms=2) for apples, side in ((5, "a"), (9, "b"))]
    bring_in(store, counter, block, *photos, photograph(tmp_path, "T02", 30))
    (row,) = (row for row in table(store, "tree_count") if row["machine"] == 9)
    owners = row["visit"], row["tree"]
    assert count_by_side(counted_photos(store, owners, "apple")) == {"a": 5, "b": 9}
    assert count_by_side(counted_photos(store, owners, "apple_flower")) == {"a": 2, "b": 2}
    bring_in(store, newer_counter, block, photos[0])
    changed = """UPDATE detections SET counts = '{"apple": 6}' WHERE model = ? """
    store.db.execute(changed, [newer_counter.bundle.identity])
    assert count_by_side(counted_photos(store, owners, "apple")) == {"a": 6, "b": 9}


def test_trees_with_other_sides_are_named() -> None:
    assert of_other_sides(["T01"]).startswith("1 tree (T01) without photos of just two sides")
    assert of_other_sides([f"T{i}" for i in range(7)]).startswith("7 trees (T0, T1, T2, T3, T4, …) without")


def test_choices_are_those_of_the_module_that_joins() -> None:
    assert command.SIDES == RULES


def counts(store: Store) -> dict[str, int]:
    """Count of each tree, by its code."""
    rows = store.db.query("SELECT code, machine FROM tree_count JOIN tree ON tree.id = tree_count.tree")
    return {row["code"]: row["machine"] for row in rows}


def last_count(store: Store) -> CountBody:
    """The count that was queued last."""
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("jetson-1", 0, 1000)]
    return [body for body in bodies if isinstance(body, CountBody)][-1]


@pytest.mark.parametrize(
    ("rule", "joined"), [("larger", (9, "largest")), ("sum", (14, "sum of both sides")), ("one", (5, "one side"))]
)
def test_the_sides_become_one_count_by_the_visits_rule_and_the_server_learns_which(
    store: Store, block: Block, counter: Counter, tmp_path: Path, rule: Rule, joined: tuple[int, str]
) -> None:
    sides = [photograph(tmp_path, "T01", apples, side) for apples, side in ((5, "a"), (9, "b"))]
    import_photos(store, counter, Visit(block, DAY, "ripening", sides=rule), sides)
    (row,) = table(store, "tree_count")
    assert (row["machine"], row["sides_rule"]) == joined
    last = last_count(store)
    assert (last.machine, last.sides_rule, len(last.photos)) == (*joined, 2)
    assert [visit["sides"] for visit in table(store, "visit")] == [rule]


def test_another_rule_makes_the_counts_anew_once_and_sends_them(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    taken = (("T01", 5, "a"), ("T01", 9, "b"), ("T02", 4, "a"))
    photos = [photograph(tmp_path, *photo) for photo in taken]
    bring_in(store, counter, block, *photos)
    before = queued(store)
    for joined_anew in (2, 0):
        report = import_photos(store, counter, Visit(block, DAY, "ripening", sides="sum"), photos)
        assert (report.counted, report.known, report.joined_anew) == (0, 3, joined_anew)
    assert counts(store) == {"T01": 14, "T02": 8}
    assert queued(store) == [*before, "count", "count"]
    assert [(row["revision"], row["model"]) for row in table(store, "tree_count")] == [
        *((3, counter.bundle.identity), (2, counter.bundle.identity))
    ]
    assert [visit["revision"] for visit in table(store, "visit")] == [1]


def test_a_rule_stands_until_another_is_given(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    first = Visit(block, DAY, "ripening", sides="sum")
    import_photos(store, counter, first, [photograph(tmp_path, "T01", 5)])
    bring_in(store, counter, block, photograph(tmp_path, "T01", 9, "b"), photograph(tmp_path, "T02", 4))
    assert counts(store) == {"T01": 14, "T02": 8}
    bring_in(store, counter, block, photograph(tmp_path / "later", "T01", 3), day=date(2025, 10, 1))
    assert [visit["sides"] for visit in table(store, "visit")] == ["sum", "larger"]


@pytest.mark.parametrize(("told", "taken_back"), [("reviewed", "review"), ("own", "by-hand")])
def test_counts_that_people_set_keep_their_rule(
    store: Store, block: Block, counter: Counter, tmp_path: Path, told: str, taken_back: str
) -> None:
    photos = [photograph(tmp_path, "T01", 5), photograph(tmp_path, "T01", 9, "b"), photograph(tmp_path, "T02", 4)]
    bring_in(store, counter, block, *photos)
    visit = find_visit(store, block)
    if told == "reviewed":
        review_trees(store, block, visit, {"T02": 4})
    else:
        record_hand_counts(store, block, visit, {"T02": HandCounted(own=4)})
    before = {name: table(store, name) for name in ("visit", "tree_count", "outbox")}
    told_how = f"stay 'larger': the counts of T02 were joined.*take that back: pomona visit {taken_back} --remove TREE"
    with pytest.raises(InputError, match=told_how):
        import_photos(store, counter, Visit(block, DAY, "ripening", sides="sum"), photos)
    assert {name: table(store, name) for name in before} == before
    assert import_photos(store, counter, Visit(block, DAY, "ripening", sides="larger"), photos).known == 3
