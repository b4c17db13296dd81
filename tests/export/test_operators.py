"""Graphs that some engine would not take are named, and ours are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.build.onnx_graph import export_graph, rounded_export_form
from export.build.operators import Target, UnsupportedGraphError, check_operators, unsupported
from export.runtime.bundle import BUNDLES, INT8_GRAPH, OPENVINO_INT8_GRAPH, open_bundle
from models.detection.networks import build_network
from models.detection.yolo_a import Part, YoloA
from tests.export.small_network import small_network
from tests.models.networks import stir

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGE_PX = 128


def graph_of(
    *nodes: NodeProto,
    constants: dict[str, Any] | None = None,
    shape: Sequence[int | str] = (1, 4, 8, 8),
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
) -> onnx.ModelProto:
    """A graph from ``x`` to ``y``."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def found(model: onnx.ModelProto, target: Target = "tensorrt") -> list[str]:
    return list(unsupported(model, target))


# --- ours -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", ["yolo-a", "yolo-a-light"])
def test_every_graph_of_the_bundles_that_come_with_pomona_is_taken(bundle: str) -> None:
    opened = open_bundle(BUNDLES / bundle)
    graphs = [name for name in opened.manifest.files if name.endswith(".onnx")]
    assert "model.onnx" in graphs
    for name in graphs:
        of_processors = name in (INT8_GRAPH, OPENVINO_INT8_GRAPH)  # these have zero points
        check_operators(onnx.load(opened.folder / name), "onnxruntime" if of_processors else "tensorrt")


@pytest.mark.parametrize("network", ["yolo-a", "yolo-a-light"])
def test_the_bundles_that_come_with_pomona_are_of_the_networks_they_are_called_after(
    network: str, tmp_path: Path
) -> None:
    opened = open_bundle(BUNDLES / network)
    export_graph(
        rounded_export_form(stir(build_network(network)).eval()), opened.manifest.input.size_px, tmp_path / "a.onnx"
    )
    shipped, fresh = (
        Counter(node.op_type for node in onnx.load(path).graph.node if node.op_type != "Identity")  # of equal constants
        for path in (opened.model, tmp_path / "a.onnx")
    )
    assert shipped == fresh


@pytest.mark.parametrize("parts", [("glicm", "fsppf", "iafm"), ()], ids=["YOLO-A", "YOLO11n"])
def test_a_freshly_exported_detector_is_taken(parts: tuple[Part, ...], tmp_path: Path) -> None:
    ready = rounded_export_form(stir(YoloA(2, parts=parts)).eval())
    export_graph(ready, IMAGE_PX, tmp_path / "model.onnx")
    check_operators(onnx.load(tmp_path / "model.onnx"), "tensorrt")


def test_the_small_network_is_taken() -> None:
    check_operators(small_network(), "tensorrt")


# --- operators and versions -----------------------------------------------------------------------------------------


def test_a_fourier_transform_is_named() -> None:
    node = helper.make_node("DFT", ["x"], ["y"], "transform", axis=1)
    assert found(graph_of(node, shape=(1, 8, 1))) == [
        "DFT transform: not on the list of operators that every engine takes"
    ]


def test_all_reasons_are_in_the_error() -> None:
    nodes = [helper.make_node("Det", ["x"], ["d"], "one"), helper.make_node("Hardmax", ["d"], ["y"], "two")]
    with pytest.raises(UnsupportedGraphError, match="tensorrt does not take this graph:") as raised:
        check_operators(graph_of(*nodes), "tensorrt")
    assert [line.partition(":")[0] for line in str(raised.value).splitlines()[1:]] == ["Det one", "Hardmax two"]


def _loop(node: NodeProto) -> onnx.ModelProto:
    """Three times: v = node(v)."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["again"]), node],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 4, 8, 8]),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 4, 8, 8]),
        ],
    )
    loop = helper.make_node("Loop", ["times", "first", "x"], ["y"], "thrice", body=body)
    model = graph_of(loop, constants={"times": np.int64(3), "first": np.bool_(True)})
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8]))
    return model


def test_a_loop_is_taken_and_what_is_in_it_looked_at() -> None:
    assert found(_loop(helper.make_node("Relu", ["v"], ["w"], "inside"))) == []
    assert found(_loop(helper.make_node("Hardmax", ["v"], ["w"], "inside"))) == [
        "Loop thrice, body: Hardmax inside: not on the list of operators that every engine takes"
    ]
    quantised = helper.make_node("QuantizeLinear", ["v", "times"], ["w"], "inside")
    assert "Loop thrice, body: QuantizeLinear inside: not int8" in "\n".join(found(_loop(quantised)))


def test_an_operator_of_another_domain_is_named() -> None:
    node = helper.make_node("Gelu", ["x"], ["y"], "fast", domain="com.microsoft")
    model = graph_of(node)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert "Gelu fast: domain com.microsoft; only standard operators" in found(model)


def test_a_newer_standard_than_the_engines_read_is_named() -> None:
    model = graph_of(helper.make_node("Relu", ["x"], ["y"]), opset=19)
    model.ir_version = 11
    assert found(model) == ["IR version 11; at most 10", "opset 19; at most 18"]


def test_local_functions_are_named() -> None:
    model = graph_of(helper.make_node("Relu", ["x"], ["y"]))
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    model.functions.append(function)
    assert found(model) == ["local function Twice; write out its nodes"]


# --- shapes and types -----------------------------------------------------------------------------------------------


def test_a_dynamic_shape_is_named_where_it_begins() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["r"], "first"), helper.make_node("Abs", ["r"], ["y"], "second")]
    assert found(graph_of(*nodes, shape=("batch", 4, 8, 8))) == ["x: dynamic shape ['batch', 4, 8, 8]"]


def test_a_size_that_hangs_on_the_image_is_named() -> None:
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], "most", keepdims=0),
        helper.make_node("Cast", ["most"], ["k"], "k", to=TensorProto.INT64),
        helper.make_node("Reshape", ["k", "one"], ["size"], "size"),
        helper.make_node("ConstantOfShape", ["size"], ["y"], "fill"),
    ]
    assert found(graph_of(*nodes, constants={"one": np.array([1])})) == [
        "ConstantOfShape fill: its output has no fixed shape"
    ]


def test_sizes_that_follow_from_the_input_are_fixed() -> None:
    """As exporters write the halves of a tensor."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["channels"]),
        helper.make_node("Div", ["channels", "two"], ["half"]),
        helper.make_node("Slice", ["x", "zero", "half", "one"], ["y"]),
    ]
    constants = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
    assert found(graph_of(*nodes, constants=constants)) == []


