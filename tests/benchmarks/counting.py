"""Time from a JPEG on the disk to its count, beside ultralytics' own ``predict`` with YOLO11n.

    python -m tests.benchmarks.counting [--photos FOLDER] [--peer CHECKPOINT] [--peer-side-px N] [--rounds N]

Each side looks at the photos in the way that suits it: the bundle as its manifest says, YOLO11n in tiles of the same
size at ``--peer-side-px`` (without it, the bundle's own), exported to ONNX by ultralytics itself. Each side runs in a
process of its own, so that neither's libraries disturb the other, and the sides take turns. Without --peer YOLO11n has
the weights it is born with, which are as fast; without --photos it draws trees of 2688 x 1664 px.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.virtual_orchard import OrchardSettings, draw_orchard
from export.runtime.bundle import Bundle, open_bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.photos import find_photos, read_photo
from export.runtime.tiling import lay_tiles

THREADS = 2
SIDES = ("pomona", "ultralytics")


@dataclass(frozen=True)
class Contest:
    """What is compared.

    Attributes:
        bundle: what Pomona counts with.
        peer: ONNX file that ultralytics counts with.
        peer_side_px: longer side to which ultralytics' photos are scaled.
    """

    bundle: Path
    peer: Path
    peer_side_px: int


def _pomona(contest: Contest, bundle: Bundle) -> Callable[[Path], int]:
    counter = Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(THREADS)))
    return lambda path: len(counter.count(read_photo(path, counter.least_side_px)).detections)


def _ultralytics(contest: Contest, bundle: Bundle) -> Callable[[Path], int]:
    import cv2  # noqa: PLC0415  (this side's process only)
    import torch  # noqa: PLC0415
    from ultralytics import YOLO  # noqa: PLC0415

    import models.detection  # noqa: F401, PLC0415  (mends torchvision where it needs mending)

    torch.set_num_threads(THREADS)
    manifest = bundle.manifest
    size, overlap = manifest.input.size_px, manifest.tiling.overlap_px
    model = YOLO(str(contest.peer), task="detect")

    def count(path: Path) -> int:
        half = contest.peer_side_px <= 1344  # of the photos' 2688: decoding at a half is this library's fast way too
        read: Any = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR)
        pixels: NDArray[np.uint8] = read
        factor = contest.peer_side_px / max(pixels.shape)
        if factor < 1:
            shrunk = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            pixels = shrunk.astype(np.uint8, copy=False)
        height, width = pixels.shape[:2]
        found = 0
        for tile in lay_tiles(width, height, size, overlap):
            (result,) = model.predict(
                tile.cut(pixels, manifest.input.padding),
                imgsz=size,
                conf=min(manifest.thresholds()),
                iou=manifest.suppression.iou_threshold,
                device="cpu",
                verbose=False,
            )
            found += len(result.boxes)
        return found

    return count


def _export_peer(checkpoint: Path | None, size_px: int, folder: Path) -> Path:
    """YOLO11n as ultralytics exports it to ONNX."""
    from ultralytics import YOLO  # noqa: PLC0415

    import models.detection  # noqa: F401, PLC0415
    from models.detection.start_weights import load_detector  # noqa: PLC0415
    from models.detection.yolo_a import YoloA, quiet  # noqa: PLC0415

    with quiet():
        wrapped = YOLO("yolo11n.yaml", task="detect")
        peer = YoloA(2, parts=()) if checkpoint is None else load_detector(checkpoint)[0]
        peer.args, peer.task, peer.pt_path = wrapped.model.args, "detect", str(folder / "yolo11n.pt")
        wrapped.model = peer
        return Path(wrapped.export(format="onnx", imgsz=size_px, simplify=False, opset=17, verbose=False))


def work(side: str, contest: Contest, photos: list[Path]) -> None:
    """Time one side, a line of JSON for each photo; the first photo is run once more before, unmeasured."""
    bundle = open_bundle(contest.bundle)
    count = (_pomona if side == "pomona" else _ultralytics)(contest, bundle)
    count(photos[0])
    for path in photos:
        started = time.perf_counter()
        found = count(path)
        print(
            json.dumps({"photo": path.name, "ms": (time.perf_counter() - started) * 1000, "boxes": found}), flush=True
        )


def _run(side: str, contest: Contest, photos: list[Path]) -> list[float]:
    command = [sys.executable, "-m", "tests.benchmarks.counting", "--side", side, "--bundle", str(contest.bundle)]
    command += ["--peer", str(contest.peer), "--peer-side-px", str(contest.peer_side_px)]
    done = subprocess.run([*command, *map(str, photos)], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return [json.loads(line)["ms"] for line in lines]


def compare(contest: Contest, photos: list[Path], rounds: int) -> None:
    """Let the sides take turns and print the times with their ratio, photo by photo."""
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            times[side] += _run(side, contest, photos)
    ratios = [own / other for own, other in zip(times["pomona"], times["ultralytics"], strict=True)]
    fastest = {side: sum(min(own[i :: len(photos)]) for i in range(len(photos))) for side, own in times.items()}
    for side, own in times.items():
        print(f"{side:12} {statistics.median(own):7.0f} ms a photo ({min(own):.0f} to {max(own):.0f})")
    print(
        f"ratio        {statistics.median(ratios):7.2f} ({min(ratios):.2f} to {max(ratios):.2f}), {len(ratios)} pairs"
    )
    # a machine shared with others only ever adds time
    print(f"ratio        {fastest['pomona'] / fastest['ultralytics']:7.2f} of each photo's fastest times")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bundle", type=Path, default=open_bundle().folder)
    parser.add_argument("--peer", type=Path, help="checkpoint of YOLO11n")
    parser.add_argument("--peer-side-px", type=int, help="longer side of the photos YOLO11n sees")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("named", nargs="*", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    manifest = open_bundle(arguments.bundle).manifest
    side_px = arguments.peer_side_px or manifest.tiling.longest_side_px
    if arguments.side:
        work(arguments.side, Contest(arguments.bundle, arguments.peer, side_px), arguments.named)
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.photos is None:
            draw_orchard(OrchardSettings(trees=4), Path(folder))
        photos = list(find_photos([arguments.photos or Path(folder) / "photos"]))
        peer = _export_peer(arguments.peer, manifest.input.size_px, Path(folder))
        compare(Contest(arguments.bundle, peer, side_px), photos, arguments.rounds)


if __name__ == "__main__":
    main()
