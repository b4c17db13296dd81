"""How fast pixels are classified: as Pomona maps them, and in a loop as one would write it with PyTorch.

    POMONA_DATA=data python -m tests.benchmarks.crop_mapping

The weighted LSTM's network, trained for a moment on real points so that its answers are real ones too, classifies the
others of these points. Writes docs/results/crop-mapping.md; some minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from torch.utils.data import DataLoader, TensorDataset

from models.crops.importers import mctnet_joint
from models.crops.mapping import classify, map_crops
from models.crops.onnx_file import Eats, ask, ask_quickly, export, open_int8, open_session
from models.crops.pixel_networks import FitSettings, Scales, fit
from models.crops.series import FloatArray, PixelSeries
from models.crops.stacked_lstm import StackedLSTM
from models.crops.training import TrainingSettings
from models.maps.runs import Work

OUT = Path("docs/results/crop-mapping.md")
BATCHES = (64, 256, 1024)
INT8, FLOAT32 = "`pomona map crops --int8`", "`pomona map crops`"
_TRAINED = 3_000
_TILE_PX = 10_980
_BAR = 5.0
_MEMORY_MB = 512
Sides = Mapping[str, tuple[Callable[[], object], int]]

HEAD = """# How fast crops are mapped: what was measured

Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.crop_mapping
```

The weighted LSTM (12 months, ten bands, 16 classes) is trained for a moment on 3,000 points of `mctnet_us_s2` and
classifies the others. The peer is what one writes first: batches from a `DataLoader` over a `TensorDataset`, the
network in evaluation mode under `torch.no_grad()`, softmax, the largest class. Both sides take turns in one process;
a ratio is of two runs that followed one another.

`pomona map crops` asks ONNX Runtime, 256 pixels at a time, a thread each. With `--int8` the matrix products of the LSTM
are in 8-bit integers, and pixels whose two best classes are closer than 0.05 are asked again in float32.
"""


def _trained(points: PixelSeries, folder: Path) -> tuple[StackedLSTM, Path]:
    """A network of a minute's training, and its ONNX file."""
    torch.manual_seed(0)
    network = StackedLSTM(Scales.of(points), points.classes)
    loop = TrainingSettings(12, 3e-3, "adamw", 1e-3, schedule="once", patience=0)
    fit(network, points, None, FitSettings(loop, batch=128), seed=0)
    export(network, Eats(points.bands, points.steps, points.legend), folder / "model.onnx")
    return network, folder / "model.onnx"


def _loop(network: StackedLSTM, series: torch.Tensor, batch: int) -> None:
    """What one writes first: batches from a loader, the network, softmax, the largest."""
    with torch.no_grad():
        for (part,) in DataLoader(TensorDataset(series), batch_size=batch):
            torch.softmax(network(part), 1).max(1)


def _window(series: FloatArray, side: int) -> FloatArray:
    """(steps · bands, side, side) of real series, again from the first where there are too few."""
    chosen = series[np.arange(side * side) % len(series)]
    return np.ascontiguousarray(chosen.reshape(side * side, -1).T).reshape(-1, side, side)


@dataclass(frozen=True)
class Timed:
    """One side with so many threads.

    Attributes:
        threads: how many.
        us: microseconds a pixel, the fastest round.
        ratios: by round, its time over that of int8.
    """

    threads: int
    us: float
    ratios: Sequence[float]


def _timed(network: StackedLSTM, model: Path, series: FloatArray, rounds: int, threads: int) -> dict[str, Timed]:
    torch.set_num_threads(threads)
    session, int8 = open_session(model, 1), open_int8(model, 1)
    few, window = torch.as_tensor(series[:2048]), _window(series, 64)
    pixels = window.shape[1] * window.shape[2]
    sides: Sides = {
        INT8: (lambda: classify(session, window, threads, int8), pixels),
        FLOAT32: (lambda: classify(session, window, threads), pixels),
        **{f"PyTorch, batches of {b}": (lambda b=b: _loop(network, few, b), len(few)) for b in BATCHES},  # type: ignore[misc]
    }
    each: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, (work, number) in sides.items():
            began = time.perf_counter()
            work()
            if turn:  # the first warms up
                each[name].append(1e6 * (time.perf_counter() - began) / number)
    return {
        name: Timed(threads, min(taken), [one / ours for one, ours in zip(taken, each[INT8], strict=True)])
        for name, taken in each.items()
    }


def _whole_map(model: Path, points: PixelSeries, folder: Path, side: int) -> float:
    """Seconds a pixel of ``pomona map crops --int8`` from files to files."""
    window = _window(points.values, side).reshape(len(points.steps), len(points.bands), side, side)
    (folder / "composites").mkdir()
    for step, image in zip(points.steps, window, strict=True):
        with rasterio.open(
            folder / "composites" / f"2021-{step}.tif", "w", driver="GTiff", width=side, height=side,
            count=len(points.bands), dtype="float32", crs="EPSG:32615", transform=from_origin(6e5, 4e6, 10, 10),
            nodata=np.nan,
        ) as raster:  # fmt: skip
            raster.write(image)
            raster.descriptions = points.bands
    began = time.perf_counter()
    map_crops(model, folder / "composites", folder / "map", Work(_MEMORY_MB, threads=2), int8=True)
    return (time.perf_counter() - began) / side**2


def _agreement(model: Path, held_out: PixelSeries) -> list[str]:
    session, int8 = open_session(model, 1), open_int8(model, 1)
    full, alone, both = (
        ask(session, held_out.values),
        ask(int8, held_out.values),
        ask_quickly(session, int8, held_out.values),
    )

    def row(name: str, found: FloatArray) -> str:
        right = (found.argmax(1) == held_out.label).mean()
        same = (found.argmax(1) == full.argmax(1)).mean()
        near = (np.abs(np.round(100 * found.max(1)) - np.round(100 * full.max(1))) <= 1).mean()
        worst = np.abs(found - full).max()
        return f"| {name} | {right:.4f} | {100 * same:.2f} % | {100 * near:.2f} % | {worst:.3f} |"

    return [
        "## What integers lose\n",
        f"On the {len(held_out):,} points that the network was not trained on.\n",
        (
            "| | overall accuracy | class as in float32 | confidence within 1 point of 100 | largest difference of a "
            "probability |"
        ),
        "| --- | ---: | ---: | ---: | ---: |",
        row("float32", full),
        row("int8 alone", alone),
        row("int8, close calls in float32 (`--int8`)", both),
        "",
    ]


def _verdict(timed: Mapping[int, Mapping[str, Timed]], *, busy: bool) -> str:
    least = {
        threads: min(median(sides[f"PyTorch, batches of {batch}"].ratios) for batch in BATCHES[1:])
        for threads, sides in timed.items()
    }
    told = " and ".join(f"{least[threads]:.1f} times with {name}" for threads, name in ((1, "one"), (2, "two")))
    if least[2] < _BAR:
        met = "**Not met.**"
    elif busy and least[1] < _BAR:
        met = "**Not shown**: met with two threads, not with one, and other work kept the machine busy."
    else:
        met = "**Met.**"
    return (
        f"Wanted: {_BAR:g} times as fast as the peer on two cores, at its better batch size of 256 and 1,024. {met} "
        f"Measured: {told} on each side.\n"
    )


def _page(
    timed: Mapping[int, Mapping[str, Timed]], agreement: Sequence[str], a_pixel_s: float, load: float
) -> list[str]:
    cores = os.cpu_count() or 1
    lines = [
        HEAD,
        "## Microseconds a pixel\n",
        _verdict(timed, busy=load > cores),
        (
            f"{load:.1f} processes wanted the machine's {cores} cores as this began. "
            "Other work slows PyTorch's two threads more than Pomona's: PyTorch's wait for one another in every step "
            "of the LSTM, Pomona's never do. On an idle machine the ratio of two threads is therefore smaller than on "
            "a busy one; the ratio of one thread hardly depends on the load.\n"
        ),
        "Ratios: how many times as long as `--int8`, median of the rounds (lowest to highest).\n",
        "| threads | | fastest of the rounds, µs a pixel | ratio |",
        "| ---: | --- | ---: | ---: |",
    ]
    for threads, sides in timed.items():
        for name, each in sides.items():
            ratio = f"{median(each.ratios):.1f} ({min(each.ratios):.1f} to {max(each.ratios):.1f})"
            lines.append(f"| {threads} | {name} | {each.us:.0f} | {ratio} |")
    hours = a_pixel_s * _TILE_PX**2 / 3600
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return [
        *lines,
        "",
        *agreement,
        "## A whole tile\n",
        (
            f"From composites to the finished GeoTIFF with `--int8`, two threads: {1e6 * a_pixel_s:.0f} µs a pixel in "
            f"the measured window, so **{hours:.1f} h** for {_TILE_PX:,} x {_TILE_PX:,} px. This is extrapolated: the "
            "work is the same for every pixel, and tiles are read, classified and written one by one within the "
            f"{_MEMORY_MB} MB that `--memory-mb` grants. The process, PyTorch and all sides of this measurement "
            f"included, took {memory:,} MB at most.\n"
        ),
        "On a GPU nothing was measured: none was there. `pomona map crops` uses the processor only.\n",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128, help="of the window mapped from files to files, in pixels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--page", type=Path, default=OUT, help="where the page goes")
    options = parser.parse_args(arguments)
    if "POMONA_DATA" not in os.environ:
        parser.error("set POMONA_DATA to the folder that holds the sets")
    points = mctnet_joint(Path(os.environ["POMONA_DATA"]) / "satellite" / "mctnet_us_s2")
    order = np.random.default_rng(0).permutation(len(points))
    given, held_out = points.take(order[:_TRAINED]), points.take(order[_TRAINED:])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        network, model = _trained(given, folder)
        load = os.getloadavg()[0]
        timed = {threads: _timed(network, model, held_out.values, options.rounds, threads) for threads in (1, 2)}
        lines = _page(timed, _agreement(model, held_out), _whole_map(model, held_out, folder, options.side), load)
    options.page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
