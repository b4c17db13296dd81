"""What the protocol's runs found, measured once and kept beside each checkpoint."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.evaluate.checkpoint import Measured, measure_checkpoint, measured_with, read_measured, save_measured
from export.evaluate.matching import PhotoResult
from models.detection.protocol import RUNS, ProtocolRun, settings_of
from models.detection.start_weights import read_checkpoint
from models.detection.trainer import differences

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
        if content is None or not _follows_protocol(content, run, folder, data):
            missing.append(run.name)
            continue
        measured = _measure(checkpoint, run, data)
        found.setdefault(run.network, []).append((run.seed, measured, content["settings"]["initialised"]))
    networks = {
        network: Found(network, tuple(s for s, _, _ in runs), tuple(m for _, m, _ in runs), runs[0][2])
        for network, runs in found.items()
    }
    return networks, missing


def _follows_protocol(content: dict[str, Any], run: ProtocolRun, folder: Path, data: Path) -> bool:
    """Whether a checkpoint is of the protocol's last epoch, trained as the protocol says today."""
    settings = settings_of(run, data / "train", None, folder)
    return content["epoch"] + 1 == settings.epochs and not differences(content["settings"], settings)


def _measure(checkpoint: Path, run: ProtocolRun, data: Path) -> Measured:
    kept = checkpoint.parent.parent / MEASURED
    of = measured_with(checkpoint, data / "val")
    if not kept.exists() or read_measured(kept).of != of:

        def progress(done: int, total: int) -> None:
            if sys.stderr.isatty():
                print(f"\r{run.name}: {done} of {total} photos", end="" if done < total else "\n", file=sys.stderr)

        save_measured(kept, measure_checkpoint(checkpoint, data / "train", data / "val", progress, _KINDS))
    return read_measured(kept)
