"""Working out beforehand what a graph would compute the same way for every image.

Exporters write sizes as chains of Shape, Gather and arithmetic. Engines resolve them when they load; whoever reads the
graph without an engine needs them resolved too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, numpy_helper
from onnx.reference import ReferenceEvaluator

_MOST_SIZES = 64


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose constants are initializers and whose nodes all depend on the image.

    Also folds the casts behind which weights are stored in half precision. Subgraphs are left as they are.

    Args:
        model: a graph whose inputs have fixed shapes; what hangs on an unknown shape stays.
    """
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph = folded.graph
    kept = _Folder(folded).run()
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept.nodes)
    used = set(_names_used(graph)) | {output.name for output in graph.output}
    for name, value in kept.constants.items():
        if name in used:
            graph.initializer.append(numpy_helper.from_array(value, name))
    return folded


class _Folder:
    """One walk over the nodes, which every graph lists in the order in which they run.

    Attributes:
        nodes: what has to run.
        constants: values of what has not.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._opsets = list(model.opset_import)
        self._versions = {entry.domain: entry.version for entry in model.opset_import}
        self._types = {value.name: value.type for value in model.graph.input}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[np.generic]] = {}

    def run(self) -> _Folder:
        for tensor in self._model.graph.initializer:
            self._know(tensor.name, numpy_helper.to_array(tensor))
        for node in self._model.graph.node:
            values = self._values(node)
            if values is None:
                self.nodes.append(node)
                self._infer(node)
            else:
                for name, value in zip(node.output, values, strict=True):
                    self._know(name, np.asarray(value))
        return self

    def _know(self, name: str, value: NDArray[np.generic]) -> None:
        self.constants[name] = value
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        self._types[name] = onnx.helper.make_tensor_type_proto(kind, value.shape)

    def _values(self, node: onnx.NodeProto) -> list[NDArray[np.generic]] | None:
        """What a node gives; None where that takes an image, or where it is better left alone."""
        if node.domain not in ("", "ai.onnx") or _subgraphs(node) or "Linear" in node.op_type:
            return None
        feeds = {name: self.constants[name] for name in node.input if name in self.constants}
        if node.op_type == "Shape" and (shape := fixed_shape(self._types.get(node.input[0]))) is not None:
            feeds = {node.input[0]: np.broadcast_to(np.float32(0), shape)}  # of a tensor only its shape counts
        if any(name and name not in feeds for name in node.input):
            return None
        return list(ReferenceEvaluator(node, opsets=self._versions).run(None, feeds))

    def _infer(self, node: onnx.NodeProto) -> None:
        if _subgraphs(node) or not onnx.defs.has(node.op_type, node.domain):
            return
        schema = onnx.defs.get_schema(node.op_type, self._versions.get(node.domain, 1), node.domain)
        types = {name: self._types[name] for name in node.input if name in self._types}
        # sizes and axes; of a weight, its type says all that the shape of the output needs
        data = {
            name: numpy_helper.from_array(self.constants[name], name)
            for name in node.input
            if name in self.constants and self.constants[name].size < _MOST_SIZES
        }
        try:
            self._types.update(
                onnx.shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=self._opsets)
            )
        except onnx.shape_inference.InferenceError:
            return  # an input's type is unknown, so this one's is too


def fixed_shape(kind: onnx.TypeProto | None) -> tuple[int, ...] | None:
    """Sides of a tensor; None where one is not known before the graph runs."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    sides = kind.tensor_type.shape.dim
    return tuple(side.dim_value for side in sides) if all(side.HasField("dim_value") for side in sides) else None


def _subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]


def _names_used(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from node.input
        for inner in _subgraphs(node):
            yield from _names_used(inner)
            yield from (output.name for output in inner.output)
