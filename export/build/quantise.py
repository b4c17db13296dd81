"""Detector graphs in 8-bit integers, in one form for each engine.

What was chosen, and why; ``python -m tests.benchmarks.engines`` times the forms, and the manifest of a bundle says what
its own lost.

* Convolutions run in integers. Attention, scans, Fourier products and normalisations would gain little, so they stay in
  float32. So do the convolutions of gates and kernels made from the image, which work on single values; the decoding of
  boxes, whose coordinates and scores share one tensor; and the first convolution, which with three input channels is
  slower in integers and rounds what all others see.
* Ranges are the mean over the tiles of each tile's extremes. The extremes of all tiles leave too few steps for what is
  common; cutting off what is rare was no better.
* Weights have a scale for each channel and use all 8 bits. With 7, which no processor sums wrongly, much more is lost;
  the engines instead look at the processor.
* ONNX Runtime multiplies unsigned activations with signed weights fastest; with both signed it is slower than float32.
  Results of convolutions have to be rounded for it, and SiLU as a table then costs less than the way to float32 and
  back, as do nodes that only pick values; concatenations and sums do not.
* OpenVINO joins a convolution with the activation behind it where nothing is rounded between them. It has to be
  unsigned: release 2026.4 computes signed activations wrongly.
* TensorRT wants activations signed and without zero point.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from export.build.folding import fixed_shape, fold_constants
from export.build.operators import Target, check_operators

# what only moves values about, between a softmax and the convolution that weighs its shares
_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze")
# exact in integers, and faster than the way to float32 and back
_PICKS = ("MaxPool", "Resize", "Slice", "Split")
# sums of a convolution's products go on in float32, and the bias is added there
_INPUTS_ONLY: dict[str, Any] = {"OpTypesToExcludeOutputQuantization": ["Conv"], "QuantizeBias": False}


def quantise_for_onnx_runtime(graph: Path, calibration_images: Iterable[NDArray[np.float32]], output: Path) -> None:
    """Write the graph that ONNX Runtime runs in integers on the processor; OpenVINO runs it too.

    Args:
        graph: the float32 graph; weights may be stored in half precision.
        calibration_images: (1, 3, H, W) float32 in 0–1, tiles of photos the network was trained on; some dozens.
        output: file to write.

    Raises:
        ValueError: no image to calibrate on, or no convolution that could run in integers.
        UnsupportedGraphError: not a graph that ONNX Runtime takes.
    """
    model = fold_constants(onnx.load(graph))
    _give_own_weights(model.graph)
    convolutions = _convolutions(model.graph)
    nodes = [*convolutions, *_carried(model.graph, convolutions)]
    quantised = _quantise(model, nodes, calibration_images, QuantType.QUInt8, {})
    check_operators(quantised, "onnxruntime")
    onnx.save(quantised, output)


def quantise_for_openvino(graph: Path, calibration_images: Iterable[NDArray[np.float32]], output: Path) -> None:
    """Write the graph that OpenVINO runs fastest in integers on the processor.

    Args:
        graph: as for :func:`quantise_for_onnx_runtime`.
        calibration_images: likewise.
        output: file to write.

    Raises:
        ValueError: no image to calibrate on, or no convolution that could run in integers.
        UnsupportedGraphError: not a graph that OpenVINO takes.
    """
    _quantise_inputs(graph, calibration_images, QuantType.QUInt8, "onnxruntime", output)


def quantise_for_tensorrt(graph: Path, calibration_images: Iterable[NDArray[np.float32]], output: Path) -> None:
    """Write the graph that TensorRT builds an engine with integers from: explicit, symmetric, without zero points.

    Args:
        graph: as for :func:`quantise_for_onnx_runtime`.
        calibration_images: likewise.
        output: file to write.

    Raises:
        ValueError: no image to calibrate on, or no convolution that could run in integers.
        UnsupportedGraphError: not a graph that TensorRT takes.
    """
    _quantise_inputs(graph, calibration_images, QuantType.QInt8, "tensorrt", output)


def _quantise_inputs(
    graph: Path, calibration_images: Iterable[NDArray[np.float32]], kind: QuantType, target: Target, output: Path
) -> None:
    """Round what goes into each convolution; runtimes that compile a graph find the rest from there."""
    model = fold_constants(onnx.load(graph))
    options = {**_INPUTS_ONLY, "ActivationSymmetric": kind == QuantType.QInt8}
    quantised = _quantise(model, _convolutions(model.graph), calibration_images, kind, options)
    check_operators(quantised, target)
    onnx.save(quantised, output)


def _quantise(
    model: onnx.ModelProto,
    nodes: Sequence[str],
    images: Iterable[NDArray[np.float32]],
    activations: QuantType,
    options: dict[str, Any],
) -> onnx.ModelProto:
    if not nodes:
        raise ValueError("no convolution of this graph can run in integers; keep it in float32")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    add_pre_process_metadata(model)  # folding is all the preparation the library would ask for
    chosen = set(nodes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            model,
            path,
            _Images(model.graph.input[0].name, images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted({node.op_type for node in model.graph.node if node.name in chosen}),
            per_channel=True,
            activation_type=activations,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=list(nodes),
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True, **options},
        )
        quantised = onnx.load(path)
    del quantised.metadata_props[:]
    helper.set_model_props(quantised, metadata)
    quantised.producer_name, quantised.producer_version = model.producer_name, model.producer_version
    # the library also imports the domains of its own operators, and uses none of them
    standard = [entry for entry in quantised.opset_import if not entry.domain]
    del quantised.opset_import[:]
    quantised.opset_import.extend(standard)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Calibration images as the library asks for them: one after the other, then None."""

    def __init__(self, name: str, images: Iterable[NDArray[np.float32]]) -> None:
        self._name = name
        self._images = iter(images)
        self._given = 0

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._images, None)
        if image is None and not self._given:
            raise ValueError("no image to calibrate on; give some dozens of tiles of training photos")
        self._given += 1
        return None if image is None else {self._name: image}


