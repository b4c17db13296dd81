"""The exported graph: what the network computes, in operators and types that every runtime has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, numpy_helper
from torch import nn

from export.build import onnx_graph
from export.build.onnx_graph import (
    INPUT_NAME,
    MOST_EXACT_WEIGHTS,
    OUTPUT_NAME,
    export_graph,
    parity_px,
    rounded_export_form,
    run_graph,
    store_half_precision,
)
from export.build.operators import check_operators
from models.detection.iafm import IAFM
from models.detection.yolo_a import YoloA, export_form
from tests.models.networks import largest_difference, untrained_detector

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGE_PX = 192
MOST_PX = 1e-3  # a thousandth of a pixel


@dataclass(frozen=True)
class _Exported:
    network: YoloA
    ready: YoloA
    path: Path
    graph: onnx.ModelProto


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> _Exported:
    """The graph of a network nobody has trained."""
    network = untrained_detector(-1.0)
    ready = rounded_export_form(network)
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_graph(ready, IMAGE_PX, path)
    return _Exported(network, ready, path, onnx.load(path))


def _smooth_images(count: int) -> torch.Tensor:
    """Random content without the frequencies that photos do not have."""
    coarse = torch.rand(count, 3, 20, 20, generator=torch.Generator().manual_seed(3))
    return F.interpolate(coarse, size=(IMAGE_PX, IMAGE_PX), mode="bicubic").clamp(0, 1)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


# --- what it computes -----------------------------------------------------------------------------------------------


def test_boxes_of_graph_and_network_agree_to_a_thousandth_of_a_pixel(exported: _Exported) -> None:
    images = _smooth_images(2).numpy()
    assert parity_px(exported.ready, exported.path, images) <= MOST_PX


def test_every_box_and_score_of_the_graph_is_the_networks(exported: _Exported) -> None:
    images = _smooth_images(1)
    found = torch.from_numpy(run_graph(exported.path, images.numpy()))
    with torch.no_grad():
        expected = exported.ready(images)
    assert found.shape == (1, 6, 756)
    assert float(expected[:, 4:].std()) > 1e-3, "scores that differ, so that the comparison means something"
    assert largest_difference(found[:, :4], expected[:, :4]) <= MOST_PX
    assert largest_difference(found[:, 4:], expected[:, 4:]) <= 1e-5


def test_rounding_to_half_precision_moves_boxes_by_less_than_a_pixel(exported: _Exported) -> None:
    images = _smooth_images(1)
    with torch.no_grad():
        before, after = exported.network(images)[0], exported.ready(images)
    assert 0 < largest_difference(before[:, :4], after[:, :4]) < 1


def test_parity_is_the_largest_difference_of_a_visible_box(
    exported: _Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = _smooth_images(1)
    with torch.no_grad():
        expected = exported.ready(images).numpy()
    moved = expected.copy()
    best, worst = expected[0, 4:].max(0).argmax(), expected[0, 4:].max(0).argmin()
    moved[0, 2, best] += 0.25
    moved[0, 1, worst] -= 7
    monkeypatch.setattr(onnx_graph, "run_graph", lambda *_: moved)
    between = float(expected[0, 4:].max(0)[[best, worst]].mean())
    assert parity_px(exported.ready, exported.path, images.numpy(), min_score=between) == pytest.approx(0.25, abs=1e-4)
    assert parity_px(exported.ready, exported.path, images.numpy(), min_score=0) == pytest.approx(7, abs=1e-4)


def test_a_comparison_of_nothing_is_no_proof(exported: _Exported) -> None:
    with pytest.raises(ValueError, match=r"no box of these 1 images scores 1\.1; nothing to compare"):
        parity_px(exported.ready, exported.path, _smooth_images(1).numpy(), min_score=1.1)


# --- what it is made of ---------------------------------------------------------------------------------------------


def test_operators_are_standard_and_on_the_list(exported: _Exported) -> None:
    nodes = list(_nodes(exported.graph.graph))
    assert {node.domain for node in nodes} == {""}
    check_operators(exported.graph, "tensorrt")
    assert not exported.graph.functions
    assert sum(node.op_type != "Constant" for node in nodes) < 1800


def test_versions_are_those_that_jetpack_reads(exported: _Exported) -> None:
    assert [(entry.domain, entry.version) for entry in exported.graph.opset_import] == [("", 17)]
    assert exported.graph.ir_version <= 10


def test_graph_passes_the_checker_with_shapes(exported: _Exported) -> None:
    onnx.checker.check_model(exported.graph, full_check=True)


def test_shapes_of_input_and_output_are_fixed(exported: _Exported) -> None:
    def shape(value: onnx.ValueInfoProto) -> list[int]:
        return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]

    (image,), (boxes,) = exported.graph.graph.input, exported.graph.graph.output
    assert (image.name, shape(image)) == (INPUT_NAME, [1, 3, IMAGE_PX, IMAGE_PX])
    assert (boxes.name, shape(boxes)) == (OUTPUT_NAME, [1, 6, 756])
    assert {value.type.tensor_type.elem_type for value in (image, boxes)} == {TensorProto.FLOAT}


def test_no_slice_has_a_negative_step(exported: _Exported) -> None:
    """Slices with a negative step are where runtimes differ; the scan mirrors its slices instead."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in exported.graph.graph.initializer}
    for node in exported.graph.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    slices = [node for node in exported.graph.graph.node if node.op_type == "Slice" and len(node.input) == 5]
    assert slices
    assert all((constants[node.input[4]] > 0).all() for node in slices)


