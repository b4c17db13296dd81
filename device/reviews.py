"""What people corrected of a model's work, as it stands: the boxes of a photo, or the count of a tree. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud_sync.boxes import Rows, unpack_boxes
from device.store import Store


@dataclass(frozen=True)
class BoxReview:
    """A person's review of the boxes that one model found in a photo.

    Attributes:
        model: the model.
        label: what was looked at; boxes of other labels are not judged.
        removed: boxes of the model that are none, rows of :data:`cloud_sync.boxes.ROW`.
        added: boxes that it missed, likewise.
        reviewer: who looked, None where that was not said.
        reviewed_at: when, by the device's clock.
        revision: how often it was changed, from 1 on.
    """

    model: str
    label: str
    removed: Rows
    added: Rows
    reviewer: str | None
    reviewed_at: datetime
    revision: int


def box_review(store: Store, photo: str, label: str) -> BoxReview | None:
    """The review of a photo's boxes that stands, None where there is none or it was taken back.

    Args:
        store: the device's records.
        photo: id of the photo's row.
        label: what was looked at.
    """
    row = store.one(
        "SELECT * FROM photo_review WHERE photo = ? AND label = ? AND NOT taken_back ORDER BY rowid DESC",
        [photo, label],
    )
    if row is None:
        return None
    return BoxReview(
        row["model"],
        row["label"],
        unpack_boxes(row["removed"]),
        unpack_boxes(row["added"]),
        row["reviewer"],
        datetime.fromisoformat(row["reviewed_at"].replace("Z", "+00:00")),  # Python 3.10 knows no Z
        row["revision"],
    )


def boxes_to_review(store: Store, photo: str, label: str) -> dict[str, Any]:
    """The row of detections that a photo is shown and reviewed with: of the review that stands, else those made last.

    Args:
        store: the device's records.
        photo: id of the photo's row.
        label: what is looked at.
    """
    # by row number: ids follow the clock, which may have been set back
    row = store.one(
        "SELECT detections.* FROM detections LEFT JOIN photo_review ON photo_review.photo = detections.photo "
        "AND photo_review.model = detections.model AND label = ? AND NOT taken_back WHERE detections.photo = ? "
        "ORDER BY photo_review.rowid DESC NULLS LAST, detections.rowid DESC",
        [label, photo],
    )
    assert row is not None  # a photo is recorded with its detections
    return row


def reviewed_photos(store: Store, owners: tuple[str, str], label: str) -> dict[str, int]:
    """The count that people left of each reviewed photo of a tree, by its SHA-256.

    A review is of the boxes that one model found, and stands when another model counts the photo anew.

    Args:
        store: the device's records.
        owners: ids of the visit's and the tree's rows.
        label: what was counted.
    """
    rows = store.db.query(
        "SELECT sha256, counts, removed, added FROM photo_review JOIN photo ON photo.id = photo_review.photo "
        "JOIN detections ON detections.photo = photo.id AND detections.model = photo_review.model "
        "WHERE photo.visit = ? AND photo.tree = ? AND label = ? AND NOT taken_back ORDER BY photo_review.rowid",
        [*owners, label],
    )
    return {
        row["sha256"]: json.loads(row["counts"]).get(label, 0)
        - len(unpack_boxes(row["removed"]))
        + len(unpack_boxes(row["added"]))
        for row in rows
    }


def tree_review(store: Store, owners: tuple[str, str], label: str) -> dict[str, Any] | None:
    """The row of the count that a person set for a tree, None where nobody did or it was taken back.

    Args:
        store: the device's records.
        owners: ids of the visit's and the tree's rows.
        label: what was counted.
    """
    return store.one(
        "SELECT * FROM tree_review WHERE visit = ? AND tree = ? AND label = ? AND NOT taken_back", [*owners, label]
    )
