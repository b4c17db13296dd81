"""A person reviews a model's work: boxes of photos and counts of trees, kept and sent, and what stands then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cloud_sync.boxes import unpack_boxes
from cloud_sync.messages import CountBody, ReviewBody, decode_body, decode_envelope
from device.by_hand import HandCounted, record_hand_counts
from device.errors import InputError
from device.orchards import Block
from device.photo_naming import TreePhoto
from device.photo_views import get_photo
from device.queries import get_visit, list_trees
from device.recording import Visit
from device.reviewing import (
    BoxChanges,
    Corners,
    ReviewedMeanwhileError,
    Seen,
    review_photo,
    review_trees,
    take_back_photo,
    take_back_trees,
)
from device.sampled_visits import SampledVisit, find_visit
from device.sides import RULES, CountedPhoto, Rule, count_by_side, join, join_reviewed
from device.store import Store
from device.visits import import_photos
from export.runtime.counter import Counter
from tests.device.visiting import DAY, bring_in, photograph, queued, table

Sides = tuple[TreePhoto, TreePhoto]
EMPTY: Corners = (500, 300, 540, 340)
"""A place where no disc was drawn."""


@pytest.fixture
def sides(store: Store, block: Block, counter: Counter, tmp_path: Path) -> tuple[TreePhoto, TreePhoto]:
    """A tree with 10 apples on one side and 8 on the other, in the store."""
    photos = photograph(tmp_path, "T01", 10), photograph(tmp_path, "T01", 8, "b")
    bring_in(store, counter, block, *photos)
    return photos


def name_of(store: Store, photo: TreePhoto) -> str:
    return store.photos.digest(photo.path.read_bytes())


def boxes_of(store: Store, sha256: str) -> list[Corners]:
    """The model's boxes of a photo."""
    return [corners(box) for box in get_photo(store, sha256).detections.boxes]


def corners(box: NDArray[np.float32]) -> Corners:
    x1, y1, x2, y2 = map(int, box)
    return x1, y1, x2, y2


def count_of(store: Store) -> tuple[int, int | None, int]:
    """The model's count of the only tree, a person's, and the revision."""
    (row,) = table(store, "tree_count")
    return row["machine"], row["reviewed"], row["revision"]


def sent(store: Store, kind: type[Any]) -> list[Any]:
    """Bodies of a type that wait, in order."""
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("jetson-1", 0, 1000)]
    return [body for body in bodies if isinstance(body, kind)]


def visit_of(store: Store, block: Block) -> SampledVisit:
    return find_visit(store, block)


def test_boxes_are_removed_and_added_and_the_count_follows(store: Store, block: Block, sides: Sides) -> None:
    photo = name_of(store, sides[0])
    first, second, *_ = boxes_of(store, photo)
    review_photo(store, photo, BoxChanges((first, second), (EMPTY,)), reviewer=" Li ")
    assert count_of(store) == (10, 9, 3)  # the tree's second photo made the second revision
    view = get_photo(store, photo)
    assert view.counts["apple"] == 9
    assert view.review is not None
    assert view.review.reviewer == "Li"
    (body,) = sent(store, ReviewBody)
    assert (body.orchard, body.block, body.day, body.stage, body.tree) == ("North farm", "B1", DAY, "ripening", "T01")
    assert (body.photo, body.model, body.label, body.reviewer) == (photo, view.model, "apple", "Li")
    assert sorted(map(tuple, unpack_boxes(body.removed)["box"].tolist())) == sorted([first, second])
    (added,) = unpack_boxes(body.added)
    assert (tuple(added["box"]), added["score"], body.labels[added["label"]]) == (EMPTY, 255, "apple")
    assert (body.count, body.taken_back) == (None, False)
    last = sent(store, CountBody)[-1]
    assert (last.machine, last.reviewed) == (10, 9)


def test_the_row_and_its_message_say_the_same(store: Store, block: Block, sides: Sides) -> None:
    review_photo(store, name_of(store, sides[0]), BoxChanges(added=(EMPTY,)))
    review_trees(store, block, visit_of(store, block), {"T01": 12}, reviewer="Li")
    of_photo, of_tree = (body.model_dump(mode="json") for body in sent(store, ReviewBody))
    for name, body in (("photo_review", of_photo), ("tree_review", of_tree)):
        (row,) = table(store, name)
        alike = row.keys() & body.keys() - {"photo", "labels", "visit", "tree"}
        assert {field: row[field] for field in alike} == {field: body[field] for field in alike}


