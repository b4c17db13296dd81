"""Counts and weights that people bring in files."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from calibration.errors import CalibrationError
from cloud_sync.messages import CountBody, decode_body, decode_envelope
from device.by_hand import HandCounted, read_hand_counts, read_weighed_sample, record_hand_counts, remove_hand_counts
from device.errors import InputError
from device.orchards import Block
from device.recording import Visit
from device.sampled_visits import find_visit
from device.store import Store
from device.visits import import_photos
from export.runtime.counter import Counter
from tests.device.visiting import DAY, bring_in, photograph, queued, table


@pytest.fixture
def visited(store: Store, block: Block, counter: Counter, tmp_path: Path) -> Block:
    bring_in(store, counter, block, photograph(tmp_path, "T01", 10), photograph(tmp_path, "T02", 20))
    return block


def last_count(store: Store) -> CountBody:
    body = decode_body(decode_envelope(store.outbox.waiting("jetson-1", 0, 1000)[-1].payload))
    assert isinstance(body, CountBody)
    return body


def write(folder: Path, text: str) -> Path:
    path = folder / "hand.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_was_counted_by_hand_is_read(tmp_path: Path) -> None:
    told = read_hand_counts(write(tmp_path, "\ufefftree,by_hand,own\nT01, 14,9\nT02,,18\n"))
    assert told == {"T01": HandCounted(14, 9), "T02": HandCounted(None, 18)}
    assert read_hand_counts(write(tmp_path, "both,tree\n3,T01\n")) == {"T01": HandCounted(both=3)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("by_hand\n3\n", "lacks the column tree; expected tree,by_hand"),
        ("tree,by_hand\nT01,many\n", r"hand\.csv, line 2: by_hand is 'many'; write a whole number, or leave it empty"),
        ("tree,by_hand\nT01,3.5\n", "by_hand is '3.5'"),
        ("tree,by_hand\nT01,-3\n", "by_hand is '-3'"),
        ("tree,by_hand\nT01,nan\n", "by_hand is 'nan'"),
        ("tree,by_hand\nT01,3\nT01,4\n", "line 3: tree T01 is named before"),
        ("tree,by_hand\n,3\n", "line 2: no tree is named"),
        ("tree,other\nT01,3\n", r"says nothing of any tree; expected the columns tree,by_hand\[,own\]\[,both\]"),
        ("tree,both\nT01,x\n", "both is 'x'; write a whole number"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_hand_counts(write(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv cannot be read: No such file or directory; check the path"):
        read_hand_counts(tmp_path / "nowhere.csv")


def test_a_count_that_changes_at_the_same_moment_is_sent_as_it_changed(
    store: Store, visited: Block, counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit, begin = find_visit(store, visited), store.change
    other = Store(store.folder)

    def change_after_another_process() -> AbstractContextManager[Database]:
        bring_in(other, counter, visited, photograph(tmp_path, "T01", 17, side="b"))
        return begin()

    monkeypatch.setattr(store, "change", change_after_another_process)
    record_hand_counts(store, visited, visit, {"T01": HandCounted(20, None)})
    other.close()
    sent = [json.loads(row["body"]) for row in table(store, "outbox") if row["type"] == "count"]
    assert [(body["machine"], body.get("by_hand")) for body in sent if body["tree"] == "T01"] == [
        (10, None),
        (17, None),
        (17, 20),
    ]


def test_hand_counts_are_kept_and_sent_with_the_trees_count(store: Store, visited: Block) -> None:
    visit = find_visit(store, visited)
    assert record_hand_counts(store, visited, visit, {"T01": HandCounted(14, 9)}) == ()
    row = table(store, "tree_count")[0]
    assert (row["machine"], row["by_hand"], row["own"], row["both"], row["revision"]) == (10, 14, 9, None, 2)
    body = last_count(store)
    assert (body.tree, body.machine, body.by_hand, body.own, body.both) == ("T01", 10, 14, 9, None)
    record_hand_counts(store, visited, visit, {"T01": HandCounted(both=3)})
    body = last_count(store)
    assert (body.by_hand, body.own, body.both) == (14, 9, 3)


def test_what_is_left_empty_stays_and_the_same_again_sends_nothing(store: Store, visited: Block) -> None:
    visit = find_visit(store, visited)
    record_hand_counts(store, visited, visit, {"T01": HandCounted(14, None)})
    record_hand_counts(store, visited, visit, {"T01": HandCounted(None, 9)})
    row = table(store, "tree_count")[0]
    assert (row["by_hand"], row["own"], row["revision"]) == (14, 9, 3)
    before = queued(store, "count")
    record_hand_counts(store, visited, visit, {"T01": HandCounted(14, 9)})
    assert queued(store, "count") == before


def test_counting_the_photos_anew_keeps_what_was_counted_by_hand(
    store: Store, visited: Block, newer_counter: Counter, tmp_path: Path
) -> None:
    record_hand_counts(store, visited, find_visit(store, visited), {"T01": HandCounted(14, 9)})
    bring_in(store, newer_counter, visited, photograph(tmp_path, "T01", 10))
    row = table(store, "tree_count")[0]
    assert row["model"] == newer_counter.bundle.identity
    assert (row["by_hand"], row["own"]) == (14, 9)
    assert (last_count(store).by_hand, last_count(store).own) == (14, 9)


def test_what_was_told_of_a_tree_is_taken_back_here_and_at_the_server(store: Store, visited: Block) -> None:
    visit = find_visit(store, visited)
    record_hand_counts(store, visited, visit, {"T01": HandCounted(14, 9, 3), "T02": HandCounted(25)})
    remove_hand_counts(store, visited, visit, ["T01"])
    first, second = table(store, "tree_count")
    assert (first["by_hand"], first["own"], first["both"], first["revision"]) == (None, None, None, 3)
    assert second["by_hand"] == 25
    body = last_count(store)
    assert (body.tree, body.machine, body.by_hand, body.own, body.both) == ("T01", 10, None, None, None)
    record_hand_counts(store, visited, visit, {"T01": HandCounted(15)})
    assert [row["revision"] for row in table(store, "tree_count")] == [4, 2]


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ("T01", r"tree T01 of block B1 has nothing counted by hand on 2025-09-24 to take back \(counted were T02\)"),
        ("T77", "tree T77 of block B1 has no photo of 2025-09-24"),
    ],
)
def test_what_was_never_told_cannot_be_taken_back_and_then_nothing_is(
    store: Store, visited: Block, tree: str, said: str
) -> None:
    visit = find_visit(store, visited)
    record_hand_counts(store, visited, visit, {"T02": HandCounted(25)})
    before = queued(store)
    with pytest.raises(InputError, match=said):
        remove_hand_counts(store, visited, visit, ["T02", tree])
    assert [row["by_hand"] for row in table(store, "tree_count")] == [None, 25]
    assert queued(store) == before


def test_without_any_hand_count_there_is_none_to_take_back(store: Store, visited: Block) -> None:
    with pytest.raises(InputError, match=r"to take back \(no tree of that visit has\)"):
        remove_hand_counts(store, visited, find_visit(store, visited), ["T01"])


LEFT_OUT = "count it again, or tell with own how many of those are its own"
OF_ITS_OWN = "of its own were counted in its photos; count it again"


@pytest.mark.parametrize(
    ("told", "doubts"),
    [
        (HandCounted(10), ()),
        (HandCounted(9), (f"tree T01 has 9 fruit by hand, and 10 were counted in its photos; {LEFT_OUT}",)),
        (HandCounted(9, 9), ()),
        (HandCounted(8, 9), (f"tree T01 has 8 fruit by hand, and 9 {OF_ITS_OWN}",)),
        (HandCounted(None, 9), ()),
    ],
)
def test_fewer_fruit_by_hand_than_photos_show_are_kept_and_doubted(
    store: Store, visited: Block, told: HandCounted, doubts: tuple[str, ...]
) -> None:
    assert record_hand_counts(store, visited, find_visit(store, visited), {"T01": told}) == doubts
    assert table(store, "tree_count")[0]["by_hand"] == told.by_hand


def test_a_reviewed_count_and_what_was_told_before_are_held_against_a_hand_count(store: Store, visited: Block) -> None:
    store.db.execute("UPDATE tree_count SET reviewed = 7 WHERE machine = 10")
    visit = find_visit(store, visited)
    assert record_hand_counts(store, visited, visit, {"T01": HandCounted(8)}) == ()
    (said,) = record_hand_counts(store, visited, visit, {"T01": HandCounted(6)})
    assert said.startswith("tree T01 has 6 fruit by hand, and 7 were counted")
    (said,) = record_hand_counts(store, visited, visit, {"T01": HandCounted(own=7)})
    assert said == f"tree T01 has 6 fruit by hand, and 7 {OF_ITS_OWN}"


def test_a_sum_of_sides_may_hold_each_fruit_twice(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    sides = [photograph(tmp_path, "T01", 10), photograph(tmp_path, "T01", 7, "b")]
    import_photos(store, counter, Visit(block, DAY, "ripening", sides="sum"), sides)
    visit = find_visit(store, block)
    assert record_hand_counts(store, block, visit, {"T01": HandCounted(9)}) == ()
    (said,) = record_hand_counts(store, block, visit, {"T01": HandCounted(8)})
    assert said == f"tree T01 has 8 fruit by hand, and at least 9 were counted in its photos; {LEFT_OUT}"


@pytest.mark.parametrize(
    ("tree", "told", "said"),
    [
        ("T01", HandCounted(both=4), ""),
        (
            "T01",
            HandCounted(both=5),
            "tree T01 has 5 fruit that can be seen from both sides, and 4 were counted on side b; no more",
        ),
        (
            "T02",
            HandCounted(both=3),
            "tree T02 has photos of 1 side(s); what can be seen from both tells something with photos of two",
        ),
        (
            "T01",
            HandCounted(10, 2, both=11),
            "tree T01 has 10 fruit by hand, and 11 that can be seen from both sides; count it again",
        ),
    ],
)
def test_fruit_seen_from_both_sides_is_held_against_the_photos_of_both(
    store: Store, visited: Block, counter: Counter, tmp_path: Path, tree: str, told: HandCounted, said: str
) -> None:
    bring_in(store, counter, visited, photograph(tmp_path, "T01", 4, "b"))
    doubts = record_hand_counts(store, visited, find_visit(store, visited), {tree: told})
    assert bool(doubts) == bool(said)
    assert "".join(doubts).startswith(said)
    assert any(row["both"] == told.both for row in table(store, "tree_count"))


@given(by_hand=st.integers(0, 30), own=st.none() | st.integers(0, 10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_hand_count_is_doubted_exactly_when_more_was_seen(
    store: Store, visited: Block, by_hand: int, own: int | None
) -> None:
    visit = find_visit(store, visited)
    doubts = record_hand_counts(store, visited, visit, {"T01": HandCounted(by_hand, own)})
    assert bool(doubts) == (by_hand < (10 if own is None else own))
    remove_hand_counts(store, visited, visit, ["T01"])


@pytest.mark.parametrize(
    ("tree", "count", "said"),
    [
        (
            "T77",
            HandCounted(5, None),
            r"tree T77 of block B1 has no photo of .*; .*photographed were T01, T02\)",
        ),
        ("T01", HandCounted(None, 11), "tree T01 has 11 own fruit, and 10 were counted in its photos; look again"),
    ],
)
def test_a_count_of_another_tree_or_of_too_much_is_refused_and_nothing_recorded(
    store: Store, visited: Block, tree: str, count: HandCounted, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        record_hand_counts(store, visited, find_visit(store, visited), {"T02": HandCounted(25, None), tree: count})
    assert [row["by_hand"] for row in table(store, "tree_count")] == [None, None]


def test_fruit_on_a_scale_is_read_with_its_tree_or_without(tmp_path: Path) -> None:
    plain = read_weighed_sample(write(tmp_path, "weight_g\n190\n210\n"))
    assert plain.factor.value == 200
    by_tree = read_weighed_sample(write(tmp_path, "tree,weight_g\nT1,190\nT1,200\nT2,210\n"))
    assert by_tree.choice == "200 g, 3 fruit of 2 trees weighed"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tree\nT1\n", "lacks the column weight_g; expected weight_g"),
        ("weight_g\n190\nheavy\n", r"line 3: weight_g is 'heavy'; write a number of grams"),
        ("weight_g,tree\n190,T1\n200,\n", "names the tree of some fruit and not of others"),
    ],
)
def test_a_weight_that_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_weighed_sample(write(tmp_path, text))


def test_one_fruit_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="weigh at least two fruit"):
        read_weighed_sample(write(tmp_path, "weight_g\n190\n"))
