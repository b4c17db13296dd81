"""Writing what a visit yields: each function records one thing and queues its message, inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cloud_sync.messages import CountBody, DetectionsBody, PhotoBody, Stage, TreeBody, VisitBody
from device.errors import InputError
from device.names import clean_name, some
from device.orchards import Block
from device.packed_boxes import pack_boxes
from device.photo_naming import TreePhoto
from device.reviews import tree_review
from device.sides import LARGER, Rule, count_by_side, counted_photos, join, join_reviewed
from device.store import Store
from device.thumbnails import thumbnail_body
from export.runtime.counter import Counter, PhotoCount
from export.runtime.photos import Photo

LABEL_OF_STAGE: dict[Stage, str] = {
    "flowering": "apple_flower",
    "young_fruit": "apple",
    "fruit_expansion": "apple",
    "ripening": "apple",
}
ATTRIBUTION = "whole photo"


@dataclass(frozen=True)
class Visit:
    """One sampling of one block on one day at one stage.

    Attributes:
        block: the block.
        day: the day.
        stage: the growth stage.
        area_m2: ground area of the sampled trees, None where it follows from the planting density.
        area_trees: number of trees on that area; the import that is given the area sets it.
        sides: how the sides of a tree become one count; None leaves it, and is the larger side at first.
    """

    block: Block
    day: date
    stage: Stage
    area_m2: float | None = None
    area_trees: int | None = None
    sides: Rule | None = None

    @property
    def label(self) -> str:
        """What is counted at this stage."""
        return LABEL_OF_STAGE[self.stage]


def find_visit_row(store: Store, visit: Visit) -> dict[str, Any] | None:
    """The row of a visit, None before anything was recorded of it."""
    return store.one(
        "SELECT * FROM visit WHERE block = ? AND day = ? AND stage = ?",
        [visit.block.id, visit.day.isoformat(), visit.stage],
    )


def record_visit(store: Store, visit: Visit) -> str:
    """Record a visit; an area and a rule for sides given earlier stand until others are given.

    Another rule for sides makes the counts of the visit's trees anew, also those made of reviewed photos.

    Returns:
        The id of its row.

    Raises:
        InputError: another rule for a visit in which a person set the count of a tree, or told how much of one is the
            tree's own: both are of counts made by the rule it has.
    """
    key = {"block": visit.block.id, "day": visit.day.isoformat(), "stage": visit.stage}
    area_m2, area_trees = visit.area_m2, visit.area_trees
    known = find_visit_row(store, visit)
    if area_m2 is None and known is not None:
        area_m2, area_trees = known["area_m2"], known["area_trees"]
    sides = known["sides"] if known else LARGER
    body = VisitBody(
        orchard=visit.block.orchard, block=visit.block.name, day=visit.day, stage=visit.stage, area_m2=area_m2
    )
    unsent = {"area_trees": area_trees, "sides": visit.sides or sides}
    visit_id = store.record("visit", key, {"area_m2": area_m2}, body, unsent=unsent)
    if visit.sides not in (None, sides):
        _join_anew(store, visit, visit_id, sides)
    return visit_id


def _join_anew(store: Store, visit: Visit, visit_id: str, before: Rule) -> None:
    rows = list(
        store.db.query(
            "SELECT tree_count.*, tree.code FROM tree_count JOIN tree ON tree.id = tree_count.tree "
            "WHERE visit = ? AND label = ?",
            [visit_id, visit.label],
        )
    )
    told = {row["code"]: "visit by-hand" for row in rows if row["own"] is not None}
    told |= {row["code"]: "visit review" for row in rows if tree_review(store, (visit_id, row["tree"]), visit.label)}
    if told:
        commands = " or ".join(f"pomona {command} --remove TREE" for command in sorted(set(told.values())))
        raise InputError(
            f"sides of the visit of {visit.day} stay {before!r}: the counts of {some(sorted(told))} were joined that "
            f"way when somebody set them, or told how much of them is the tree's own; say --sides {before}, or take "
            f"that back: {commands}"
        )
    for row in rows:
        record_tree_count(store, visit, (visit_id, row["tree"]), row["code"], row["model"])


def record_tree(store: Store, visit: Visit, code: str, photo: Photo) -> str:
    """Record a tree, at the place of the first photo that knows one. Returns the id of its row."""
    key = {"block": visit.block.id, "code": code}
    known = store.one("SELECT * FROM tree WHERE block = ? AND code = ?", list(key.values()))
    values: dict[str, Any] = {"provisional": 1, "latitude": photo.latitude, "longitude": photo.longitude}
    if known is not None:
        values["provisional"] = known["provisional"]
        if known["latitude"] is not None:
            values.update(latitude=known["latitude"], longitude=known["longitude"])
    body = TreeBody(orchard=visit.block.orchard, block=visit.block.name, tree=code, **values)
    return store.record("tree", key, values, body)


def record_photo(
    store: Store, visit: Visit, item: TreePhoto, owners: tuple[str, str], content: bytes, photo: Photo
) -> str:
    """Record a photo of a tree.

    Args:
        store: the store, inside a change.
        visit: the visit.
        item: the file and what it shows.
        owners: ids of the visit's and the tree's rows.
        content: the file.
        photo: the same, decoded.

    Returns:
        The id of its row.
    """
    sha256 = store.photos.digest(content)
    shared: dict[str, Any] = {
        "side": item.side,
        "file_name": clean_name(item.path.name),
        "size_bytes": len(content),
        "width_px": photo.width,
        "height_px": photo.height,
        "latitude": photo.latitude,
        "longitude": photo.longitude,
    }
    body = PhotoBody(
        orchard=visit.block.orchard,
        block=visit.block.name,
        day=visit.day,
        stage=visit.stage,
        tree=item.tree,
        sha256=sha256,
        taken_at=photo.taken_at,
        **shared,
    )
    visit_id, tree_id = owners
    columns = {
        **shared,
        "visit": visit_id,
        "tree": tree_id,
        "taken_at": photo.taken_at.isoformat() if photo.taken_at else None,
    }
    return store.record("photo", {"sha256": sha256}, columns, body, unsent={"suffix": item.path.suffix.lower()})


def record_thumbnail(store: Store, photo_id: str, sha256: str, jpeg: bytes) -> None:
    """Queue the small picture of a photo, once; the store keeps the photo itself."""
    store.record("thumbnail", {"photo": photo_id}, {}, thumbnail_body(sha256, jpeg))


def record_detections(store: Store, photo_id: str, sha256: str, counter: Counter, count: PhotoCount) -> None:
    """Record what one model counted in a photo."""
    kept = count.detections.select(count.counted)
    boxes = pack_boxes(kept)
    model, engine = counter.bundle.identity, counter.engine.name
    body = DetectionsBody(
        photo=sha256, model=model, engine=engine, labels=kept.labels, counts=count.counts, boxes=boxes.text
    )
    columns = {
        "engine": engine,
        "labels": json.dumps(kept.labels),
        "counts": json.dumps(count.counts),
        "boxes": boxes.content,
    }
    key = {"photo": photo_id, "model": model}
    store.record("detections", key, columns, body, unsent={"milliseconds": count.milliseconds})


def record_tree_count(store: Store, visit: Visit, owners: tuple[str, str], tree: str, model: str) -> None:
    """Make one number of the photos that a tree has in a visit, by the visit's rule for sides.

    Beside the model's number stands that of people: the count somebody set, else what the reviewed photos come to.

    Args:
        store: the store, inside a change.
        visit: the visit.
        owners: ids of the visit's and the tree's rows.
        tree: code of the tree.
        model: the model that has just counted; a photo it has not seen yet stands with its last count.
    """
    visit_id, tree_id = owners
    photos = counted_photos(store, owners, visit.label)
    recorded = store.one("SELECT sides FROM visit WHERE id = ?", [visit_id])
    assert recorded is not None  # the visit is recorded before its trees
    joined = join(recorded["sides"], count_by_side(photos))
    told = tree_review(store, owners, visit.label)
    key = {"visit": visit_id, "tree": tree_id, "label": visit.label}
    known = store.one("SELECT * FROM tree_count WHERE visit = ? AND tree = ? AND label = ?", list(key.values())) or {}
    values: dict[str, Any] = {
        "machine": joined.count,
        "reviewed": join_reviewed(recorded["sides"], photos) if told is None else told["count"],
        "model": model,
        "sides_rule": joined.rule,
        "attribution": ATTRIBUTION,
        "photos": json.dumps([photo.sha256 for photo in photos]),
    }
    store.record("tree_count", key, values, _count_body(visit, tree, {**known, **values}))


def record_hand_count(store: Store, visit: Visit, count: Mapping[str, Any], told: Mapping[str, int | None]) -> None:
    """Record what a person counted on a tree that has a count.

    Args:
        store: the store, inside a change.
        visit: the visit.
        count: the row of the tree's count, with the tree's ``code``.
        told: ``by_hand``, ``own`` and ``both`` as they shall stand, None where nothing is known.
    """
    key = {field: count[field] for field in ("visit", "tree", "label")}
    store.record("tree_count", key, {**told}, _count_body(visit, count["code"], {**count, **told}))


def _count_body(visit: Visit, tree: str, row: Mapping[str, Any]) -> CountBody:
    return CountBody(
        orchard=visit.block.orchard,
        block=visit.block.name,
        day=visit.day,
        stage=visit.stage,
        tree=tree,
        label=visit.label,
        machine=row["machine"],
        reviewed=row.get("reviewed"),
        by_hand=row.get("by_hand"),
        own=row.get("own"),
        both=row.get("both"),
        model=row["model"],
        sides_rule=row["sides_rule"],
        attribution=row["attribution"],
        photos=tuple(json.loads(row["photos"])),
    )
