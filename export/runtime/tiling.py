"""Cutting a photo into overlapping square tiles and joining what was found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from export.runtime.detections import Detections, box_areas, common_boxes, overlapping_pairs

# A box this close to a border inside the photo counts as cut by it: networks place edges to about a pixel.
_CUT_MARGIN_PX = 3.0


@dataclass(frozen=True)
class Tile:
    """A square of the photo; may reach beyond a photo smaller than itself.

    Attributes:
        x: left edge in photo pixels.
        y: top edge in photo pixels.
        size: side in pixels.
    """

    x: int
    y: int
    size: int

    def cut(self, pixels: NDArray[np.uint8], padding: int) -> NDArray[np.uint8]:
        """The tile's pixels (size, size, 3); parts outside the photo are filled with ``padding``."""
        patch = pixels[self.y : self.y + self.size, self.x : self.x + self.size]
        if patch.shape[:2] == (self.size, self.size):
            return patch
        tile = np.full((self.size, self.size, pixels.shape[2]), padding, dtype=np.uint8)
        tile[: patch.shape[0], : patch.shape[1]] = patch
        return tile


def _starts(length: int, size: int, overlap: int) -> list[int]:
    if length <= size:
        return [0]
    count = ceil((length - overlap) / (size - overlap))
    return [round(i * (length - size) / (count - 1)) for i in range(count)]


def lay_tiles(width: int, height: int, size: int, overlap: int) -> list[Tile]:
    """Tiles that cover a photo with at least ``overlap`` pixels shared between neighbours, evenly spaced.

    Args:
        width: photo width in pixels.
        height: photo height in pixels.
        size: side of a tile in pixels.
        overlap: least shared width; should exceed the largest fruit, so that each is whole in some tile.

    Raises:
        ValueError: an overlap that leaves no step between tiles.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} px does not fit tiles of {size} px; choose 0 to {size - 1}")
    return [Tile(x, y, size) for y in _starts(height, size, overlap) for x in _starts(width, size, overlap)]


def merge_tiles(
    tiles: Sequence[Tile],
    found: Sequence[Detections],
    width: int,
    height: int,
    match_threshold: float,
    thresholds: Sequence[float],
) -> Detections:
    """Join the detections of overlapping tiles so that each fruit counts once.

    Two boxes of different tiles are one fruit when, looked at only inside the area both tiles show, they cover the
    same place: intersection over union there reaches the threshold, or intersection over the smaller box when one
    of them is cut by its tile's border (a cut fruit shows less than the whole one beside it). The whole box is kept,
    of two cut ones their union, with the better score.

    Args:
        tiles: where each tile lies.
        found: detections of each tile, in the tile's own pixels.
        width: photo width in pixels; boxes are clipped to the photo, those wholly beside it dropped.
        height: photo height in pixels.
        match_threshold: agreement from which two boxes are one fruit, 0 to 1.
        thresholds: counting threshold of each class. What reaches it is joined first, so that asking for weaker
            detections too changes no count.

    Returns:
        Detections in photo pixels, best first.
    """
    moved = [part.moved(tile.x, tile.y).clipped(width, height) for tile, part in zip(tiles, found, strict=True)]
    everything = Detections.concatenate(moved)
    if len(tiles) == 1 or not len(everything):
        return everything.select(np.argsort(-everything.scores, kind="stable"))
    owner = np.repeat(np.arange(len(tiles)), [len(part) for part in moved])
    areas = np.array([[t.x, t.y, t.x + t.size, t.y + t.size] for t in tiles], dtype=np.float32)
    limit = np.array([width, height], dtype=np.float32)
    cut = _is_cut(everything.boxes, areas[owner], limit)
    # What counts first, and of it whole boxes, by score. Cut ones by what they show: the largest part of a fruit
    # shares ground with each smaller one, which two small parts on opposite sides of the fruit do not.
    rank = np.where(cut, box_areas(everything.boxes), everything.scores)
    order = np.lexsort((-rank, cut, ~everything.above(thresholds)))
    return _join(everything.select(order), owner[order], cut[order], areas, match_threshold)


def _is_cut(boxes: NDArray[np.float32], tile: NDArray[np.float32], limit: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mask (N,): the box ends at an edge of its tile that is not an edge of the photo."""
    near_start = (boxes[:, :2] - tile[:, :2] < _CUT_MARGIN_PX) & (tile[:, :2] > 0)
    near_end = (tile[:, 2:] - boxes[:, 2:] < _CUT_MARGIN_PX) & (tile[:, 2:] < limit)
    cut: NDArray[np.bool_] = np.any(near_start | near_end, axis=1)
    return cut


def _join(
    candidates: Detections,
    owner: NDArray[np.int64],
    cut: NDArray[np.bool_],
    areas: NDArray[np.float32],
    match_threshold: float,
) -> Detections:
    boxes, scores = candidates.boxes.copy(), candidates.scores.copy()
    alive = np.ones(len(candidates), dtype=np.bool_)
    for i, j in _same_fruit(candidates, owner, cut, areas, match_threshold).tolist():
        if not (alive[i] and alive[j]):
            continue
        alive[j] = False
        scores[i] = max(scores[i], scores[j])
        if cut[i]:  # each shows a part of the fruit
            boxes[i, :2] = np.minimum(boxes[i, :2], boxes[j, :2])
            boxes[i, 2:] = np.maximum(boxes[i, 2:], boxes[j, 2:])
    merged = Detections(boxes, scores, candidates.classes, candidates.labels).select(alive)
    return merged.select(np.argsort(-merged.scores, kind="stable"))


def _same_fruit(
    candidates: Detections,
    owner: NDArray[np.int64],
    cut: NDArray[np.bool_],
    areas: NDArray[np.float32],
    match_threshold: float,
) -> NDArray[np.int64]:
    """Pairs (P, 2) of candidates of different tiles that are one fruit, the first before the second; by the first."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for firsts, seconds in overlapping_pairs(candidates.boxes):
        rivals = (owner[firsts] != owner[seconds]) & (candidates.classes[firsts] == candidates.classes[seconds])
        one, other = firsts[rivals], seconds[rivals]
        shared = common_boxes(areas[owner[one]], areas[owner[other]])
        same = _agreement(candidates.boxes[one], candidates.boxes[other], shared, cut[one] | cut[other])
        found.append(np.stack((one, other), axis=1)[same >= match_threshold])
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _agreement(
    boxes: NDArray[np.float32], others: NDArray[np.float32], shared: NDArray[np.float32], by_smaller: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """How well the boxes of pairs (P, 4) agree inside the areas ``shared`` (P, 4) of their two tiles."""
    mine, theirs = common_boxes(boxes, shared), common_boxes(others, shared)
    overlap = box_areas(common_boxes(mine, theirs))
    smaller = np.minimum(box_areas(mine), box_areas(theirs))
    union = box_areas(mine) + box_areas(theirs) - overlap
    agreement: NDArray[np.float32] = overlap / np.maximum(np.where(by_smaller, smaller, union), np.float32(1e-9))
    return agreement