def test_that_all_boxes_are_right_is_a_review_too(store: Store, sides: Sides) -> None:
    review_photo(store, name_of(store, sides[0]), BoxChanges())
    assert count_of(store)[:2] == (10, 10)
    assert queued(store, "review") == ["review"]


def test_saying_the_same_again_is_no_new_revision(store: Store, sides: Sides) -> None:
    photo = name_of(store, sides[0])
    for _ in range(2):
        review_photo(store, photo, BoxChanges(added=(EMPTY, EMPTY)))
    assert [row["revision"] for row in table(store, "photo_review")] == [1]
    assert queued(store, "review") == ["review"]
    assert count_of(store)[:2] == (10, 11)


def test_a_change_is_a_revision_of_the_same_review(store: Store, sides: Sides) -> None:
    photo = name_of(store, sides[0])
    review_photo(store, photo, BoxChanges(added=(EMPTY,)))
    review_photo(store, photo, BoxChanges((boxes_of(store, photo)[3],)))
    (row,) = table(store, "photo_review")
    assert (row["revision"], row["added"]) == (2, "")
    assert count_of(store)[:2] == (10, 9)


def test_what_was_taken_back_stays_on_record_and_counts_no_longer(store: Store, sides: Sides) -> None:
    photo = name_of(store, sides[0])
    review_photo(store, photo, BoxChanges(added=(EMPTY,)))
    take_back_photo(store, photo)
    assert count_of(store)[:2] == (10, None)
    assert get_photo(store, photo).review is None
    first, last = sent(store, ReviewBody)
    assert (first.taken_back, last.taken_back, last.added) == (False, True, first.added)
    with pytest.raises(InputError, match=r"photo a\.jpg of tree T01 has no review to take back"):
        take_back_photo(store, photo)
    review_photo(store, photo, BoxChanges(added=(EMPTY,)))
    assert count_of(store)[:2] == (10, 11)


@pytest.mark.parametrize(("rule", "machine", "reviewed"), [("larger", 10, 9), ("sum", 18, 15), ("one", 10, 6)])
def test_sides_are_joined_as_the_visit_joins_them(
    store: Store,
    block: Block,
    sides: Sides,
    counter: Counter,
    rule: Rule,
    machine: int,
    reviewed: int,
) -> None:
    first, second = (name_of(store, photo) for photo in sides)
    review_photo(store, first, BoxChanges(tuple(boxes_of(store, first)[:4])))
    review_photo(store, second, BoxChanges(added=(EMPTY,)))
    import_photos(store, counter, Visit(block, DAY, "ripening", sides=rule), sides)
    assert count_of(store)[:2] == (machine, reviewed)


def counted(*told: tuple[str, int, int | None]) -> list[CountedPhoto]:
    return [CountedPhoto(str(number), *photo) for number, photo in enumerate(told)]


@pytest.mark.parametrize("rule", RULES)
def test_photos_that_nobody_reviewed_give_no_reviewed_count(rule: Rule) -> None:
    assert join_reviewed(rule, counted(("a", 10, None), ("b", 8, None))) is None


def test_a_side_nobody_reviewed_stands_with_the_models_count() -> None:
    assert join_reviewed("larger", counted(("a", 10, 7), ("b", 8, None))) == 8
    assert join_reviewed("sum", counted(("a", 10, 7), ("b", 8, None))) == 15


def test_of_one_side_only_its_reviewed_photos_stand() -> None:
    assert join_reviewed("larger", counted(("a", 10, 7), ("a", 9, None), ("a", 3, 5))) == 7


def test_a_side_that_does_not_count_makes_no_reviewed_count() -> None:
    assert join_reviewed("one", counted(("a", 10, None), ("b", 8, 20))) is None


@pytest.mark.parametrize("rule", RULES)
def test_reviews_that_change_nothing_give_the_models_count(rule: Rule) -> None:
    photos = counted(("a", 10, 10), ("b", 8, 8))
    assert join_reviewed(rule, photos) == join(rule, count_by_side(photos)).count