def _convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions that gain from integers without losing what they find."""
    inferred = onnx.shape_inference.infer_shapes(helper.make_model(graph)).graph
    shapes = {value.name: fixed_shape(value.type) for value in inferred.value_info}
    constants = {tensor.name for tensor in graph.initializer}
    image = graph.input[0].name
    producers = {output: node for node in graph.node for output in node.output}
    return [
        node.name
        for node in graph.node
        if node.op_type == "Conv"
        and node.input[0] != image
        and node.input[1] in constants  # kernels made from the image change with it
        and not _is_line(shapes.get(node.output[0]))
        and not _weighs_shares(node, producers)
    ]


def _give_own_weights(graph: onnx.GraphProto) -> None:
    """Copy weights that convolutions share: ONNX Runtime's exact mode for older processors cannot load them."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    seen: set[str] = set()
    for node in graph.node:
        if node.op_type != "Conv" or node.input[1] not in weights:
            continue
        if (shared := node.input[1]) in seen:
            node.input[1] = f"{shared}_{node.name}"
            graph.initializer.add().CopyFrom(weights[shared])
            graph.initializer[-1].name = node.input[1]
        seen.add(shared)


def _is_line(shape: tuple[int, ...] | None) -> bool:
    """Whether a map is one value high or wide, as gates and kernels made from the image are."""
    return shape is None or min(shape[2:]) == 1


def _weighs_shares(node: onnx.NodeProto, producers: dict[str, onnx.NodeProto]) -> bool:
    """Whether a convolution reads a softmax, as the one does that turns shares of distances into box sides."""
    before = producers.get(node.input[0])
    while before is not None and before.op_type in _MOVES:
        before = producers.get(before.input[0])
    return before is not None and before.op_type == "Softmax"


def _carried(graph: onnx.GraphProto, convolutions: Sequence[str]) -> Iterator[str]:
    """Names of the nodes that go on in integers behind convolutions: SiLU, and what only picks values.

    SiLU is a pair of nodes, the sigmoid of x and its product with x.
    """
    chosen = set(convolutions)
    integers: set[str] = set()
    gates: dict[str, onnx.NodeProto] = {}
    for node in graph.node:  # in the order in which they run
        if node.name in chosen:
            integers.update(node.output)
        elif node.op_type in _PICKS and node.input[0] in integers:
            integers.update(node.output)
            yield node.name
        elif node.op_type == "Sigmoid" and node.input[0] in integers:
            gates[node.output[0]] = node
        elif node.op_type == "Mul" and (gate := _gate(node, gates)) is not None:
            integers.update(node.output)
            yield from (gate.name, node.name)


def _gate(product: onnx.NodeProto, gates: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """The sigmoid whose input is also the other factor."""
    for value, factor in (tuple(product.input), tuple(reversed(product.input))):
        if factor in gates and gates[factor].input[0] == value:
            return gates[factor]
    return None
