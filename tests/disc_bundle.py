"""A bundle that counts drawn discs exactly: a real ONNX graph of a few layers, fast and without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.runtime.bundle import Bundle, open_bundle, sha256_of
from tests.drawing import RADIUS_PX

LABELS = ("apple", "apple_flower")
TILE_PX, OVERLAP_PX, LONGEST_SIDE_PX = 320, 64, 1280
_CELL_PX = 4
_CELLS = TILE_PX // _CELL_PX


def make_disc_bundle(folder: Path, version: str = "1.0.0", **changes: object) -> Bundle:
    """Write the bundle into a folder.

    Args:
        folder: where to; made where missing.
        version: version of the bundle.
        changes: fields of the manifest that shall differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_graph(version), folder / "model.onnx")
    write_manifest(folder, version=version, **changes)
    return open_bundle(folder)


def write_manifest(folder: Path, **changes: object) -> None:
    """Write the manifest of the graph in a folder."""
    (folder / "manifest.json").write_text(json.dumps({**_manifest(folder), **changes}), encoding="utf-8")


def _manifest(folder: Path) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": "discs",
        "version": "1.0.0",
        "task": "detection",
        "crop": "apple",
        "region": "nowhere",
        "target": "drawn discs",
        "unit": "objects per photo",
        "labels": LABELS,
        "input": {"name": "images", "size_px": TILE_PX, "colour_order": "RGB", "scale": 1 / 255, "padding": 114},
        "tiling": {"overlap_px": OVERLAP_PX, "match_threshold": 0.5, "longest_side_px": LONGEST_SIDE_PX},
        "suppression": {"iou_threshold": 0.6, "most_candidates": 1000},
        "counting": {label: {"threshold": 0.6} for label in LABELS},
        "metrics": [],
        "parity_px": 0.0,
        "smallest_runtime": "1.18",
        "training_commit": "none",
        "training_data": "none",
        "licence": "AGPL-3.0-or-later",
        "attribution": [],
        "files": {"model.onnx": sha256_of(folder / "model.onnx")},
    }


def _graph(version: str) -> onnx.ModelProto:
    """Redness and blueness of cells, the share of a disc they cover around each cell, and where that share peaks."""
    radius = RADIUS_PX / _CELL_PX
    reach = round(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (x**2 + y**2 <= radius**2).astype(np.float32)
    window = {"kernel_shape": disc.shape, "pads": [reach] * 4}
    constants = {
        "colours": np.array([[1, -1, 0], [0, -1, 1]], np.float32).reshape(2, 3, 1, 1),
        "least": np.float32(0.3),
        "disc": np.stack([disc[None] / disc.sum()] * 2),
        "shape": np.array([1, 2, _CELLS**2], np.int64),
        "boxes": _boxes(),
    }
    nodes = [
        helper.make_node("Conv", ["images", "colours"], ["coloured"]),
        helper.make_node("AveragePool", ["coloured"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Greater", ["cells", "least"], ["is_disc"]),
        helper.make_node("Cast", ["is_disc"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["mask", "disc"], ["share"], group=2, **window),
        helper.make_node("MaxPool", ["share"], ["highest"], **window),
        helper.make_node("Equal", ["share", "highest"], ["is_peak"]),
        helper.make_node("Cast", ["is_peak"], ["peak"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["share", "peak"], ["score"]),
        helper.make_node("Reshape", ["score", "shape"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        f"discs {version}",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, TILE_PX, TILE_PX])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 6, _CELLS**2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _boxes() -> NDArray[np.float32]:
    y, x = np.mgrid[0:_CELLS, 0:_CELLS].astype(np.float32) * _CELL_PX + _CELL_PX / 2
    side = np.full_like(x, 2 * RADIUS_PX)
    return np.stack([x, y, side, side]).reshape(1, 4, -1)