def test_a_photo_that_comes_later_counts_as_the_model_counts_it(
    store: Store, block: Block, sides: Sides, counter: Counter, tmp_path: Path
) -> None:
    photo = name_of(store, sides[0])
    review_photo(store, photo, BoxChanges(tuple(boxes_of(store, photo)[:1])))
    bring_in(store, counter, block, photograph(tmp_path, "T01", 12, "c"))
    assert count_of(store)[:2] == (12, 12)
    (tree,) = list_trees(store, get_visit(store, find_visit(store, block).id))
    assert tree.photos_reviewed == (photo,)
    assert not tree.count_set


def test_a_review_stands_when_another_model_counts_the_photo_and_goes_on_from_its_own_boxes(
    store: Store, block: Block, sides: Sides, counter: Counter, newer_counter: Counter
) -> None:
    photo = name_of(store, sides[0])
    review_photo(store, photo, BoxChanges(added=(EMPTY,)))
    bring_in(store, newer_counter, block, *sides)
    assert count_of(store)[:2] == (10, 11)
    assert table(store, "tree_count")[0]["model"] == newer_counter.bundle.identity
    view = get_photo(store, photo)
    assert view.model == counter.bundle.identity
    review_photo(store, photo, BoxChanges(tuple(boxes_of(store, photo)[:2])), seen=Seen(view.model, 1))
    (row,) = table(store, "photo_review")
    assert (row["model"], row["revision"]) == (counter.bundle.identity, 2)
    take_back_photo(store, photo)
    assert get_photo(store, photo).model == newer_counter.bundle.identity
    review_photo(store, photo, BoxChanges(added=(EMPTY,)))
    assert [row["model"] for row in table(store, "photo_review")] == [
        counter.bundle.identity,
        newer_counter.bundle.identity,
    ]
    assert count_of(store)[:2] == (10, 11)


def test_a_count_that_was_set_stands_whatever_its_photos_show(
    store: Store,
    block: Block,
    sides: Sides,
    counter: Counter,
    newer_counter: Counter,
    tmp_path: Path,
) -> None:
    photo = name_of(store, sides[0])
    review_trees(store, block, visit_of(store, block), {"T01": 20}, reviewer="Li")
    assert count_of(store)[:2] == (10, 20)
    review_photo(store, photo, BoxChanges(added=(EMPTY,)))
    bring_in(store, counter, block, photograph(tmp_path, "T01", 15, "c"))
    bring_in(store, newer_counter, block, sides[0])
    assert count_of(store)[:2] == (15, 20)
    take_back_trees(store, block, visit_of(store, block), ["T01"])
    assert count_of(store)[:2] == (15, 15)  # side c has more than the 11 of side a
    of_tree = [body for body in sent(store, ReviewBody) if body.photo is None]
    assert [(body.count, body.taken_back, body.reviewer) for body in of_tree] == [(20, False, "Li"), (20, True, "Li")]
    with pytest.raises(InputError, match="nobody has set the count of tree T01 of block B1 on 2025-09-24"):
        take_back_trees(store, block, visit_of(store, block), ["T01"])


def test_setting_the_same_count_again_sends_nothing(store: Store, block: Block, sides: Sides) -> None:
    for count in (20, 20, 21):
        review_trees(store, block, visit_of(store, block), {"T01": count})
    assert [row["revision"] for row in table(store, "tree_review")] == [2]
    assert [body.count for body in sent(store, ReviewBody)] == [20, 21]


def test_a_tree_of_several_that_is_wrong_changes_none(store: Store, block: Block, sides: Sides) -> None:
    visit = visit_of(store, block)
    with pytest.raises(InputError, match=r"tree T09 of block B1 has no photo of .*\(photographed were T01\)"):
        review_trees(store, block, visit, {"T01": 3, "T09": 4})
    with pytest.raises(InputError, match="the count of tree T01 is -1; give a number from 0 to 1,000,000"):
        review_trees(store, block, visit, {"T01": -1})
    assert count_of(store)[:2] == (10, None)
    assert table(store, "tree_review") == []


