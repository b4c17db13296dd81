"""A detector's graph in small: what quantisation has to tell apart, in a dozen of nodes and without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.build.quantise import quantise_for_onnx_runtime, quantise_for_openvino
from export.runtime.bundle import INT8_GRAPH, OPENVINO_INT8_GRAPH, Bundle, open_bundle, sha256_of
from tests.disc_bundle import write_manifest

SIZE_PX = 64
CELLS = (SIZE_PX // 4) ** 2
IN_INTEGERS = ["middle", "left", "right", "head"]
IN_FLOAT = ["first", "gate", "made", "distances"]


def small_network() -> onnx.ModelProto:
    """Output (1, 6, cells): four sides as shares of distances weighed, two scores.

    A first convolution, one in the middle behind whose SiLU the channels are split; two with one weight between them,
    one of which gates the other; a gate; a convolution with a kernel made from the image; a head; the decoding of
    distances.
    """
    random = np.random.default_rng(0)

    def weight(*shape: int) -> NDArray[np.float32]:
        drawn = random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        return np.asarray(drawn, dtype=np.float32)

    constants: dict[str, NDArray[Any]] = {
        "w_first": weight(8, 3, 4, 4),
        "w_middle": weight(16, 8, 3, 3).astype(np.float16),
        "bias": weight(16),
        "w_shared": weight(8, 8, 3, 3),
        "w_gate": weight(16, 16, 1, 1),
        "w_head": weight(4 * 4 + 2, 16, 1, 1),
        "w_distances": np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1),
        "eight": np.array([8, 8]),
        "sides": np.array([16, 2]),
        "kernel": np.array([16, 1, 1, 1]),
        "shares": np.array([1, 4, 4, CELLS]),
        "boxes": np.array([1, 4, CELLS]),
        "scores": np.array([1, 2, CELLS]),
    }
    silu = [("Sigmoid", "{0}", "{0}_gate"), ("Mul", "{0} {0}_gate", "{0}_silu")]
    nodes = [
        helper.make_node("Cast", ["w_middle"], ["w_middle_float"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Conv", ["images", "w_first"], ["first"], "first", strides=[4, 4]),
        *[helper.make_node(op, i.format("first").split(), [o.format("first")], o.format("first")) for op, i, o in silu],
        helper.make_node("Conv", ["first_silu", "w_middle_float", "bias"], ["middle"], "middle", pads=[1] * 4),
        *[
            helper.make_node(op, i.format("middle").split(), [o.format("middle")], o.format("middle"))
            for op, i, o in silu
        ],
        helper.make_node("Split", ["middle_silu", "eight"], ["a", "b"], "split", axis=1),
        helper.make_node("Conv", ["a", "w_shared"], ["left"], "left", pads=[1] * 4),
        helper.make_node("Conv", ["b", "w_shared"], ["right"], "right", pads=[1] * 4),
        helper.make_node("Sigmoid", ["left"], ["other"], "other"),
        helper.make_node("Mul", ["right", "other"], ["attended"], "attended"),
        helper.make_node("Concat", ["left", "attended"], ["both"], "concat", axis=1),
        helper.make_node("ReduceMean", ["both"], ["mean"], "mean", axes=[2, 3]),
        helper.make_node("Conv", ["mean", "w_gate"], ["gate"], "gate"),
        helper.make_node("Sigmoid", ["gate"], ["open"], "open"),
        helper.make_node("Mul", ["both", "open"], ["gated"], "gated"),
        helper.make_node("Reshape", ["open", "kernel"], ["made_kernel"], "made_kernel"),
        helper.make_node("Conv", ["gated", "made_kernel"], ["made"], "made", group=16),
        helper.make_node("Conv", ["made", "w_head"], ["head"], "head"),
        helper.make_node("Split", ["head", "sides"], ["sides_of", "scores_of"], "halves", axis=1),
        helper.make_node("Reshape", ["sides_of", "shares"], ["by_side"], "by_side"),
        helper.make_node("Transpose", ["by_side"], ["by_distance"], "by_distance", perm=[0, 2, 1, 3]),
        helper.make_node("Softmax", ["by_distance"], ["share"], "share", axis=1),
        helper.make_node("Conv", ["share", "w_distances"], ["distances"], "distances"),
        helper.make_node("Reshape", ["distances", "boxes"], ["box"], "box"),
        helper.make_node("Reshape", ["scores_of", "scores"], ["logit"], "logit"),
        helper.make_node("Sigmoid", ["logit"], ["score"], "score"),
        helper.make_node("Concat", ["box", "score"], ["output"], "output", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE_PX, SIZE_PX])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 6, CELLS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="pomona")
    helper.set_model_props(model, {"task": "detect"})
    onnx.checker.check_model(model, full_check=True)
    return model


def images(count: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Random images (1, 3, size, size) in 0–1, brighter and darker ones."""
    random = np.random.default_rng(seed)
    return [(random.random((1, 3, SIZE_PX, SIZE_PX)) * random.uniform(0.3, 1)).astype(np.float32) for _ in range(count)]


def write_bundle(folder: Path, **changes: object) -> Bundle:
    """Write the manifest for all graphs in a folder.

    Args:
        folder: holds ``model.onnx`` and perhaps its forms in integers.
        changes: fields of the manifest that shall differ.
    """
    files = {path.name: sha256_of(path) for path in folder.glob("*.onnx")}
    image = {"name": "images", "size_px": SIZE_PX, "colour_order": "RGB", "scale": 1 / 255, "padding": 114}
    tiling = {"overlap_px": 16, "match_threshold": 0.5, "longest_side_px": 1280}
    write_manifest(folder, **{"input": image, "tiling": tiling, "files": files, **changes})
    return open_bundle(folder)


def write_integer_bundle(folder: Path, *, openvino: bool = False) -> Bundle:
    """The small network as a bundle that runs in integers where nobody says otherwise."""
    graph = folder / "model.onnx"
    onnx.save(small_network(), graph)
    quantise_for_onnx_runtime(graph, images(8), folder / INT8_GRAPH)
    if openvino:
        quantise_for_openvino(graph, images(8), folder / OPENVINO_INT8_GRAPH)
    return write_bundle(folder, precision="int8")
