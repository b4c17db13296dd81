"""What storing the weights in half precision changes, measured on photos."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from export.build.onnx_graph import export_graph
from export.evaluate.detection import detect_photos
from export.evaluate.matching import average_precision
from export.runtime.bundle import Bundle, open_bundle, sha256_of
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from export.runtime.manifest import MANIFEST, Metrics
from models.detection.yolo_a import YoloA, export_form
from models.labelled_photos import LABELS, LabelledPhoto


def compare_with_float32(bundle: Bundle, model: YoloA, photos: Sequence[LabelledPhoto], data: str) -> list[Metrics]:
    """Run a bundle and the same network in float32 throughout on the same photos.

    Args:
        bundle: the bundle with rounded weights.
        model: the network it was made of, in float32.
        photos: labelled photos.
        data: what the photos are called in the manifest.

    Returns:
        For each label in the photos the change of AP50 and how many photos are counted otherwise, and by how much.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / bundle.model.name
        export_graph(export_form(model), bundle.manifest.input.size_px, graph)
        manifest = bundle.manifest.model_copy(update={"files": {graph.name: sha256_of(graph)}})
        (Path(folder) / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        exact_bundle = open_bundle(Path(folder))
        exact = detect_photos(exact_bundle, OnnxRuntimeEngine(exact_bundle), photos)
    rounded = detect_photos(bundle, OnnxRuntimeEngine(bundle), photos)
    changes = []
    for label in bundle.manifest.labels:
        shown = [i for i, photo in enumerate(photos) if LABELS.index(label) in photo.classes]
        if not shown:
            continue
        before, after = [exact[label][i] for i in shown], [rounded[label][i] for i in shown]
        steps = [abs(new.count - old.count) for old, new in zip(before, after, strict=True)]
        values = {
            "photos": len(shown),
            "AP50 change": round(average_precision(after) - average_precision(before), 5),
            "photos counted otherwise": sum(step > 0 for step in steps),
            "largest change of a count": max(steps),
        }
        changes.append(Metrics(data=f"{data}, {label}, half precision against float32", values=values))
    return changes
