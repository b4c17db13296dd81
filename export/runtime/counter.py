"""Counting in one photo: tile, infer, join, count."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.runtime.bundle import Bundle
from export.runtime.detections import Detections, suppress_duplicates
from export.runtime.engines import Engine
from export.runtime.errors import MissingPartError
from export.runtime.photos import Photo
from export.runtime.tiling import Tile, lay_tiles, merge_tiles


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
        size = bundle.manifest.input.size_px
        self._image = np.empty((1, 3, size, size), dtype=np.float32)  # one for all tiles: fresh memory costs time
        self._keep = thresholds if min_score is None else tuple(min(min_score, t) for t in thresholds)

    def count(self, photo: Photo) -> PhotoCount:
        """Find and count in one photo.

        Raises:
            EngineError: the engine failed.
            MissingPartError: a photo so large that it must be scaled, without OpenCV.
        """
        started = time.perf_counter()
        manifest = self.bundle.manifest
        factor = min(1.0, manifest.tiling.longest_side_px / max(photo.width, photo.height))
        pixels = photo.pixels if factor == 1.0 else _shrink(photo.pixels, factor)
        height, width = pixels.shape[:2]
        tiles = lay_tiles(width, height, manifest.input.size_px, manifest.tiling.overlap_px)
        found = [self._detect(pixels, tile) for tile in tiles]
        thresholds = manifest.thresholds()
        joined = merge_tiles(tiles, found, width, height, manifest.tiling.match_threshold, thresholds)
        if factor != 1.0:
            joined = joined.scaled(1 / factor).clipped(photo.width, photo.height)
            self.engine.rest()  # the next photo may be as large, and has to be decoded
        return PhotoCount(joined, joined.above(thresholds), milliseconds=(time.perf_counter() - started) * 1000)

    def _detect(self, pixels: NDArray[np.uint8], tile: Tile) -> Detections:
        """Detections of one tile, in the tile's pixels."""
        manifest = self.bundle.manifest
        patch = tile.cut(pixels, manifest.input.padding)
        if manifest.input.colour_order == "BGR":
            patch = patch[..., ::-1]
        planes = np.ascontiguousarray(patch.transpose(2, 0, 1))  # move bytes, not floats
        np.multiply(planes, np.float32(manifest.input.scale), out=self._image[0])
        output = self.engine.infer(self._image)[0]
        scores = output[4:]  # (classes, candidates)
        classes, candidates = np.nonzero(scores >= np.asarray(self._keep, dtype=np.float32)[:, None])
        centre, size = output[:2, candidates].T, output[2:4, candidates].T
        boxes = np.concatenate((centre - size / 2, centre + size / 2), axis=1).astype(np.float32)
        # what the network places in the padding or beyond the tile is clipped to what the tile shows
        limit = np.float32(tile.size)
        boxes = np.clip(boxes, 0, limit)
        some = Detections(boxes, scores[classes, candidates], classes.astype(np.int64), manifest.labels)
        return suppress_duplicates(some, manifest.suppression.iou_threshold, manifest.suppression.most_candidates)


def _shrink(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    try:
        import cv2  # noqa: PLC0415  (not every device has it, and only large photos need it)
    except ImportError as error:
        raise MissingPartError(
            f"a photo of {pixels.shape[1]} x {pixels.shape[0]} px must be scaled down, which needs OpenCV; "
            "pip install '.[opencv]' in Pomona's folder, or on a Jetson use JetPack's own"
        ) from error
    shrunk = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return shrunk.astype(np.uint8, copy=False)
