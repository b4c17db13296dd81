"""A photo as people look at it: with the boxes that a model found, and what a person made of them. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from device.errors import InputError
from device.packed_boxes import unpack_boxes
from device.recording import LABEL_OF_STAGE
from device.reviews import BoxReview, box_review, boxes_to_review
from device.store import Store
from export.runtime.detections import Detections


@dataclass(frozen=True)
class PhotoView:
    """A photo with what was counted in it.

    Attributes:
        sha256: its name.
        path: the file.
        tree: code of the tree.
        side: side of the tree.
        visit: id of the visit.
        file_name: name it came with.
        width_px: pixels across, upright.
        height_px: pixels down, upright.
        taken_at: the camera's clock, None where unknown.
        label: what its visit counts.
        model: the model whose boxes were reviewed, else the one that counted last.
        engine: what ran it.
        milliseconds: time it took.
        detections: the boxes it counted.
        review: what a person made of these, None where nobody has looked.
    """

    sha256: str
    path: Path
    tree: str
    side: str
    visit: str
    file_name: str
    width_px: int
    height_px: int
    taken_at: datetime | None
    label: str
    model: str
    engine: str
    milliseconds: float
    detections: Detections
    review: BoxReview | None

    @property
    def counts(self) -> dict[str, int]:
        """The count that stands of each label."""
        counts = self.detections.count_by_label()
        if self.review is not None:
            counts[self.label] += len(self.review.added) - len(self.review.removed)
        return counts


def get_photo(store: Store, sha256: str) -> PhotoView:
    """A photo by its SHA-256, with the boxes that a person reviewed, else those of the model that counted it last.

    Raises:
        InputError: no such photo.
    """
    row = store.one(
        "SELECT photo.*, tree.code, visit.stage FROM photo JOIN tree ON tree.id = photo.tree "
        "JOIN visit ON visit.id = photo.visit WHERE sha256 = ?",
        [sha256],
    )
    if row is None:
        raise InputError(f"photo {sha256!r} is unknown here")
    label = LABEL_OF_STAGE[row["stage"]]
    found = boxes_to_review(store, row["id"], label)
    return PhotoView(
        sha256=sha256,
        path=store.photos.path(sha256, row["suffix"]),
        tree=row["code"],
        side=row["side"],
        visit=row["visit"],
        file_name=row["file_name"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        taken_at=datetime.fromisoformat(row["taken_at"]) if row["taken_at"] else None,
        label=label,
        model=found["model"],
        engine=found["engine"],
        milliseconds=found["milliseconds"],
        detections=unpack_boxes(found["boxes"], tuple(json.loads(found["labels"]))),
        review=box_review(store, row["id"], label),
    )
