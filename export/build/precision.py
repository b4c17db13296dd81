"""What storing weights in half precision, or computing in integers, changes: measured on photos."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from export.build.onnx_graph import export_graph
from export.evaluate.detection import detect_photos
from export.evaluate.matching import PhotoResult, average_precision, count_mape
from export.runtime.bundle import (
    INT8_GRAPH,
    OPENVINO_INT8_GRAPH,
    TENSORRT_INT8_GRAPH,
    Bundle,
    GraphPrecision,
    open_bundle,
    sha256_of,
)
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.manifest import MANIFEST, Metrics
from models.detection.yolo_a import YoloA, export_form
from models.labelled_photos import LABELS, LabelledPhoto

_ENGINE_OF_GRAPH = {INT8_GRAPH: "ONNX Runtime", OPENVINO_INT8_GRAPH: "OpenVINO", TENSORRT_INT8_GRAPH: "TensorRT"}

Results = dict[str, list[PhotoResult]]


def compare_half_precision(bundle: Bundle, model: YoloA, photos: Sequence[LabelledPhoto], data: str) -> list[Metrics]:
    """Run a bundle's float32 graph and the same network with unrounded weights on the same photos.

    Args:
        bundle: the bundle with rounded weights.
        model: the network it was made of, in float32.
        photos: labelled photos.
        data: what the photos are called in the manifest.

    Returns:
        For each label in the photos the change of AP50 and of the count error, how many photos are counted otherwise,
        and by how much at most.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / bundle.model.name
        export_graph(export_form(model), bundle.manifest.input.size_px, graph)
        alone = {"files": {graph.name: sha256_of(graph)}, "precision": "float32"}
        (Path(folder) / MANIFEST).write_text(bundle.manifest.model_copy(update=alone).model_dump_json(), "utf-8")
        exact = _detect(open_bundle(Path(folder)), photos, "float32")
    return _changes(exact, _detect(bundle, photos, "float32"), photos, f"{data}, {{}}, half precision against float32")


def compare_integers(bundle: Bundle, photos: Sequence[LabelledPhoto], data: str) -> list[Metrics]:
    """Run each of a bundle's graphs in integers and its float32 graph on the same photos; the rest as above.

    All of them run on ONNX Runtime, which computes what the engines that they are made for compute, to rounding.
    """
    exact = _detect(bundle, photos, "float32")
    changes = []
    for graph, engine in _ENGINE_OF_GRAPH.items():
        digest = bundle.manifest.files[graph]
        files = {**bundle.manifest.files, INT8_GRAPH: digest}
        with tempfile.TemporaryDirectory() as folder:
            for name in {bundle.model.name, INT8_GRAPH}:
                (Path(folder) / name).symlink_to((bundle.folder / (graph if name == INT8_GRAPH else name)).resolve())
            rounded = _detect(Bundle(Path(folder), bundle.manifest.model_copy(update={"files": files})), photos, "int8")
        changes += _changes(exact, rounded, photos, f"{data}, {{}}, integers for {engine} against float32")
    return changes


def _detect(bundle: Bundle, photos: Sequence[LabelledPhoto], precision: GraphPrecision) -> Results:
    return detect_photos(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(precision=precision)), photos)


def _changes(before: Results, after: Results, photos: Sequence[LabelledPhoto], name: str) -> list[Metrics]:
    changes = []
    for label in before:
        shown = [i for i, photo in enumerate(photos) if LABELS.index(label) in photo.classes]
        if not shown:
            continue
        old, new = [before[label][i] for i in shown], [after[label][i] for i in shown]
        steps = [abs(one.count - other.count) for one, other in zip(old, new, strict=True)]
        values = {
            "photos": len(shown),
            "AP50 change": round(average_precision(new) - average_precision(old), 5),
            "count MAPE change": round(count_mape(new) - count_mape(old), 5),
            "photos counted otherwise": sum(step > 0 for step in steps),
            "largest change of a count": max(steps),
        }
        changes.append(Metrics(data=name.format(label), values=values))
    return changes
