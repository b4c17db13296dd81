"""The one coin that passes between engine, tiler, merger and counter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# boxes compared with the others in one piece of memory
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Detections:
    """Boxes found in one photo or tile.

    Attributes:
        boxes: (N, 4) float32 corners x1, y1, x2, y2 in pixels, origin top left.
        scores: (N,) float32 confidence, 0 to 1.
        classes: (N,) int64 indices into ``labels``.
        labels: names of the classes.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4) or self.scores.shape != (count,) or self.classes.shape != (count,):
            raise ValueError(
                f"boxes {self.boxes.shape}, scores {self.scores.shape} and classes {self.classes.shape} do not belong "
                "together; expected (N, 4), (N,) and (N,)"
            )

    @classmethod
    def empty(cls, labels: Sequence[str]) -> Detections:
        """No detection at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), tuple(labels))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All detections of several parts that share their labels.

        Raises:
            ValueError: no parts, or parts with different labels.
        """
        if len({part.labels for part in parts}) != 1:
            raise ValueError("detections with different labels, or none at all, cannot be joined")
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.classes for part in parts]),
            parts[0].labels,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Detections:
        """The detections a mask or index array picks, in its order."""
        return replace(self, boxes=self.boxes[which], scores=self.scores[which], classes=self.classes[which])

    def moved(self, x: float, y: float) -> Detections:
        """The same boxes shifted right by ``x`` and down by ``y`` pixels."""
        return replace(self, boxes=self.boxes + np.array([x, y, x, y], dtype=np.float32))

    def scaled(self, factor: float) -> Detections:
        """The same boxes in a photo ``factor`` times as large."""
        return replace(self, boxes=self.boxes * np.float32(factor))

    def clipped(self, width: float, height: float) -> Detections:
        """What of the boxes lies inside a photo of this size; boxes beside it are dropped."""
        limit = np.array([width, height, width, height], dtype=np.float32)
        inside = replace(self, boxes=np.clip(self.boxes, 0, limit).astype(np.float32))
        return inside.select(box_areas(inside.boxes) > 0)

    def above(self, thresholds: Sequence[float]) -> NDArray[np.bool_]:
        """Mask (N,) of detections whose score reaches their class's threshold."""
        above: NDArray[np.bool_] = self.scores >= np.asarray(thresholds, dtype=np.float32)[self.classes]
        return above

    def count_by_label(self) -> dict[str, int]:
        """Number of detections of every label, zeros included."""
        numbers = np.bincount(self.classes, minlength=len(self.labels))
        return {label: int(number) for label, number in zip(self.labels, numbers, strict=True)}


def common_boxes(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """What two boxes of each pair (P, 4) share; right of left, or below top, where they share nothing."""
    return np.concatenate((np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])), axis=1)


def box_areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Areas (N,) of boxes (N, 4); zero where a box is empty."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).T
    areas: NDArray[np.float32] = width * height
    return areas


def pairwise_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union (N, M) of two sets of boxes."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod((bottom_right - top_left).clip(min=0), axis=2)
    union = box_areas(a)[:, None] + box_areas(b)[None, :] - overlap
    iou: NDArray[np.float32] = overlap / np.maximum(union, np.float32(1e-9))
    return iou


def overlapping_pairs(boxes: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Every pair of boxes (N, 4) that share some area, once, as two arrays of indices, the lower first; in pieces.

    In the order of left edges, those that begin before a box ends follow it in one run, which a search finds. Of small
    boxes spread over a photo only few pairs are ever looked at, where comparing each with all looks at N x N.
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    left, top, right, bottom = boxes[order].T.copy()
    ends = np.searchsorted(left, right)  # the first box that begins where this one has ended
    for first in range(0, len(boxes), _ROWS_AT_ONCE):
        rows = np.arange(first, min(first + _ROWS_AT_ONCE, len(boxes)))
        lengths = np.maximum(ends[rows] - rows - 1, 0)
        one = np.repeat(rows, lengths)
        other = np.arange(len(one)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + one + 1
        share = np.minimum(bottom[one], bottom[other]) > np.maximum(top[one], top[other])
        share &= np.minimum(right[one], right[other]) > left[other]
        one, other = order[one[share]], order[other[share]]
        yield np.minimum(one, other), np.maximum(one, other)


def suppress_duplicates(detections: Detections, iou_threshold: float, at_most: int) -> Detections:
    """Greedy non-maximum suppression within each class.

    Args:
        detections: candidates of one image.
        iou_threshold: a box overlapping a better one of its class by more than this is dropped.
        at_most: candidates considered, best first; bounds time on hopeless inputs.

    Returns:
        The kept detections, best first.
    """
    order = np.argsort(-detections.scores, kind="stable")[:at_most]
    candidates = detections.select(order)
    boxes, classes = candidates.boxes, candidates.classes
    areas = box_areas(boxes)
    rivals = []  # pairs: the first is better than the second and overlaps it
    for better, worse in overlapping_pairs(boxes):
        overlap = box_areas(common_boxes(boxes[better], boxes[worse]))
        iou = overlap / (areas[better] + areas[worse] - overlap)
        too_near = (iou > iou_threshold) & (classes[better] == classes[worse])
        rivals.append((better[too_near], worse[too_near]))
    if not rivals:
        return candidates
    better, worse = (np.concatenate(part) for part in zip(*rivals, strict=True))
    # Who has no better rival stays; who has one that stays goes; and so on until nothing changes, which is when every
    # chain of rivals is settled (Zheng et al. 2021 call it Cluster-NMS; the result is that of going box by box).
    alive = np.ones(len(candidates), dtype=np.bool_)
    while True:
        settled = np.ones(len(candidates), dtype=np.bool_)
        settled[worse[alive[better]]] = False
        if np.array_equal(settled, alive):
            return candidates.select(alive)
        alive = settled
