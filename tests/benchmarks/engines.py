"""Time of one tile on ONNX Runtime and OpenVINO, in float32 and in integers, as shares of ONNX Runtime's in float32.

    python -m tests.benchmarks.engines [--graph FILE] [--threads N] [--rounds N] [--tiles N]

Without --graph it is that of the bundle that comes with Pomona. The graphs in integers are made of it first, calibrated
on drawn trees: times do not depend on what a network has learnt. Each side runs in a process of its own, the sides take
turns, and a share is of two processes that ran one after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.virtual_orchard import OrchardSettings, draw_orchard
from export.runtime.bundle import INT8_GRAPH, OPENVINO_INT8_GRAPH, Bundle, GraphPrecision, open_bundle, sha256_of
from export.runtime.engines import Engine
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.engines.openvino import OpenVinoEngine, OpenVinoSettings
from export.runtime.manifest import MANIFEST
from export.runtime.photos import find_photos, read_photo
from export.runtime.tiling import lay_tiles

_CALIBRATION_TILES = 8


def _onnx_runtime(precision: GraphPrecision) -> Callable[[Bundle, int], Engine]:
    return lambda bundle, threads: OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads, precision))


def _openvino(precision: GraphPrecision) -> Callable[[Bundle, int], Engine]:
    return lambda bundle, threads: OpenVinoEngine(bundle, OpenVinoSettings(threads, precision))


SIDES: dict[str, Callable[[Bundle, int], Engine]] = {
    "onnxruntime float32": _onnx_runtime("float32"),
    "onnxruntime int8": _onnx_runtime("int8"),
    "openvino float32": _openvino("float32"),
    "openvino int8": _openvino("int8"),
}


def _tiles(photos: Path, size_px: int, count: int) -> list[NDArray[np.float32]]:
    """Tiles (1, 3, size, size) in 0–1 from the middle of each photo on."""
    tiles = []
    for path in find_photos([photos]):
        photo = read_photo(path)
        laid = lay_tiles(photo.width, photo.height, size_px, size_px // 5)
        for tile in laid[len(laid) // 2 :]:
            planes = np.ascontiguousarray(tile.cut(photo.pixels, 114).transpose(2, 0, 1)[None])
            tiles.append(planes * np.float32(1 / 255))
    return tiles[:count]


def make_bundle(graph: Path, photos: Path, folder: Path) -> None:
    """Write a bundle with all forms of a graph; its manifest is the shipped one's but for the files."""
    from export.build.quantise import quantise_for_onnx_runtime, quantise_for_openvino  # noqa: PLC0415  (here only)

    shipped = open_bundle()
    tiles = _tiles(photos, shipped.manifest.input.size_px, _CALIBRATION_TILES)
    (folder / "model.onnx").write_bytes(graph.read_bytes())
    quantise_for_onnx_runtime(graph, tiles, folder / INT8_GRAPH)
    quantise_for_openvino(graph, tiles, folder / OPENVINO_INT8_GRAPH)
    files = {path.name: sha256_of(path) for path in folder.glob("*.onnx")}
    manifest = shipped.manifest.model_copy(update={"files": files})
    (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")


def work(side: str, bundle: Bundle, photos: Path, tiles: int, threads: int) -> None:
    """Print a side's times of a tile in ms, as JSON; the engine has run once when it is made.

    As many tiles are under way as the engine computes at once, as when a photo is counted.
    """
    engine = SIDES[side](bundle, threads)
    cut = _tiles(photos, bundle.manifest.input.size_px, tiles)
    times = []
    with ThreadPoolExecutor(engine.at_once) as pool:
        for first in range(0, len(cut), engine.at_once):
            together = cut[first : first + engine.at_once]
            started = time.perf_counter()
            list(pool.map(engine.infer, together))
            times.append((time.perf_counter() - started) * 1000 / len(together))
    print(json.dumps({"engine": engine.name, "ms": times}))


def compare(bundle: Path, photos: Path, arguments: argparse.Namespace) -> None:
    """Let the sides take turns and print each one's time of a tile and its share of the first side's."""
    medians: dict[str, list[float]] = {side: [] for side in SIDES}
    fastest: dict[str, float] = {}
    names: dict[str, str] = {}
    for number in range(arguments.rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            options = ["--side", side, "--bundle", bundle, "--photos", photos]
            options += ["--tiles", arguments.tiles, "--threads", arguments.threads]
            command = [sys.executable, "-m", "tests.benchmarks.engines", *map(str, options)]
            said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            names[side] = said["engine"]
            medians[side].append(statistics.median(said["ms"]))
            fastest[side] = min(fastest.get(side, float("inf")), *said["ms"])
    first = next(iter(SIDES))
    print(f"{'':30} {'ms a tile':>9} {'fastest':>8} {'share':>6} {'of fastest':>11}")
    for side, own in medians.items():
        share = statistics.median(a / b for a, b in zip(own, medians[first], strict=True))
        # a machine shared with others only ever adds time
        of_fastest = fastest[side] / fastest[first]
        print(f"{names[side]:30} {statistics.median(own):9.1f} {fastest[side]:8.1f} {share:6.2f} {of_fastest:11.2f}")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", type=Path, default=open_bundle().model, help="float32 graph; input as the bundle's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=12)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--bundle", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--photos", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        work(arguments.side, open_bundle(arguments.bundle), arguments.photos, arguments.tiles, arguments.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        photos, bundle = Path(folder) / "photos", Path(folder) / "bundle"
        bundle.mkdir()
        draw_orchard(OrchardSettings(trees=4), Path(folder))
        make_bundle(arguments.graph, photos, bundle)
        compare(bundle, photos, arguments)


if __name__ == "__main__":
    main()
