"""YOLO-A as an ONNX graph of standard operators, the weights of its large convolutions in half precision."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from export.build.operators import OPSET
from models.detection.iafm import IAFM
from models.detection.yolo_a import YoloA, export_form, quiet

INPUT_NAME, OUTPUT_NAME = "images", "output0"
# Convolutions with no more weights than this keep them in single precision. They are two thirds of all convolutions
# and a seventh of all weights; rounding them too changes the count of every fourth photo by one or two.
MOST_EXACT_WEIGHTS = 16_384


def rounded_export_form(model: YoloA) -> YoloA:
    """The export form, the weights of its large convolutions rounded to half precision as the graph stores them."""
    ready = export_form(model)
    for module in ready.modules():
        if isinstance(module, nn.Conv2d | IAFM):
            weight = module.static if isinstance(module, IAFM) else module.weight
            if weight.numel() > MOST_EXACT_WEIGHTS:
                weight.copy_(weight.half().float())
    return ready


def export_graph(ready: YoloA, image_px: int, path: Path) -> None:
    """Write the graph of a network in export form for one square image at a time.

    The file also carries the metadata by which ultralytics recognises its own exports, so that its ``predict`` runs
    on it.

    Args:
        ready: what :func:`rounded_export_form` gave.
        image_px: side of the input image.
        path: file to write.

    Raises:
        onnx.checker.ValidationError: the exporter produced an invalid graph.
    """
    head = ready.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", False
    image = torch.zeros(1, 3, image_px, image_px)
    with torch.no_grad(), quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter comments on every shape it freezes, which is what we want
        ready(image)
        torch.onnx.export(
            ready,
            (image,),
            str(path),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    graph = onnx.load(path)
    store_half_precision(graph)
    graph.producer_name, graph.producer_version = "pomona", ""
    graph.doc_string = ""
    metadata = {
        "description": "Pomona YOLO-A",
        "license": "AGPL-3.0-or-later",
        "task": "detect",
        "stride": str(int(ready.stride.max())),
        "batch": "1",
        "imgsz": str([image_px, image_px]),
        "names": str(dict(ready.names)),
    }
    helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def store_half_precision(graph: onnx.ModelProto) -> None:
    """Store convolution weights as float16 behind a cast to float32; runtimes fold the cast when they load.

    Only values that float16 holds exactly are converted, so that the graph computes what it computed before.
    """
    weights = {node.input[1] for node in graph.graph.node if node.op_type == "Conv"}
    casts = []
    for initializer in graph.graph.initializer:
        if initializer.name not in weights or initializer.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(initializer)
        with np.errstate(over="ignore"):  # what is too large becomes infinite and is kept as it was
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        stored = f"{initializer.name}_half"
        casts.append(
            helper.make_node("Cast", [stored], [initializer.name], f"{initializer.name}_cast", to=TensorProto.FLOAT)
        )
        initializer.CopyFrom(numpy_helper.from_array(half, stored))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)


def run_graph(path: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a graph with ONNX Runtime on the processor; images (B, 3, H, W), one at a time."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {INPUT_NAME: image[None]})[0] for image in images])


def parity_px(ready: YoloA, path: Path, images: NDArray[np.float32], min_score: float = 0.001) -> float:
    """Largest difference in pixels between the boxes of the network and of its graph.

    Args:
        ready: the network that was exported.
        path: its graph.
        images: (B, 3, H, W) float32 in 0–1, photos rather than noise.
        min_score: boxes that no class gives this score are not compared: nobody sees them.

    Raises:
        ValueError: no box reaches the score, so that nothing would be compared.
    """
    with torch.no_grad():
        expected = ready(torch.from_numpy(images))
    expected_boxes = (expected[0] if isinstance(expected, tuple) else expected).numpy()
    difference = np.abs(run_graph(path, images)[:, :4] - expected_boxes[:, :4]).max(axis=1)
    visible = expected_boxes[:, 4:].max(axis=1) >= min_score
    if not visible.any():
        raise ValueError(f"no box of these {len(images)} images scores {min_score:g}; nothing to compare {path} on")
    return float(difference[visible].max())
