"""Counting in one photo: tile, infer, join, count."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from export.runtime.bundle import Bundle
from export.runtime.detections import Detections, suppress_duplicates
from export.runtime.engines import Engine
from export.runtime.photos import Photo
from export.runtime.tiling import Tile, lay_tiles, merge_tiles

# pixels of a photo after which memory is given back: the formats that are only decoded whole need it for the next one
_LARGE_PHOTO = 24_000_000
# detections from this score on say which label a photo shows most of
_TELLING_SCORE = 0.1


@dataclass(frozen=True)
class PhotoCount:
    """What was found in one photo.

    Attributes:
        detections: what counts and what else was asked for, in pixels of the upright photo, best first.
        counted: (N,) mask of the detections that reach their label's counting threshold.
        milliseconds: time from decoded pixels to the joined detections.
    """

    detections: Detections
    counted: NDArray[np.bool_]
    milliseconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Number counted of every label."""
        return self.detections.select(self.counted).count_by_label()


class Counter:
    """Counts with one bundle on one engine.

    Args:
        bundle: the detector.
        engine: what runs its graph.
        min_score: lists weaker detections from this score on, beside those that count; what counts never depends on it.
    """

    def __init__(self, bundle: Bundle, engine: Engine, min_score: float | None = None) -> None:
        self.bundle = bundle
        self.engine = engine
        thresholds = bundle.manifest.thresholds()
        self._own = threading.local()  # an image for each thread: fresh memory for each tile costs time
        self._threads = ThreadPoolExecutor(engine.at_once) if engine.at_once > 1 else None
        self._keep = thresholds if min_score is None else tuple(min(min_score, t) for t in thresholds)
        # what is too weak to count still tells which label shows most, whatever is listed
        weakest = _TELLING_SCORE if bundle.manifest.tiling.closer_px else 1.0
        self._floor = np.array([min(weakest, keep) for keep in self._keep], dtype=np.float32)[:, None]

    @property
    def least_side_px(self) -> int:
        """Pixels of the longer side from which on decoding more of a photo changes nothing, or little."""
        return self.bundle.manifest.tiling.longest_side_px

    def count(self, photo: Photo) -> PhotoCount:
        """Find and count in one photo.

        Raises:
            EngineError: the engine failed.
            PhotoError: a photo decoded small has to be looked at more closely, and its file is no longer there.
        """
        started = time.perf_counter()
        tiling = self.bundle.manifest.tiling
        found, shown = self._look(photo, tiling.longest_side_px)
        for label, longest_side_px in tiling.closer_px.items():
            number = found.labels.index(label)
            if max(photo.width, photo.height) > tiling.longest_side_px and shown[number] > shown.sum() / 2:
                closer, _ = self._look(photo, longest_side_px)
                others = found.select(found.classes != number)
                found = Detections.concatenate([others, closer.select(closer.classes == number)])
        found = found.select(found.above(self._keep))
        found = found.select(np.argsort(-found.scores, kind="stable"))
        counted = found.above(self.bundle.manifest.thresholds())
        if photo.width * photo.height > _LARGE_PHOTO:
            self.engine.rest()  # the next photo may be as large, and has to be decoded
        return PhotoCount(found, counted, milliseconds=(time.perf_counter() - started) * 1000)

    def _look(self, photo: Photo, longest_side_px: int) -> tuple[Detections, NDArray[np.float32]]:
        """Everything found in the photo at that size, in pixels of the whole photo, and how much shows of each label.

        How much shows is the sum of scores before tiles are joined, lest what else is listed should change it.
        """
        manifest = self.bundle.manifest
        pixels = photo.scaled(longest_side_px)
        height, width = pixels.shape[:2]
        tiles = lay_tiles(width, height, manifest.input.size_px, manifest.tiling.overlap_px)
        detect = partial(self._detect, pixels)
        found = list(self._threads.map(detect, tiles) if self._threads and len(tiles) > 1 else map(detect, tiles))
        shown = np.zeros(len(manifest.labels), dtype=np.float32)
        for part in found:
            telling = part.scores >= _TELLING_SCORE
            np.add.at(shown, part.classes[telling], part.scores[telling])
        joined = merge_tiles(tiles, found, width, height, manifest.tiling.match_threshold, manifest.thresholds())
        if (width, height) != (photo.width, photo.height):
            factor = max(photo.width, photo.height) / max(width, height)
            joined = joined.scaled(factor).clipped(photo.width, photo.height)
        return joined, shown

    def _detect(self, pixels: NDArray[np.uint8], tile: Tile) -> Detections:
        """Detections of one tile, in the tile's pixels."""
        manifest = self.bundle.manifest
        patch = tile.cut(pixels, manifest.input.padding)
        if manifest.input.colour_order == "BGR":
            patch = patch[..., ::-1]
        planes = np.ascontiguousarray(patch.transpose(2, 0, 1))  # move bytes, not floats
        if not hasattr(self._own, "image"):
            self._own.image = np.empty((1, *planes.shape), dtype=np.float32)
        image: NDArray[np.float32] = self._own.image
        np.multiply(planes, np.float32(manifest.input.scale), out=image[0])
        output = self.engine.infer(image)[0]
        scores = output[4:]  # (classes, candidates)
        classes, candidates = np.nonzero(scores >= self._floor)
        centre, size = output[:2, candidates].T, output[2:4, candidates].T
        boxes = np.concatenate((centre - size / 2, centre + size / 2), axis=1).astype(np.float32)
        # what the network places in the padding or beyond the tile is clipped to what the tile shows
        limit = np.float32(tile.size)
        boxes = np.clip(boxes, 0, limit)
        some = Detections(boxes, scores[classes, candidates], classes.astype(np.int64), manifest.labels)
        return suppress_duplicates(some, manifest.suppression.iou_threshold, manifest.suppression.most_candidates)
