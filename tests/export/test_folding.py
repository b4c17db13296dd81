"""What is the same for every image is worked out beforehand, and nothing else changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.build.folding import fold_constants
from tests.export.small_network import images, small_network


def _sliced(side: int | str = 8) -> onnx.ModelProto:
    """The first half of the rows, as an exporter writes it."""
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.array([2]))),
            helper.make_node("Shape", ["x"], ["rows"], start=2, end=3),
            helper.make_node("Div", ["rows", "two"], ["half"]),
            helper.make_node("Slice", ["x", "zero", "half", "two"], ["y"]),
        ],
        "half",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([0]), "zero"), numpy_helper.from_array(np.zeros(99), "unused")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_sizes_become_numbers() -> None:
    folded = fold_constants(_sliced())
    assert _operators(folded) == {"Slice": 1}
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in folded.graph.initializer}
    assert values == {"zero": [0], "half": [4], "two": [2]}, "and what nothing uses is gone"


def test_sizes_of_an_unknown_shape_stay() -> None:
    assert _operators(fold_constants(_sliced("rows"))) == {"Shape": 1, "Div": 1, "Slice": 1}


def test_weights_in_half_precision_become_single() -> None:
    folded = fold_constants(small_network())
    assert "Cast" not in _operators(folded)
    weights = {tensor.name: tensor.data_type for tensor in folded.graph.initializer}
    assert weights["w_middle_float"] == TensorProto.FLOAT
    assert "w_middle" not in weights


def test_it_computes_the_same() -> None:
    model = small_network()
    before, after = (
        onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"images": images(1)[0]}
        )[0]
        for graph in (model, fold_constants(model))
    )
    assert np.array_equal(before, after)


def test_the_graph_it_is_given_stays_as_it_is() -> None:
    model = _sliced()
    before = model.SerializeToString()
    fold_constants(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("captured", [True, False])
def test_what_a_subgraph_uses_stays(captured: bool) -> None:
    def branch(name: str, constant: str) -> onnx.GraphProto:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
        return helper.make_graph([helper.make_node("Identity", [constant], [name])], name, [], [value])

    node = helper.make_node(
        "If", ["x"], ["y"], then_branch=branch("a", "one"), else_branch=branch("b", "two" if captured else "one")
    )
    graph = helper.make_graph(
        [node],
        "choice",
        [helper.make_tensor_value_info("x", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.ones(2, np.float32), name) for name in ("one", "two")],
    )
    folded = fold_constants(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert [tensor.name for tensor in folded.graph.initializer] == (["one", "two"] if captured else ["one"])
    assert _operators(folded) == {"If": 1}