def test_metadata_lets_ultralytics_recognise_its_kind_of_model(exported: _Exported) -> None:
    metadata = {entry.key: entry.value for entry in exported.graph.metadata_props}
    assert metadata["task"] == "detect"
    assert metadata["stride"] == "32"
    assert metadata["batch"] == "1"
    assert ast.literal_eval(metadata["imgsz"]) == [IMAGE_PX, IMAGE_PX]
    assert ast.literal_eval(metadata["names"]) == {0: "apple", 1: "apple_flower"}
    assert metadata["license"] == "AGPL-3.0-or-later"
    assert exported.graph.producer_name == "pomona"


# --- half precision -------------------------------------------------------------------------------------------------


def test_file_is_small(exported: _Exported) -> None:
    assert exported.path.stat().st_size < 10_000_000


def test_large_convolutions_are_stored_in_half_precision_and_all_computed_in_single(exported: _Exported) -> None:
    graph = exported.graph.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    halves = weights - set(stored)
    assert len(halves) > 40
    for weight in halves:
        assert stored[casts[weight].input[0]].data_type == TensorProto.FLOAT16
        assert casts[weight].attribute[0].i == TensorProto.FLOAT
    for weight in weights - halves:
        assert stored[weight].data_type == TensorProto.FLOAT
        assert np.prod(stored[weight].dims) <= MOST_EXACT_WEIGHTS


def test_the_graph_holds_the_networks_weights_exactly(exported: _Exported) -> None:
    stored = [numpy_helper.to_array(tensor).astype(np.float32) for tensor in exported.graph.graph.initializer]
    of_network = [m.weight.numpy() for m in exported.ready.modules() if isinstance(m, nn.Conv2d)]
    found = {array.tobytes() for array in stored}
    of_network += [m.static.numpy() for m in exported.ready.modules() if isinstance(m, IAFM)]
    assert [array.shape for array in of_network if array.tobytes() not in found] == []


def test_rounded_form_differs_from_the_export_form_by_rounding_only(exported: _Exported) -> None:
    exact = [m for m in export_form(exported.network).modules() if isinstance(m, nn.Conv2d)]
    rounded = [m for m in exported.ready.modules() if isinstance(m, nn.Conv2d)]
    for one, other in zip(exact, rounded, strict=True):
        rounds = one.weight.numel() > MOST_EXACT_WEIGHTS
        assert torch.equal(one.weight.half().float() if rounds else one.weight, other.weight)
        assert one.bias is None or torch.equal(one.bias, other.bias)  # type: ignore[arg-type]


def _one_convolution(weight: np.ndarray) -> onnx.ModelProto:
    image = onnx.helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])
    out = onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 2, 2])
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    return onnx.helper.make_model(
        onnx.helper.make_graph([node], "one", [image], [out], [numpy_helper.from_array(weight, "w")])
    )


def test_a_weight_that_half_precision_would_change_stays_as_it_is() -> None:
    for value, stored in ((0.5, TensorProto.FLOAT16), (0.1, TensorProto.FLOAT), (1e6, TensorProto.FLOAT)):
        model = _one_convolution(np.full((1, 1, 3, 3), value, dtype=np.float32))
        store_half_precision(model)
        assert model.graph.initializer[0].data_type == stored
        onnx.checker.check_model(model, full_check=True)
