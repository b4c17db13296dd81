"""Start-up time and peak memory of `pomona count`, beside ultralytics' own command on the same ONNX file and photo.

    python -m tests.benchmarks.starting [--photo FILE] [--rounds N]

Whole processes, taking turns. The start of `pomona count` is what its process takes beyond the time it reports for the
photo: interpreter, imports, opening and checking the bundle, warming up the engine, decoding, printing. Without --photo
it draws a tree of 2688 x 1664 px. ultralytics squeezes the photo onto one input of 640 px, where Pomona looks at all of
its tiles, so only start and memory are compared. The last line is the largest photo accepted, 50 megapixels.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from device.virtual_orchard import OrchardSettings, draw_orchard
from export.runtime.bundle import Bundle, open_bundle

_PREDICT = """
import models.detection  # mends torchvision where it needs mending
from ultralytics import YOLO
(result,) = YOLO({model!r}, task="detect").predict({photo!r}, imgsz=640, device="cpu", verbose=False)
print(sum(result.speed.values()))
"""


@dataclass(frozen=True)
class _Run:
    start_s: float
    peak_mb: float


def _pomona(photo: Path, bundle: Bundle) -> _Run:
    command = [sys.executable, "-m", "pomona", "count", str(photo), "--json", "--bundle", str(bundle.folder)]
    return _run(command, lambda said: float(json.loads(said)["milliseconds"]))


def _ultralytics(photo: Path, bundle: Bundle) -> _Run:
    code = _PREDICT.format(model=str(bundle.model), photo=str(photo))
    return _run([sys.executable, "-c", code], lambda said: float(said.splitlines()[-1]))


def _run(command: list[str], milliseconds_of: Callable[[str], float]) -> _Run:
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - started
        output.seek(0)
        said = output.read()
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return _Run(took - milliseconds_of(said) / 1000, usage.ru_maxrss / 1024)


def _enlarge(photo: Path, target: Path) -> Path:
    with Image.open(photo) as image:
        factor = (50e6 / (image.width * image.height)) ** 0.5
        image.resize((int(image.width * factor), int(image.height * factor))).save(target, quality=90)
    return target


def _show(name: str, runs: list[_Run]) -> None:
    starts, peaks = [run.start_s for run in runs], [run.peak_mb for run in runs]
    print(
        f"{name:22} start {statistics.median(starts):5.2f} s ({min(starts):.2f} to {max(starts):.2f}), "
        f"peak {statistics.median(peaks):5.0f} MB ({min(peaks):.0f} to {max(peaks):.0f})"
    )


def compare(bundle: Bundle, photo: Path, rounds: int, scratch: Path) -> None:
    """Let both sides take turns and print starts and peaks with their ratios."""
    own, other = [], []
    for _ in range(rounds):
        own.append(_pomona(photo, bundle))
        other.append(_ultralytics(photo, bundle))
    _show("pomona", own)
    _show("ultralytics", other)
    start = statistics.median(a.start_s / b.start_s for a, b in zip(own, other, strict=True))
    peak = statistics.median(a.peak_mb / b.peak_mb for a, b in zip(own, other, strict=True))
    print(f"{'ratio':22} start {start:5.2f},  peak {peak:.2f}, {rounds} pairs")
    _show("pomona, 50 megapixels", [_pomona(_enlarge(photo, scratch / "large.jpg"), bundle)])


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bundle", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = arguments.photo
        if photo is None:
            draw_orchard(OrchardSettings(trees=1), Path(folder))
            (photo,) = (Path(folder) / "photos").rglob("*.jpg")
        compare(open_bundle(arguments.bundle), photo, arguments.rounds, Path(folder))


if __name__ == "__main__":
    main()
