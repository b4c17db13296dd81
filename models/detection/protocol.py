"""One fixed protocol under which YOLO-A, its ablations and its peers are trained, to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.detection.crops import CropSettings
from models.detection.networks import ABLATIONS
from models.detection.settings import DetectorTraining, learning_rate_of

_CROPS = CropSettings(scale=(0.35, 1.1), flower_scale=(0.45, 1.4))
_EPOCHS = 2
_CROPS_PER_EPOCH = 1600


@dataclass(frozen=True)
class ProtocolRun:
    """One training run of the protocol.

    Attributes:
        network: which detector.
        seed: of its initial values and crops.
    """

    network: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return f"{self.network}-seed{self.seed}"


_FIRST_ABLATION = "yolo-a-glicm-fsppf"
# what says most comes first: stopped at any time, the runs that are done can be compared
RUNS: tuple[ProtocolRun, ...] = (
    ProtocolRun("yolo-a"),
    ProtocolRun("yolo11n"),
    ProtocolRun("yolo-a-light"),
    ProtocolRun(_FIRST_ABLATION),
    *(ProtocolRun(name) for name in ABLATIONS if name != _FIRST_ABLATION),
    *(ProtocolRun(name) for name in ("yolov8n", "yolov5n", "yolov10n", "yolo12n", "yolov9t", "yolov6n")),
    *(ProtocolRun(name, seed) for seed in (1, 2) for name in ("yolo-a", "yolo11n")),
    ProtocolRun("rtdetr-l"),
)


def choose_runs(only: Sequence[str]) -> tuple[ProtocolRun, ...]:
    """The runs of these networks or of these names, in the protocol's order; all without any.

    Raises:
        ValueError: a name that is neither.
    """
    known = {run.network for run in RUNS} | {run.name for run in RUNS}
    if unknown := set(only) - known:
        raise ValueError(f"the protocol has no run {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    return tuple(run for run in RUNS if not only or run.network in only or run.name in only)


def settings_of(run: ProtocolRun, data: Path, weights: Path | None, output: Path) -> DetectorTraining:
    """Everything that decides one run: the same for all, but for the network, the seed and RT-DETR's rate.

    Args:
        run: which one.
        data: labelled photos.
        weights: folded COCO weights of YOLO11n; every network takes the layers it shares.
        output: folder of the protocol's runs.
    """
    return DetectorTraining(
        data=data,
        output=output / run.name,
        network=run.network,
        weights=weights,
        epochs=_EPOCHS,
        crops_per_epoch=_CROPS_PER_EPOCH,
        learning_rate=learning_rate_of(run.network),
        low_precision=True,
        validate_every=_EPOCHS,
        seed=run.seed,
        crops=_CROPS,
    )


def rehearsal_of(settings: DetectorTraining) -> DetectorTraining:
    """The same run so short, and of photos so small, that it only shows that it works."""
    small = replace(settings.crops, scale=(0.15, 0.25), flower_scale=(0.15, 0.25))
    apart = settings.output.parent / "rehearsal" / settings.output.name  # lest the real run go on from it
    return replace(settings, output=apart, epochs=1, crops_per_epoch=32, image_px=128, crops=small)
