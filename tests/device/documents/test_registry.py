"""A registry of the server: its names for orchard, blocks and trees, and trees that got theirs in the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud_sync.documents import RegistryDocument
from cloud_sync.messages import CountBody, decode_body, decode_envelope
from device.by_hand import HandCounted, record_hand_counts
from device.documents.registry import apply_registry
from device.errors import InputError
from device.orchards import Block, BlockSettings, find_block, register_block
from device.planning.block_trees import find_trees
from device.reviewing import BoxChanges, review_photo, review_trees, take_back_trees
from device.sampled_visits import find_visit
from device.store import Store
from export.runtime.counter import Counter
from tests.device.visiting import bring_in, photograph, queued, table


def registry(*trees: dict[str, Any], **block: Any) -> RegistryDocument:
    """The North farm's registry with block B1 of these trees."""
    return RegistryDocument.model_validate(
        {
            "schema": "pomona-registry/1",
            "orchard": "North farm",
            "blocks": [{"block": "B1", "registered": trees, **block}],
        }
    )


def codes(store: Store) -> list[str]:
    return sorted(row["code"] for row in table(store, "tree"))


def last_count(store: Store) -> CountBody:
    """The newest count that waits to be sent."""
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("kiwi-07", 0, 100)]
    return [body for body in bodies if isinstance(body, CountBody)][-1]


def test_blocks_and_trees_are_known_by_what_the_server_says(store: Store) -> None:
    trees = [{"tree": f"R01-T{i:02}", "row": 1, "position": i, "vigour": i / 10} for i in (1, 2, 3)]
    apply_registry(store, registry(*trees, area_m2=20_000.0, trees=3, variety="Fuji"))
    block = find_block(store, "B1")
    assert (block.orchard, block.area_m2, block.trees, block.variety) == ("North farm", 20_000.0, 3, "Fuji")
    known, notes = find_trees(store, block)
    assert (known.codes, notes) == (("R01-T01", "R01-T02", "R01-T03"), ())
    assert known.vigour.tolist() == [0.1, 0.2, 0.3]
    assert known.row is not None
    assert known.row.tolist() == [1, 1, 1]


def test_what_it_leaves_out_stays(store: Store, block: Block) -> None:
    apply_registry(store, registry(variety="Gala"))
    assert find_block(store, block.name).fruit_weight_g == block.fruit_weight_g


def test_the_server_is_not_told_what_it_said(store: Store, block: Block) -> None:
    before = len(table(store, "outbox"))
    apply_registry(store, registry({"tree": "R01-T01"}, {"tree": "R01-T02"}))
    assert len(table(store, "outbox")) == before


def test_a_tree_named_in_the_field_gets_its_code_and_keeps_its_counts(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "by the gate", 7))
    apply_registry(store, registry({"tree": "R01-T01", "was": ["by the gate"]}))
    assert codes(store) == ["R01-T01"]
    assert [tree.machine for tree in find_visit(store, block).trees] == [7]


def test_photos_that_come_later_under_the_old_code_are_of_the_same_tree(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "by the gate", 7))
    apply_registry(store, registry({"tree": "R01-T01", "was": ["by the gate"]}))
    report = bring_in(store, counter, block, photograph(tmp_path, "by the gate", 7))
    assert (report.known, report.elsewhere) == (1, [])
    bring_in(store, counter, block, photograph(tmp_path, "by the gate", 9, side="b"))
    assert codes(store) == ["R01-T01"]
    assert [tree.machine for tree in find_visit(store, block).trees] == [9]


def test_two_codes_of_one_tree_become_one_count(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "R01-T01", 4), photograph(tmp_path, "by the gate", 7, "b"))
    visit = find_visit(store, block)
    record_hand_counts(store, block, visit, {"by the gate": HandCounted(12, None)})
    for _ in range(2):
        apply_registry(store, registry({"tree": "R01-T01", "was": ["by the gate"]}))
        assert codes(store) == ["R01-T01"]
        (count,) = table(store, "tree_count")
        assert (count["machine"], count["by_hand"]) == (7, 12)
    told = last_count(store)
    assert (told.tree, told.machine, told.by_hand, len(told.photos)) == ("R01-T01", 7, 12, 2)
    assert queued(store, "count").count("count") == 5  # both, the hand's, and the joined one with its hand count


def test_what_people_reviewed_of_both_goes_with_the_photos(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    photos = photograph(tmp_path, "R01-T01", 4), photograph(tmp_path, "by the gate", 7, "b")
    bring_in(store, counter, block, *photos)
    review_photo(store, store.photos.digest(photos[1].path.read_bytes()), BoxChanges(added=((500, 300, 540, 340),)))
    apply_registry(store, registry({"tree": "R01-T01", "was": ["by the gate"]}))
    (count,) = table(store, "tree_count")
    assert (count["machine"], count["reviewed"]) == (7, 8)


@pytest.mark.parametrize(
    ("own", "other", "stands"), [(None, 9, 9), (5, 9, 5), (5, None, 5), ("taken back", 9, 9), (5, "taken back", 5)]
)
def test_the_count_set_for_the_registered_tree_goes_before_the_other_s(
    store: Store,
    block: Block,
    counter: Counter,
    tmp_path: Path,
    own: int | str | None,
    other: int | str | None,
    stands: int,
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "R01-T01", 4), photograph(tmp_path, "by the gate", 7, "b"))
    visit = find_visit(store, block)
    for tree, count in {"R01-T01": own, "by the gate": other}.items():
        if count is not None:
            review_trees(store, block, visit, {tree: 3 if isinstance(count, str) else count})
        if isinstance(count, str):
            take_back_trees(store, block, visit, [tree])
    for _ in range(2):
        apply_registry(store, registry({"tree": "R01-T01", "was": ["by the gate"]}))
        (count_row,) = table(store, "tree_count")
        assert (count_row["machine"], count_row["reviewed"]) == (7, stands)


def test_applying_it_again_changes_nothing(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "by the gate", 7))
    told = registry({"tree": "R01-T01", "was": ["by the gate"], "latitude": 34.5, "longitude": 105.7})
    apply_registry(store, told)
    before = [table(store, name) for name in ("tree", "tree_alias", "tree_count", "outbox", "block")]
    apply_registry(store, told)
    assert [table(store, name) for name in ("tree", "tree_alias", "tree_count", "outbox", "block")] == before


def test_a_block_of_another_orchard_is_refused(store: Store) -> None:
    register_block(store, "B1", "South farm", BlockSettings())
    with pytest.raises(InputError, match="block 'B1' already belongs to South farm"):
        apply_registry(store, registry({"tree": "R01-T01"}))
    assert table(store, "tree") == []


@pytest.mark.parametrize(
    "trees",
    [
        [{"tree": "T1"}, {"tree": "T1"}],
        [{"tree": "T1", "was": ["old"]}, {"tree": "T2", "was": ["old"]}],
        [{"tree": "T1", "was": ["T2"]}, {"tree": "T2"}],
    ],
)
def test_a_code_that_means_two_trees_is_refused(trees: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="means both"):
        registry(*trees)
