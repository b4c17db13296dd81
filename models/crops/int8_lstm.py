"""A stacked LSTM's ONNX graph in integers of 8 bits, less work for a processor that multiplies them natively.

ONNX Runtime's own operator for LSTMs in integers measures the range of every step anew. Here none is measured: states
of an LSTM lie between -1 and 1, so one scale holds for all of them. Weights have a scale for each column and 7 bits,
which no processor's sums of products can overflow. The input, which has no bounds, stays in float32, as does all that
is not a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.crops.series import CropError, FloatArray

_STATE, _ZERO = 1 / 127, 128
_MOST = 63
_SHAPES = {"Shape", "Constant", "Gather", "Unsqueeze", "Concat", "ConstantOfShape", "Transpose", "Squeeze"}
_GATES = 4


@dataclass(frozen=True, eq=False)
class _Layer:
    """Weights of one layer, gates side by side as ONNX has them: input, output, forget, cell.

    Attributes:
        of_input: (inputs, 4 · units).
        of_state: (units, 4 · units).
        bias: (4 · units,).
    """

    of_input: FloatArray
    of_state: FloatArray
    bias: FloatArray


@dataclass(frozen=True, eq=False)
class _Weights:
    mean: FloatArray
    std: FloatArray
    layers: Sequence[_Layer]
    head: FloatArray
    head_bias: FloatArray


def in_int8(model: onnx.ModelProto, steps: int) -> onnx.ModelProto:
    """The graph of a stacked LSTM with its matrix products in integers.

    Args:
        model: that :func:`models.crops.onnx_file.export` wrote of a :class:`models.crops.stacked_lstm.StackedLSTM`.
        steps: of its series.

    Raises:
        CropError: another network.
    """
    weights = _weights(model)
    made = _Graph()
    inputs = _normalised(made, weights, steps)
    last = len(weights.layers) - 1
    for number, layer in enumerate(weights.layers):
        inputs = _add_layer(made, number, layer, inputs, whole=number < last)
    logits = made.add("Gemm", [inputs[-1], made.keep("head", weights.head), made.keep("head_bias", weights.head_bias)])
    made.nodes.append(helper.make_node("Softmax", [logits], ["probabilities"], axis=-1))
    graph = helper.make_graph(
        made.nodes,
        "stacked LSTM in int8",
        [helper.make_tensor_value_info("series", TensorProto.FLOAT, ["pixels", steps, len(weights.mean)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["pixels", weights.head.shape[1]])],
        made.constants,
    )
    own = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    ready: onnx.ModelProto = helper.make_model(graph, opset_imports=own, ir_version=8)
    ready.metadata_props.extend(model.metadata_props)
    return ready


def _weights(model: onnx.ModelProto) -> _Weights:
    kept = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type not in _SHAPES]
    kinds = [node.op_type for node in nodes]
    inside = nodes[2:-2]
    turned = any(each.name == "direction" for node in inside for each in node.attribute)
    if kinds != ["Sub", "Div", *["LSTM"] * len(inside), "Gemm", "Softmax"] or not inside or turned:
        raise CropError("only stacked LSTMs can be asked in int8, and this network is none; map without it")

    def layer(node: onnx.NodeProto) -> _Layer:
        of_input, of_state, bias = (kept[name][0] for name in node.input[1:4])
        return _Layer(of_input.T, of_state.T, bias.reshape(2, -1).sum(0))

    head, head_bias = (kept[name] for name in nodes[-2].input[1:])
    return _Weights(
        kept[nodes[0].input[1]], kept[nodes[1].input[1]], [layer(node) for node in inside], head.T, head_bias
    )


class _Graph:
    """Nodes and constants of a graph that grows."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.keep("scale", np.float32(_STATE))
        self.keep("zero", np.uint8(_ZERO))

    def keep(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        """A constant; its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def add(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: int) -> str:
        """A node; the name of its output, or what its outputs' names begin with."""
        name = f"{kind.lower()}{len(self.nodes)}"
        domain = "com.microsoft" if kind == "MatMulIntegerToFloat" else ""
        names = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))  # type: ignore[arg-type]
        return name


def _normalised(made: _Graph, weights: _Weights, steps: int) -> list[str]:
    centred = made.add("Sub", ["series", made.keep("mean", weights.mean)])
    scaled = made.add("Div", [centred, made.keep("std", weights.std)])
    split = made.add("Split", [scaled], steps, axis=1)
    axis = made.keep("axis", np.array([1]))
    return [made.add("Squeeze", [f"{split}_{step}", axis]) for step in range(steps)]


def _add_layer(made: _Graph, number: int, layer: _Layer, inputs: Sequence[str], *, whole: bool) -> list[str]:
    """States of a layer after each step as integers; the last one alone, in float32, where not ``whole``.

    The first layer's inputs are float32, the others' the integers of the layer before.
    """
    first = number == 0
    units = layer.of_state.shape[0]
    gates = [slice(gate * units, (gate + 1) * units) for gate in range(_GATES)]
    products = layer.of_state if first else np.concatenate([layer.of_input, layer.of_state])
    scale = (np.abs(products).max(0) / _MOST).astype(np.float32)
    integers = np.round(products / np.maximum(scale, np.finfo(np.float32).tiny)).astype(np.int8)
    for gate, columns in enumerate(gates):
        made.keep(f"weight{number}_{gate}", integers[:, columns])
        made.keep(f"scale{number}_{gate}", scale[columns])
        made.keep(f"bias{number}_{gate}", layer.bias[columns])
        made.keep(f"zero{number}_{gate}", np.zeros(units, np.int8))
        if first:
            made.keep(f"input{number}_{gate}", layer.of_input[:, columns])
        else:  # there is no state before the first step
            made.keep(f"start{number}_{gate}", integers[: len(layer.of_input), columns])

    def before(gate: int, step: int, known: str | None) -> str:
        """The sum that a gate's function is taken of."""
        of_gate = f"{number}_{gate}"
        summed = f"bias{of_gate}"
        if known is not None:
            weight = f"{'weight' if first or step else 'start'}{of_gate}"
            terms = [known, weight, "scale", f"scale{of_gate}", "zero", f"zero{of_gate}", f"bias{of_gate}"]
            summed = made.add("MatMulIntegerToFloat", terms)
        return made.add("Gemm", [inputs[step], f"input{of_gate}", summed]) if first else summed

    states: list[str] = []
    cell = state = ""
    for step, given in enumerate(inputs):
        if first:
            known = states[-1] if step else None
        else:
            known = made.add("Concat", [given, states[-1]], axis=1) if step else given
        opened, shown, kept = (made.add("Sigmoid", [before(gate, step, known)]) for gate in range(_GATES - 1))
        new = made.add("Mul", [opened, made.add("Tanh", [before(_GATES - 1, step, known)])])
        cell = made.add("Add", [made.add("Mul", [kept, cell]), new]) if step else new
        state = made.add("Mul", [shown, made.add("Tanh", [cell])])
        if whole or step < len(inputs) - 1:
            states.append(made.add("QuantizeLinear", [state, "scale", "zero"]))
    return states if whole else [state]
