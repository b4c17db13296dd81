"""At which size photos are looked at, how they are cut up and joined: found and counted against time.

    python -m tests.benchmarks.tiling --checkpoint best.pt --data orchard/train

On the whole trees that training held out. Time is what the network takes for a photo, in float32 on one core; a count's
error is at the threshold that the other trees give. Joining is compared on the first layout with what sliced inference
commonly uses, SAHI's greedy merging and plain suppression (pip install '.[bench]').
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from export.build.counting import unbiased_threshold
from export.build.onnx_graph import INPUT_NAME, export_graph, rounded_export_form
from export.evaluate.checkpoint import draft_manifest
from export.evaluate.detection import detect_photos
from export.evaluate.matching import PhotoResult, average_precision, count_mape, with_interval
from export.runtime.bundle import Bundle, open_bundle, sha256_of
from export.runtime.detections import Detections
from export.runtime.engines import Engine
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.manifest import MANIFEST
from export.runtime.tiling import Tile
from models.detection.start_weights import load_detector
from models.detection.train import split_photos
from models.labelled_photos import LabelledPhoto, read_labelled_photos

Joining = Callable[..., Detections]


@dataclass(frozen=True)
class Layout:
    """How photos are cut up.

    Attributes:
        longest_side_px: longer side they are scaled down to.
        tile_px: side of a tile.
        overlap_px: least px that neighbours share.
    """

    longest_side_px: int
    tile_px: int
    overlap_px: int


LAYOUTS = (
    Layout(1344, 480, 48),
    Layout(1344, 448, 0),
    Layout(1344, 704, 64),
    Layout(1344, 1344, 64),  # one input for the whole photo; it is square, so a third of it is padding
    Layout(1120, 416, 48),
    Layout(1680, 608, 64),
    Layout(2016, 608, 64),
    Layout(2688, 640, 128),
)


# merging takes in the boxes of whatever it merges, so what is too weak to count has to be left out
_LEAST_MERGED = 0.1
_MEASURES = (average_precision, count_mape)


class TimedEngine:
    """An engine that adds up its processor time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name, self.at_once = engine.name, 1
        self.seconds = 0.0

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the engine on the calling thread alone."""
        started = time.thread_time()
        output = self.engine.infer(images)
        self.seconds += time.thread_time() - started
        return output

    def rest(self) -> None:
        """Let the engine rest."""
        self.engine.rest()


def _sahi(match: str) -> Joining:
    """Joining as SAHI does it, in ours' place: ``merge`` or ``suppress``."""
    from sahi.postprocess.combine import batched_greedy_nmm, batched_nms  # noqa: PLC0415  (optional)

    def join(tiles: Sequence[Tile], found: Sequence[Detections], width: int, height: int, *_rest: Any) -> Detections:
        moved = [part.moved(tile.x, tile.y).clipped(width, height) for tile, part in zip(tiles, found, strict=True)]
        everything = Detections.concatenate(moved)
        table = np.column_stack((everything.boxes, everything.scores, everything.classes)).astype(np.float32)
        if match == "suppress":
            kept = everything.select(np.array(batched_nms(table, "IOU", 0.5), dtype=np.int64))
        else:
            sure = np.flatnonzero(everything.scores >= _LEAST_MERGED)
            everything, table = everything.select(sure), table[sure]
            groups = batched_greedy_nmm(table, "IOS", 0.5)
            boxes = everything.boxes.copy()
            for first, others in groups.items():
                boxes[first, :2] = boxes[[first, *others], :2].min(axis=0)
                boxes[first, 2:] = boxes[[first, *others], 2:].max(axis=0)
            kept = replace(everything, boxes=boxes).select(np.array(list(groups), dtype=np.int64))
        return kept.select(np.argsort(-kept.scores, kind="stable"))

    return join


def _make_bundle(checkpoint: Path, layout: Layout, folder: Path) -> Bundle:
    network, settings = load_detector(checkpoint)
    folder.mkdir(exist_ok=True)
    graph = folder / "model.onnx"
    if not graph.exists():
        export_graph(rounded_export_form(network), layout.tile_px, graph)
    manifest = draft_manifest(tuple(settings["labels"]), layout.longest_side_px, {})
    changes = {
        "input": manifest.input.model_copy(update={"size_px": layout.tile_px, "name": INPUT_NAME}),
        "tiling": manifest.tiling.model_copy(update={"overlap_px": layout.overlap_px}),
        "files": {graph.name: sha256_of(graph)},
    }
    (folder / MANIFEST).write_text(manifest.model_copy(update=changes).model_dump_json(), encoding="utf-8")
    return open_bundle(folder)


def _at_the_others_threshold(results: Sequence[PhotoResult]) -> list[PhotoResult]:
    """Each tree counted at the threshold that the other trees give."""
    counted = []
    for result in results:
        others = [other for other in results if other.tree != result.tree]
        # where even all that was found is too few, all of it counts
        enough = sum(map(len, (other.scores for other in others))) > sum(other.labelled for other in others)
        threshold = unbiased_threshold(others) if enough else 0.0
        counted.append(replace(result, counted=result.scores >= threshold))
    return counted


def _line(name: str, bundle: Bundle, photos: Sequence[LabelledPhoto]) -> str:
    engine = TimedEngine(OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads=1)))
    results = detect_photos(bundle, engine, photos)["apple"]
    found, error = (with_interval(measure, _at_the_others_threshold(results)) for measure in _MEASURES)
    return (
        f"{name:28} {found.value:.3f} ({found.low:.3f} to {found.high:.3f})   "
        f"{error.value:6.1%} ({error.low:.1%} to {error.high:.1%})   {engine.seconds / len(photos) * 1000:6.0f} ms"
    )


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    _, settings = load_detector(arguments.checkpoint)
    _, held_out = split_photos(read_labelled_photos(arguments.data), settings["hold_out"])
    trees = [photo for photo in held_out if photo.kind == "trees"]
    print(f"{'longer side, tile, overlap':28} AP50                     count MAPE                 network a photo")
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            bundle = _make_bundle(arguments.checkpoint, layout, Path(folder) / str(layout.tile_px))
            name = f"{layout.longest_side_px}, {layout.tile_px}, {layout.overlap_px}"
            print(_line(name, bundle, trees), flush=True)
        bundle = _make_bundle(arguments.checkpoint, LAYOUTS[0], Path(folder) / str(LAYOUTS[0].tile_px))
        for name, match in (("SAHI, greedy merging", "merge"), ("suppression", "suppress")):
            try:
                joining = _sahi(match)
            except ImportError:
                print(f"{name:28} not measured: pip install '.[bench]'")
                continue
            with patch("export.runtime.counter.merge_tiles", joining):
                print(_line(name, bundle, trees), flush=True)


if __name__ == "__main__":
    main()
