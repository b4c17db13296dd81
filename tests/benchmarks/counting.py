"""Time to count one photo, beside ultralytics' own ``predict`` on the same ONNX file with the same tiles.

    python -m tests.benchmarks.counting [--photos FOLDER] [--rounds N]

Both start from decoded pixels and end with boxes above the same score. Each side runs in a process of its own, so that
neither's libraries disturb the other, and the sides take turns. Without --photos it draws trees of 2688 x 1664 px.
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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.virtual_orchard import OrchardSettings, draw_orchard
from export.runtime.bundle import Bundle, open_bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.photos import Photo, find_photos, read_photo
from export.runtime.tiling import lay_tiles

THREADS = 2
SIDES = ("pomona", "ultralytics")


def _pomona(bundle: Bundle) -> Callable[[Photo], int]:
    counter = Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(THREADS)))
    return lambda photo: len(counter.count(photo).detections)


def _ultralytics(bundle: Bundle) -> Callable[[Photo], int]:
    import torch  # noqa: PLC0415  (this side's process only)
    from ultralytics import YOLO  # noqa: PLC0415

    import models.detection  # noqa: F401, PLC0415  (mends torchvision where it needs mending)

    torch.set_num_threads(THREADS)
    manifest = bundle.manifest
    model = YOLO(str(bundle.model), task="detect")

    def tiles_of(photo: Photo) -> list[NDArray[np.uint8]]:
        tiles = lay_tiles(photo.width, photo.height, manifest.input.size_px, manifest.tiling.overlap_px)
        return [np.ascontiguousarray(tile.cut(photo.pixels, manifest.input.padding)[..., ::-1]) for tile in tiles]

    def count(photo: Photo) -> int:
        found = 0
        for tile in tiles_of(photo):
            (result,) = model.predict(
                tile,
                imgsz=manifest.input.size_px,
                conf=min(manifest.thresholds()),
                iou=manifest.suppression.iou_threshold,
                device="cpu",
                verbose=False,
            )
            found += len(result.boxes)
        return found

    return count


def work(side: str, bundle: Bundle, photos: list[Path]) -> None:
    """Time one side, a line of JSON for each photo; the first photo is run once more before, unmeasured."""
    count = _pomona(bundle) if side == "pomona" else _ultralytics(bundle)
    decoded = [read_photo(path) for path in photos]
    count(decoded[0])
    for path, photo in zip(photos, decoded, strict=True):
        started = time.perf_counter()
        found = count(photo)
        print(
            json.dumps({"photo": path.name, "ms": (time.perf_counter() - started) * 1000, "boxes": found}), flush=True
        )


def _run(side: str, bundle: Path, photos: list[Path]) -> list[float]:
    command = [sys.executable, "-m", "tests.benchmarks.counting", "--side", side, "--bundle", str(bundle)]
    done = subprocess.run([*command, *map(str, photos)], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return [json.loads(line)["ms"] for line in lines]


def compare(bundle: Path, photos: list[Path], rounds: int) -> None:
    """Let the sides take turns and print the times with their ratio, photo by photo."""
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            times[side] += _run(side, bundle, photos)
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
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("named", nargs="*", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        work(arguments.side, open_bundle(arguments.bundle), arguments.named)
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.photos is None:
            draw_orchard(OrchardSettings(trees=4), Path(folder))
        compare(arguments.bundle, list(find_photos([arguments.photos or Path(folder) / "photos"])), arguments.rounds)


if __name__ == "__main__":
    main()
