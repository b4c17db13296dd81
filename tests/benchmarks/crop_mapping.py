"""How fast pixels are classified: as Pomona maps them, and in a loop as one would write it with PyTorch.

    python -m tests.benchmarks.crop_mapping

Random series of 12 months and ten bands through the weighted LSTM's network; a minute on two idle cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from models.crops.mapping import classify
from models.crops.onnx_file import Eats, export, open_session
from models.crops.pixel_networks import Scales
from models.crops.stacked_lstm import StackedLSTM

_BANDS, _STEPS, _CLASSES = 10, 12, 16
_TILE_PX = 10_980
_REPEATS = 3


def _seconds(work: Callable[[], object]) -> float:
    """The fastest of a few runs, after one that warms up."""
    work()
    taken = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _loop(network: StackedLSTM, series: torch.Tensor, batch: int) -> None:
    """What one writes first: batches from a loader, the network, softmax, the largest."""
    with torch.no_grad():
        for (part,) in DataLoader(TensorDataset(series), batch_size=batch):
            torch.softmax(network(part), 1).max(1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128, help="of the measured window in pixels")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    network = StackedLSTM(Scales((0.2,) * _BANDS, (0.1,) * _BANDS), _CLASSES).eval()
    random = np.random.default_rng(0)
    values = random.normal(0.2, 0.1, (_STEPS * _BANDS, options.side, options.side)).astype(np.float32)
    pixels = options.side**2
    series = torch.as_tensor(np.ascontiguousarray(values.reshape(_STEPS * _BANDS, -1).T)).view(-1, _STEPS, _BANDS)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        names = [tuple(f"{kind}{i}" for i in range(n)) for kind, n in (("b", _BANDS), ("t", _STEPS), ("c", _CLASSES))]
        export(network, Eats(*names), path)
        session = open_session(path, 1)
        ours = _seconds(lambda: classify(session, values, options.threads)) / pixels
    print(f"pomona map crops: {1e6 * ours:.0f} µs a pixel")
    for batch in (1, 32, 256, 1024):
        part = series[: min(len(series), 64 * batch)]
        theirs = _seconds(lambda batch=batch, part=part: _loop(network, part, batch)) / len(part)  # type: ignore[misc]
        print(f"PyTorch, batches of {batch}: {1e6 * theirs:.0f} µs a pixel, {theirs / ours:.1f} times as long")
    print(
        f"a tile of {_TILE_PX:,} x {_TILE_PX:,} pixels: {ours * _TILE_PX**2 / 3600:.1f} h on {options.threads} threads"
    )
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