def test_two_people_at_once_are_told_and_the_first_one_s_review_stands(store: Store, sides: Sides) -> None:
    photo = name_of(store, sides[0])
    model = get_photo(store, photo).model
    review_photo(store, photo, BoxChanges(added=(EMPTY,)), seen=Seen(model, 0), reviewer="Li")
    with pytest.raises(ReviewedMeanwhileError, match="Li has saved a review of this photo since you opened it"):
        review_photo(store, photo, BoxChanges(), seen=Seen(model, 0), reviewer="Mai")
    assert count_of(store)[:2] == (10, 11)
    review_photo(store, photo, BoxChanges(), seen=Seen(model, 1), reviewer="Mai")
    assert count_of(store)[:2] == (10, 10)


def test_boxes_of_another_model_than_was_seen_are_not_changed(
    store: Store, block: Block, sides: Sides, newer_counter: Counter
) -> None:
    photo = name_of(store, sides[0])
    seen = Seen(get_photo(store, photo).model, 0)
    bring_in(store, newer_counter, block, *sides)
    with pytest.raises(ReviewedMeanwhileError, match="the boxes of this photo have changed since you opened it"):
        review_photo(store, photo, BoxChanges(added=(EMPTY,)), seen=seen)
    assert table(store, "photo_review") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (BoxChanges(((1, 2, 3, 4),)), r"the model has found no box at \(1, 2, 3, 4\)"),
        (BoxChanges(added=((600, 10, 700, 50),)), "an added box from 600, 10 to 700, 50 does not lie within the photo"),
        (BoxChanges(added=((50, 50, 50, 60),)), "does not lie within the photo"),
        (BoxChanges(added=((-1, 50, 50, 60),)), "does not lie within the photo"),
    ],
)
def test_boxes_that_cannot_be_are_refused(store: Store, sides: Sides, changes: BoxChanges, said: str) -> None:
    with pytest.raises(InputError, match=said):
        review_photo(store, name_of(store, sides[0]), changes)
    assert table(store, "photo_review") == []


def test_boxes_of_what_the_visit_does_not_count_are_left_alone(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    item = photograph(tmp_path, "T01", apples=2, blossoms=6)
    bring_in(store, counter, block, item)
    photo = name_of(store, item)
    found = get_photo(store, photo).detections
    of_label = {found.labels[kind]: corners(box) for kind, box in zip(found.classes, found.boxes, strict=True)}
    with pytest.raises(InputError, match="the model has found no box at"):
        review_photo(store, photo, BoxChanges((of_label["apple_flower"],)))
    review_photo(store, photo, BoxChanges((of_label["apple"],)))
    assert get_photo(store, photo).counts == {"apple": 1, "apple_flower": 6}


def test_less_than_was_told_to_be_the_trees_own_is_refused_with_the_remedy(
    store: Store, block: Block, sides: Sides
) -> None:
    record_hand_counts(store, block, visit_of(store, block), {"T01": HandCounted(own=9)})
    photo = name_of(store, sides[0])
    said = "tree T01 would count 8, and 9 of its fruit were told to be its own; take that back first: pomona visit by-"
    with pytest.raises(InputError, match=said):
        review_photo(store, photo, BoxChanges(tuple(boxes_of(store, photo)[:2])))
    with pytest.raises(InputError, match="tree T01 would count 3"):
        review_trees(store, block, visit_of(store, block), {"T01": 3})
    assert table(store, "photo_review") == table(store, "tree_review") == []


def test_a_photo_or_a_name_that_cannot_be_is_named(store: Store, sides: Sides) -> None:
    with pytest.raises(InputError, match="photo 'abc' is unknown here"):
        review_photo(store, "abc", BoxChanges())
    with pytest.raises(InputError, match="the reviewer's name is"):
        review_photo(store, name_of(store, sides[0]), BoxChanges(), reviewer="L\x00i")


def test_reviewed_trees_are_told_with_the_estimate_and_the_visit(store: Store, block: Block, sides: Sides) -> None:
    photo = name_of(store, sides[0])
    review_photo(store, photo, BoxChanges(tuple(boxes_of(store, photo)[:5])))
    (tree,) = find_visit(store, block).trees
    assert (tree.machine, tree.reviewed, tree.fruit) == (10, 8, 8)  # side b is the larger now
    visit = get_visit(store, find_visit(store, block).id)
    assert (visit.reviewed, visit.fruit) == (1, 8)
    np.testing.assert_array_equal(get_photo(store, photo).review.removed["score"] > 0, True)  # type: ignore[union-attr]
