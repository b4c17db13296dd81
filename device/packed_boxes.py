"""Boxes as ten bytes each in the store, and packed on the wire."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cloud_sync import boxes
from cloud_sync.boxes import ROW
from export.runtime.detections import Detections


@dataclass(frozen=True)
class PackedBoxes:
    """Packed boxes.

    Attributes:
        content: ten bytes a box: x1, y1, x2, y2 as little-endian unsigned 16-bit pixels, score x 255 and class index
            as unsigned bytes.
    """

    content: bytes

    @property
    def text(self) -> str:
        """The same as the wire carries it."""
        return boxes.pack_boxes(np.frombuffer(self.content, ROW))


def pack_boxes(detections: Detections) -> PackedBoxes:
    """Pack detections; corners are rounded to pixels and scores to 1/255."""
    rows = np.zeros(len(detections), dtype=ROW)
    rows["box"] = np.clip(np.rint(detections.boxes), 0, 65_535)
    rows["score"] = np.rint(detections.scores * 255)
    rows["label"] = detections.classes
    return PackedBoxes(rows.tobytes())


def unpack_boxes(content: bytes, labels: tuple[str, ...]) -> Detections:
    """The detections that :func:`pack_boxes` packed, to its rounding.

    Raises:
        ValueError: not a whole number of boxes.
    """
    rows = np.frombuffer(content, dtype=ROW)
    return Detections(
        rows["box"].astype(np.float32),
        (rows["score"] / 255).astype(np.float32),
        rows["label"].astype(np.int64),
        labels,
    )
