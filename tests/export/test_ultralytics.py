"""The graphs of the bundles that come with Pomona run in ultralytics too, and find there what they find here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.runtime.bundle import BUNDLES, GraphPrecision, open_bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.manifest import MANIFEST
from export.runtime.manifest_file import read_manifest
from export.runtime.photos import Photo
from tests.drawing import draw_discs
from tests.processes import run_python

PREDICT = """
import json, sys
import models.detection  # mends torchvision where it needs mending
from ultralytics import YOLO

graph, image, iou = sys.argv[1:]
network = YOLO(graph, task="detect")
(found,) = network.predict(image, conf=0.2, iou=float(iou), device="cpu", verbose=False, max_det=1000)
boxes = found.boxes
print(json.dumps([found.names, boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist()]))
"""
PRECISIONS: dict[GraphPrecision, str] = {"float32": "model.onnx", "int8": "model.int8.onnx"}
GRAPHS: list[tuple[str, GraphPrecision]] = [
    (folder.name, precision)
    for folder in sorted(path.parent for path in BUNDLES.glob("*/manifest.json"))
    if read_manifest(folder / MANIFEST).task == "detection"
    for precision, graph in PRECISIONS.items()
    if (folder / graph).exists()
]


@pytest.mark.parametrize(("name", "precision"), GRAPHS)
def test_ultralytics_finds_the_same(name: str, precision: GraphPrecision, tmp_path: Path) -> None:
    bundle = open_bundle(BUNDLES / name)
    side = bundle.manifest.input.size_px
    apples = [(60 + 90 * x, 60 + 90 * y) for x in range(4) for y in range(4)]
    pixels = draw_discs(apples, size=(side, side), radius=22)
    Image.fromarray(pixels).save(tmp_path / "tile.png")
    graph = bundle.folder / PRECISIONS[precision]
    done = run_python(PREDICT, graph, tmp_path / "tile.png", bundle.manifest.suppression.iou_threshold)
    assert done.returncode == 0, done.stderr
    names, boxes, scores, classes = json.loads(done.stdout.splitlines()[-1])
    engine = OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads=1, precision=precision))
    ours = Counter(bundle, engine, min_score=0.2).count(Photo(pixels, None, None, None)).detections
    ours = ours.select(ours.scores >= 0.2)
    assert tuple(names.values()) == bundle.manifest.labels
    assert len(ours) >= 1, "nothing found, so nothing is compared"
    theirs, own = (_from_top_left(np.array(each)) for each in (boxes, ours.boxes))
    # what is computed in floating point between integers is rounded otherwise with more threads
    assert np.array(scores)[theirs] == pytest.approx(ours.scores[own], abs=2e-3 if precision == "float32" else 2e-2)
    assert np.array(classes)[theirs].tolist() == ours.classes[own].tolist()
    assert np.array(boxes)[theirs] == pytest.approx(ours.boxes[own], abs=0.5 if precision == "float32" else 1)


def _from_top_left(boxes: NDArray[np.float64]) -> NDArray[np.intp]:
    """The order of discs that stand 90 px apart, by row and column."""
    column, row = (np.round(((boxes[:, i] + boxes[:, i + 2]) / 2 - 60) / 90) for i in (0, 1))
    return np.lexsort((column, row))
