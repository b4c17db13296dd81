"""Reviewing a model's work: boxes of a photo are removed and added, or the count of a tree is set, by a person.

Each change is one transaction with its messages: that of the review and, where it changed, that of the tree's count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from cloud_sync import clock
from cloud_sync.boxes import MOST_BOXES, ROW, Rows, pack_boxes
from cloud_sync.messages import ReviewBody
from device.errors import InputError
from device.names import clean_name, require_name, some
from device.orchards import Block, find_block
from device.recording import Visit, record_tree_count
from device.reviews import box_review, boxes_to_review, tree_review
from device.sampled_visits import SampledVisit
from device.store import Store

MOST_FRUIT = 1_000_000
_ADDED_SCORE = 255

Corners = tuple[int, int, int, int]
"""x1, y1, x2, y2 of a box in pixels of the upright photo."""


@dataclass(frozen=True)
class BoxChanges:
    """What a person changes of the boxes that a model found of what a visit counts.

    Attributes:
        removed: boxes of the model that are none.
        added: boxes that it missed.
    """

    removed: tuple[Corners, ...] = ()
    added: tuple[Corners, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What a person had before them when they began.

    Attributes:
        model: the model whose boxes they saw.
        revision: revision of the review they saw, 0 where there was none.
    """

    model: str
    revision: int


class ReviewedMeanwhileError(InputError):
    """Somebody else has saved a review since a person began theirs; nothing was changed."""


def review_photo(
    store: Store, sha256: str, changes: BoxChanges, *, seen: Seen | None = None, reviewer: str | None = None
) -> None:
    """Record what a person makes of a photo's boxes, in place of what was made of them before; "all right" is said too.

    A review is of the boxes of one model. It stands until it is changed or taken back, also when another model counts
    the photo anew: changing it then goes on from the boxes it was made of.

    Args:
        store: the device's records.
        sha256: the photo.
        changes: the boxes removed and added.
        seen: what the person saw; None does not ask whether somebody else was there meanwhile.
        reviewer: who looked, where that is said.

    Raises:
        InputError: no such photo, a removed box that the model has not found, an added one that lies outside the photo,
            too many, or fewer left than were told to be the tree's own.
        ReviewedMeanwhileError: somebody else has saved a review since.
    """
    reviewer = _reviewer(reviewer)
    with store.change():
        photo = _photo(store, sha256)
        visit = _visit(store, photo["visit"])
        known, found = box_review(store, photo["id"], visit.label), boxes_to_review(store, photo["id"], visit.label)
        stands = Seen(found["model"], known.revision if known else 0)
        if seen is not None and seen != stands:
            raise ReviewedMeanwhileError(
                f"{known.reviewer or 'somebody else'} has saved a review of this photo since you opened it"
                if known
                else "the boxes of this photo have changed since you opened it"
            )
        labels = tuple(json.loads(found["labels"]))
        removed = _removed(found, labels.index(visit.label), changes.removed)
        added = _added(photo, labels.index(visit.label), changes.added)
        if len(removed) + len(added) > MOST_BOXES:
            raise InputError(f"at most {MOST_BOXES:,} boxes of a photo can be changed")
        said = {"removed": pack_boxes(removed), "added": pack_boxes(added), "reviewer": reviewer, "taken_back": 0}
        _record_boxes(store, visit, photo, found, said)
        _count_anew(store, visit, photo)


def take_back_photo(store: Store, sha256: str) -> None:
    """Let a photo's boxes count again as the model found them; what was changed of them stays on record.

    Raises:
        InputError: no such photo, or one that nobody has reviewed.
    """
    with store.change():
        photo = _photo(store, sha256)
        visit = _visit(store, photo["visit"])
        if box_review(store, photo["id"], visit.label) is None:
            raise InputError(f"photo {photo['file_name']} of tree {photo['code']} has no review to take back")
        found = boxes_to_review(store, photo["id"], visit.label)
        _record_boxes(store, visit, photo, found, {"taken_back": 1})
        _count_anew(store, visit, photo)


def review_trees(
    store: Store,
    block: Block,
    visit: SampledVisit,
    counts: Mapping[str, int],
    *,
    seen: Mapping[str, int] | None = None,
    reviewer: str | None = None,
) -> None:
    """Set the counts of some trees, whatever their photos say now or later: of all or, where one is wrong, of none.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        counts: fruit or flowers by code of the tree.
        seen: the counts that stood when the person began; None does not ask whether they have changed since.
        reviewer: who counted, where that is said.

    Raises:
        InputError: a tree without photos, a number that is no count, or one below what was told to be its own.
        ReviewedMeanwhileError: somebody else has set such a count since, or its photos have changed.
    """
    reviewer = _reviewer(reviewer)
    visited = Visit(block, visit.day, visit.stage)
    with store.change():
        for code, count in counts.items():
            if not 0 <= count <= MOST_FRUIT:
                raise InputError(f"the count of tree {code} is {count}; give a number from 0 to {MOST_FRUIT:,}")
            row = _tree_count(store, block, visit, code)
            stands = row["machine"] if row["reviewed"] is None else row["reviewed"]
            if seen is not None and seen[code] != stands:
                raise ReviewedMeanwhileError(
                    f"tree {code} counted {seen[code]:,} when you opened it and counts {stands:,} now, by somebody "
                    f"else's review or another photo; {count:,} was not saved: save it again if it is right"
                )
            said = {"count": count, "model": row["model"], "reviewer": reviewer, "taken_back": 0}
            _record_tree(store, visited, row, said)
            _count_anew(store, visited, row)


