"""What the protocol's runs found, measured once and kept beside each checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.evaluate.checkpoint import Measured, measure_checkpoint, read_measured, save_measured
from export.evaluate.matching import PhotoResult, average_precision, average_precision_50_95, precision, recall
from models.detection.protocol import RUNS, ProtocolRun
from models.detection.start_weights import read_checkpoint

MEASURED = "measured.npz"
# what the tables show; single tiles are in none of them
_KINDS = ("trees", "flowers")


@dataclass(frozen=True)
class Found:
    """A network's finished runs.

    Attributes:
        network: which detector.
        seeds: of its runs.
        measured: what each run found.
        initialised: share of its values that came from the start weights.
    """

    network: str
    seeds: tuple[int, ...]
    measured: tuple[Measured, ...]
    initialised: float

    def results(self, kind: str) -> list[list[PhotoResult]]:
        """For each seed the results on photos of one kind."""
        return [measured.results[kind] for measured in self.measured]


def find_runs(folder: Path, data: Path) -> tuple[dict[str, Found], list[str]]:
    """Measure every finished run of the protocol that is not measured yet.

    Args:
        folder: the protocol's runs.
        data: folder of ``train`` and ``val``.

    Returns:
        The networks with what they found, in the protocol's order, and the names of the runs that are missing.
    """
    found: dict[str, list[tuple[int, Measured, float]]] = {}
    missing = []
    for run in RUNS:
        checkpoint = folder / run.name / "weights" / "last.pt"
        content = read_checkpoint(checkpoint) if checkpoint.exists() else None
        if content is None or content["epoch"] + 1 < content["settings"]["epochs"]:
            missing.append(run.name)
            continue
        measured = _measure(checkpoint, run, data)
        found.setdefault(run.network, []).append((run.seed, measured, content["settings"]["initialised"]))
    networks = {
        network: Found(network, tuple(s for s, _, _ in runs), tuple(m for _, m, _ in runs), runs[0][2])
        for network, runs in found.items()
    }
    return networks, missing


def _measure(checkpoint: Path, run: ProtocolRun, data: Path) -> Measured:
    kept = checkpoint.parent.parent / MEASURED
    known = kept.exists() and kept.stat().st_mtime >= checkpoint.stat().st_mtime
    if not known or read_measured(kept).data != str((data / "val").resolve()):

        def progress(done: int, total: int) -> None:
            if sys.stderr.isatty():
                print(f"\r{run.name}: {done} of {total} photos", end="" if done < total else "\n", file=sys.stderr)

        save_measured(kept, measure_checkpoint(checkpoint, data / "train", data / "val", progress, _KINDS))
    return read_measured(kept)


@dataclass(frozen=True)
class Figures:
    """Means over seeds."""

    precision: float
    recall: float
    ap50: float
    ap50_95: float


def figures(seeds: Sequence[Sequence[PhotoResult]]) -> Figures:
    """The table's figures on the given photos."""
    measures = (precision, recall, average_precision, average_precision_50_95)
    return Figures(*(float(np.mean([measure(results) for results in seeds])) for measure in measures))
