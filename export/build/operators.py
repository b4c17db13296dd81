"""The operators that every engine takes: read from a graph, no engine needed.

TensorRT need not be installed where graphs are made: a graph is held to what its ONNX importer documents for 10.3, the
release of JetPack 6, and to what ONNX Runtime 1.23 reads, the last one for its Python 3.10. What TensorRT builds is
inside what ONNX Runtime and OpenVINO run, but for numbers: TensorRT knows no quantisation with a zero point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, numpy_helper

from export.build.folding import fixed_shape, fold_constants

Target = Literal["onnxruntime", "tensorrt"]

# JetPack 6 stops at onnxruntime 1.23, which reads opset 17 and IR 8 without question
OPSET = 17
MOST_OPSET = 18
MOST_IR = 10
MOST_TOP_K = 3840

# fmt: off
OPERATORS = frozenset({
    "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat",
    "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "CumSum", "DepthToSpace", "DequantizeLinear", "Div",
    "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "GRU", "Gather", "GatherElements", "GatherND",
    "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample", "HardSigmoid", "HardSwish",
    "Identity", "If", "InstanceNormalization", "LSTM", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log",
    "LogSoftmax", "Loop", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mul", "Neg", "NonMaxSuppression", "Not", "Or",
    "PRelu", "Pad", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu",
    "Reshape", "Resize", "Round", "Scan", "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Size",
    "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan", "Tanh",
    "Tile", "TopK", "Transpose", "Unsqueeze", "Where", "Xor",
})
# fmt: on
_STANDARD = ("", "ai.onnx")
_TYPES = frozenset({"FLOAT", "FLOAT16", "INT8", "INT32", "INT64", "BOOL"})
# asymmetric activations are unsigned bytes
_TYPES_OF: dict[Target, frozenset[str]] = {"tensorrt": _TYPES, "onnxruntime": _TYPES | {"UINT8"}}


class UnsupportedGraphError(RuntimeError):
    """A graph that some engine would not take; the message lists why, a line each."""

    exit_code = 1


@dataclass(frozen=True)
class _Scope:
    """A graph or subgraph.

    Attributes:
        graph: the graph, its shapes inferred.
        where: what is written before the names in it.
        target: who shall take it.
        constants: values known before the graph runs, those of the graphs around it included.
        unknown: values of the graphs around it whose shapes are not fixed.
    """

    graph: onnx.GraphProto
    where: str
    target: Target
    constants: dict[str, NDArray[np.generic]]
    unknown: frozenset[str] = frozenset()


def check_operators(model: onnx.ModelProto, target: Target) -> None:
    """Make sure that an engine takes a graph.

    Args:
        model: the graph.
        target: ``tensorrt`` for what all engines shall take, ``onnxruntime`` also for quantisation with zero points.

    Raises:
        UnsupportedGraphError: it does not; lists every reason.
    """
    if found := list(unsupported(model, target)):
        raise UnsupportedGraphError(f"{target} does not take this graph:\n" + "\n".join(found))


def unsupported(model: onnx.ModelProto, target: Target) -> Iterator[str]:
    """What an engine would not take in a graph, one line each; see :func:`check_operators`."""
    if model.ir_version > MOST_IR:
        yield f"IR version {model.ir_version}; at most {MOST_IR}"
    for entry in model.opset_import:
        if entry.domain in _STANDARD and entry.version > MOST_OPSET:
            yield f"opset {entry.version}; at most {MOST_OPSET}"
    yield from (f"local function {function.name}; write out its nodes" for function in model.functions)
    yield from _strangers(model.graph, "")
    # sizes that engines work out when they load are no dynamic shapes
    resolved = onnx.shape_inference.infer_shapes(fold_constants(model), data_prop=True)
    yield from _in_scope(_scope(resolved.graph, "", target, {}, frozenset()))


def _strangers(graph: onnx.GraphProto, where: str) -> Iterator[str]:
    """Operators that are not on the list."""
    for node in graph.node:
        if node.domain not in _STANDARD:
            yield f"{where}{_name(node)}: domain {node.domain}; only standard operators"
        elif node.op_type not in OPERATORS:
            yield f"{where}{_name(node)}: not on the list of operators that every engine takes"
        for attribute in _subgraphs(node):
            yield from _strangers(attribute.g, f"{where}{_name(node)}, {attribute.name}: ")


def _in_scope(scope: _Scope) -> Iterator[str]:
    """Types, shapes and arguments."""
    graph = scope.graph
    values = {value.name: value for value in (*graph.input, *graph.output, *graph.value_info)}
    types = {name: _type(value.type) for name, value in values.items()}
    types |= {tensor.name: TensorProto.DataType.Name(tensor.data_type) for tensor in graph.initializer}
    for name, kind in types.items():
        if kind not in _TYPES_OF[scope.target]:
            yield f"{scope.where}{name}: type {kind}"
    fixed = {name for name, value in values.items() if fixed_shape(value.type) is not None} | set(scope.constants)
    unknown = set(scope.unknown)
    for value in graph.input:
        if value.name not in fixed:
            unknown.add(value.name)
            yield f"{scope.where}{value.name}: dynamic shape {_shape(value.type)}"
    for node in graph.node:
        if node.op_type in _RULES:
            yield from (f"{scope.where}{_name(node)}: {problem}" for problem in _RULES[node.op_type](node, scope))
        vague = [name for name in node.output if name and name not in fixed]
        if vague and not unknown.intersection(node.input):  # what follows from it is not said again
            yield f"{scope.where}{_name(node)}: its output has no fixed shape"
        unknown.update(vague)
        for attribute in _subgraphs(node):
            where = f"{scope.where}{_name(node)}, {attribute.name}: "
            yield from _in_scope(_scope(attribute.g, where, scope.target, scope.constants, frozenset(unknown)))


def _scope(
    graph: onnx.GraphProto,
    where: str,
    target: Target,
    around: dict[str, NDArray[np.generic]],
    unknown: frozenset[str],
) -> _Scope:
    constants = {**around, **{tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}}
    for node in graph.node:
        value = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            constants[node.output[0]] = numpy_helper.to_array(value)
    return _Scope(graph, where, target, constants, unknown)


def _subgraphs(node: onnx.NodeProto) -> list[AttributeProto]:
    return [attribute for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]


def _name(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.name or ', '.join(node.output)}"


def _type(kind: onnx.TypeProto) -> str:
    if kind.HasField("tensor_type"):
        return str(TensorProto.DataType.Name(kind.tensor_type.elem_type))
    return str(kind.WhichOneof("value"))


def _shape(kind: onnx.TypeProto) -> list[int | str]:
    sides = kind.tensor_type.shape.dim
    return [side.dim_value if side.HasField("dim_value") else side.dim_param or "?" for side in sides]


def _constant(node: onnx.NodeProto, index: int, scope: _Scope) -> NDArray[np.generic] | None:
    return scope.constants.get(node.input[index]) if len(node.input) > index else None


def _needs_constants(node: onnx.NodeProto, scope: _Scope, names: dict[int, str]) -> Iterator[str]:
    for index, name in names.items():
        if len(node.input) > index and node.input[index] and _constant(node, index, scope) is None:
            yield f"{name} is computed; it must be a constant"


def _top_k(node: onnx.NodeProto, scope: _Scope) -> Iterator[str]:
    yield from _needs_constants(node, scope, {1: "K"})
    k = _constant(node, 1, scope)
    if k is not None and int(k.item()) >= MOST_TOP_K:
        yield f"K is {k.item()}; fewer than {MOST_TOP_K}"


def _pad(node: onnx.NodeProto, scope: _Scope) -> Iterator[str]:
    yield from _needs_constants(node, scope, {1: "pads", 2: "value"})
    if len(node.input) > 3 and node.input[3]:
        yield "pads some axes; give pads for all axes"
    mode = next((attribute.s.decode() for attribute in node.attribute if attribute.name == "mode"), "constant")
    if mode == "wrap":
        yield "mode wrap"


def _slice(node: onnx.NodeProto, scope: _Scope) -> Iterator[str]:
    yield from _needs_constants(node, scope, {3: "axes", 4: "steps"})
    steps = _constant(node, 4, scope)
    if steps is not None and (steps.astype(np.int64) < 0).any():
        yield "negative step; where runtimes differ"


def _quantisation(node: onnx.NodeProto, scope: _Scope) -> Iterator[str]:
    yield from _needs_constants(node, scope, {1: "scale", 2: "zero point"})
    zero_point = _constant(node, 2, scope)
    if scope.target == "tensorrt":
        if zero_point is None or zero_point.dtype != np.int8:
            yield "not int8; without a zero point the standard means uint8"
        elif zero_point.any():
            yield f"zero point {zero_point.reshape(-1)[0]}; only 0"


def _max_pool(node: onnx.NodeProto, _: _Scope) -> Iterator[str]:
    if len(node.output) > 1:
        yield "gives indices, which TensorRT does not"


def _scatter_nd(node: onnx.NodeProto, _: _Scope) -> Iterator[str]:
    if any(attribute.name == "reduction" and attribute.s != b"none" for attribute in node.attribute):
        yield "reduces; only without reduction"


def _grid_sample(node: onnx.NodeProto, scope: _Scope) -> Iterator[str]:
    values = (*scope.graph.value_info, *scope.graph.input)
    shape = next((v.type.tensor_type.shape.dim for v in values if v.name == node.input[0]), None)
    if shape is not None and len(shape) != 4:
        yield f"input of {len(shape)} dimensions; only 4"


def _cum_sum(node: onnx.NodeProto, scope: _Scope) -> Iterator[str]:
    yield from _needs_constants(node, scope, {1: "axis"})


_RULES: dict[str, Callable[[onnx.NodeProto, _Scope], Iterator[str]]] = {
    "CumSum": _cum_sum,
    "DequantizeLinear": _quantisation,
    "GridSample": _grid_sample,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "QuantizeLinear": _quantisation,
    "ScatterND": _scatter_nd,
    "Slice": _slice,
    "TopK": _top_k,
}