def take_back_trees(store: Store, block: Block, visit: SampledVisit, trees: Iterable[str]) -> None:
    """Let the counts of some trees follow from their photos again: of all or, where one was not set, of none.

    Reviews of their photos stand.

    Raises:
        InputError: a tree without photos, or one whose count nobody has set.
    """
    visited = Visit(block, visit.day, visit.stage)
    with store.change():
        for code in trees:
            row = _tree_count(store, block, visit, code)
            if tree_review(store, (visit.id, row["tree"]), visit.label) is None:
                raise InputError(
                    f"nobody has set the count of tree {code} of block {block.name} on {visit.day}; what was changed "
                    "of its photos is taken back on the page of each"
                )
            _record_tree(store, visited, row, {"taken_back": 1})
            _count_anew(store, visited, row)


def _reviewer(name: str | None) -> str | None:
    cleaned = clean_name(name or "")
    if not cleaned:
        return None
    require_name(cleaned, "the reviewer's name")
    return cleaned


def _photo(store: Store, sha256: str) -> dict[str, Any]:
    row = store.one("SELECT photo.*, tree.code FROM photo JOIN tree ON tree.id = photo.tree WHERE sha256 = ?", [sha256])
    if row is None:
        raise InputError(f"photo {sha256!r} is unknown here")
    return row


def _visit(store: Store, visit: str) -> Visit:
    row = store.one(
        "SELECT visit.*, block.name FROM visit JOIN block ON block.id = visit.block WHERE visit.id = ?", [visit]
    )
    assert row is not None  # the foreign key holds
    return Visit(find_block(store, row["name"]), date.fromisoformat(row["day"]), row["stage"])


def _removed(found: Mapping[str, Any], label: int, removed: Sequence[Corners]) -> Rows:
    rows = np.frombuffer(found["boxes"], ROW)
    own = {tuple(row["box"].tolist()): row for row in rows[rows["label"] == label]}
    if unknown := set(removed) - own.keys():
        raise InputError(f"the model has found no box at {min(unknown)}; open the photo again and look at its boxes")
    return np.array([own[corners] for corners in dict.fromkeys(removed)], ROW)


def _added(photo: Mapping[str, Any], label: int, added: Sequence[Corners]) -> Rows:
    for x1, y1, x2, y2 in added:
        if not (0 <= x1 < x2 <= photo["width_px"] and 0 <= y1 < y2 <= photo["height_px"]):
            raise InputError(
                f"an added box from {x1}, {y1} to {x2}, {y2} does not lie within the photo of {photo['width_px']} x "
                f"{photo['height_px']} px; open the photo again"
            )
    return np.array([(corners, _ADDED_SCORE, label) for corners in dict.fromkeys(added)], ROW)


def _record_boxes(
    store: Store, visit: Visit, photo: Mapping[str, Any], found: Mapping[str, Any], said: Mapping[str, Any]
) -> None:
    key = {"photo": photo["id"], "model": found["model"], "label": visit.label}
    known = store.one(
        "SELECT removed, added, reviewer, reviewed_at, taken_back FROM photo_review WHERE photo = ? AND model = ? "
        "AND label = ?",
        list(key.values()),
    )
    values = {**_dated(known, said), "labels": found["labels"]}
    body = _body(visit, photo, {**values, **key, "photo": photo["sha256"], "labels": json.loads(found["labels"])})
    store.record("photo_review", key, values, body)


def _record_tree(store: Store, visit: Visit, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    key = {"visit": row["visit"], "tree": row["tree"], "label": visit.label}
    known = store.one(
        "SELECT count, reviewer, reviewed_at, taken_back, model FROM tree_review WHERE visit = ? AND tree = ? "
        "AND label = ?",
        list(key.values()),
    )
    values = _dated(known, said)
    store.record("tree_review", key, values, _body(visit, row, {**values, "label": visit.label}))


def _dated(known: Mapping[str, Any] | None, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is known with what is said now, and when; saying the same again is no other review."""
    before = dict(known or {})
    if known is not None and all(before[field] == value for field, value in said.items()):
        return before
    return {**before, **said, "reviewed_at": clock.now_text()}


def _body(visit: Visit, tree: Mapping[str, Any], values: Mapping[str, Any]) -> ReviewBody:
    place = {"orchard": visit.block.orchard, "block": visit.block.name, "day": visit.day, "stage": visit.stage}
    return ReviewBody.model_validate({**place, "tree": tree["code"], **values})


def _tree_count(store: Store, block: Block, visit: SampledVisit, code: str) -> dict[str, Any]:
    row = store.one(
        "SELECT tree_count.*, tree.code FROM tree_count JOIN tree ON tree.id = tree_count.tree "
        "WHERE visit = ? AND label = ? AND code = ?",
        [visit.id, visit.label, code],
    )
    if row is None:
        raise InputError(
            f"tree {code} of block {block.name} has no photo of {visit.day}; correct the tree's code (photographed "
            f"were {some([tree.code for tree in visit.trees])})"
        )
    return row


def _count_anew(store: Store, visit: Visit, about: Mapping[str, Any]) -> None:
    """Let the count of a tree follow; what was told of its own fruit must still be a part of it."""
    owners = about["visit"], about["tree"]
    query = "SELECT * FROM tree_count WHERE visit = ? AND tree = ? AND label = ?"
    before = store.one(query, [*owners, visit.label])
    assert before is not None  # it came with the tree's first photo
    record_tree_count(store, visit, owners, about["code"], before["model"])
    after = store.one(query, [*owners, visit.label]) or {}
    stands = after["machine"] if after["reviewed"] is None else after["reviewed"]
    if after["own"] is not None and after["own"] > stands:
        raise InputError(
            f"tree {about['code']} would count {stands}, and {after['own']} of its fruit were told to be its own; take "
            f"that back first: pomona visit by-hand --block {visit.block.name} --remove {about['code']}"
        )