def test_double_precision_and_text_are_named() -> None:
    assert found(graph_of(helper.make_node("Abs", ["x"], ["y"]), kind=TensorProto.DOUBLE)) == [
        "x: type DOUBLE",
        "y: type DOUBLE",
    ]
    assert "x: type STRING" in found(graph_of(helper.make_node("Identity", ["x"], ["y"]), kind=TensorProto.STRING))


# --- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "problem"), [(3839, []), (3840, ["TopK best: K is 3840; fewer than 3840"])])
def test_the_most_that_top_k_gives(k: int, problem: list[str]) -> None:
    node = helper.make_node("TopK", ["x", "k"], ["y", "where"], "best")
    assert found(graph_of(node, constants={"k": np.array([k])}, shape=(1, 8400))) == problem


def test_a_computed_k_is_named() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["k"], to=TensorProto.INT64),
        helper.make_node("TopK", ["x", "k"], ["y", "where"], "best"),
    ]
    assert "TopK best: K is computed; it must be a constant" in found(graph_of(*nodes, shape=(1,)))


def test_a_slice_backwards_is_named() -> None:
    node = helper.make_node("Slice", ["x", "last", "first", "axis", "step"], ["y"], "back")
    constants = {"last": np.array([-1]), "first": np.array([-9]), "axis": np.array([3]), "step": np.array([-1])}
    assert found(graph_of(node, constants=constants)) == ["Slice back: negative step; where runtimes differ"]
    assert found(graph_of(node, constants={**constants, "last": [0], "first": [8], "step": np.array([2])})) == []


def test_padding_gives_all_axes_a_constant_and_no_wrapping() -> None:
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    assert found(graph_of(helper.make_node("Pad", ["x", "p"], ["y"], "pad"), constants={"p": pads})) == []
    some = helper.make_node("Pad", ["x", "p", "", "axes"], ["y"], "pad")
    assert found(graph_of(some, constants={"p": np.array([1, 1]), "axes": np.array([3])}, opset=18)) == [
        "Pad pad: pads some axes; give pads for all axes"
    ]
    wrapped = helper.make_node("Pad", ["x", "p"], ["y"], "pad", mode="wrap")
    assert "Pad pad: mode wrap" in found(graph_of(wrapped, constants={"p": pads}, opset=18))
    nodes = [
        helper.make_node("Cast", ["x"], ["p"], to=TensorProto.INT64),
        helper.make_node("Pad", ["x", "p"], ["y"], "pad"),
    ]
    assert "Pad pad: pads is computed; it must be a constant" in found(graph_of(*nodes, shape=(2,)))


def test_other_arguments_that_tensorrt_does_not_take_are_named() -> None:
    pool = helper.make_node("MaxPool", ["x"], ["y", "where"], "pool", kernel_shape=[2, 2])
    assert found(graph_of(pool)) == ["MaxPool pool: gives indices, which TensorRT does not"]
    scatter = helper.make_node("ScatterND", ["x", "where", "what"], ["y"], "add", reduction="add")
    constants = {"where": np.array([[0]]), "what": np.zeros((1, 4, 8, 8), np.float32)}
    assert found(graph_of(scatter, constants=constants)) == ["ScatterND add: reduces; only without reduction"]
    sums = [
        helper.make_node("Cast", ["x"], ["axis"], to=TensorProto.INT64),
        helper.make_node("CumSum", ["x", "axis"], ["y"], "sum"),
    ]
    assert found(graph_of(*sums, shape=(1,))) == ["CumSum sum: axis is computed; it must be a constant"]


# --- quantisation ---------------------------------------------------------------------------------------------------


def _rounded(zero_point: Any) -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "round"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], "back"),
    ]
    return graph_of(*nodes, constants={"scale": np.float32(0.1), "zero": zero_point})


def test_only_tensorrt_wants_zero_points_of_zero() -> None:
    assert found(_rounded(np.int8(0))) == []
    assert found(_rounded(np.int8(3))) == [
        "QuantizeLinear round: zero point 3; only 0",
        "DequantizeLinear back: zero point 3; only 0",
    ]
    assert found(_rounded(np.int8(3)), "onnxruntime") == []


def test_only_tensorrt_wants_signed_integers() -> None:
    problems = "\n".join(found(_rounded(np.uint8(0))))
    assert "q: type UINT8" in problems
    assert "QuantizeLinear round: not int8; without a zero point the standard means uint8" in problems
    assert found(_rounded(np.uint8(128)), "onnxruntime") == []


def test_a_computed_scale_is_named() -> None:
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["scale"], keepdims=0),
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "round"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], "back"),
    ]
    assert "QuantizeLinear round: scale is computed; it must be a constant" in found(
        graph_of(*nodes, constants={"zero": np.int8(0)})
    )
