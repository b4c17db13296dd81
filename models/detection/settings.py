"""Everything that decides a training run, and which photos it must never see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from models.code_commit import code_commit
from models.detection.crops import CropSettings
from models.labelled_photos import LABELS, LabelledPhoto

# What is kept away from training in the published apple sets: two orchard rows that show both growth stages, and the
# flowering trees that no other photo shows.
HELD_OUT = ("17kv1r", "17kv9r", "20190429_33_2", "20190421_34_1", "tree_2_*")


# AdamW's highest rate; RT-DETR's transformer diverges at what the convolutional networks take
LEARNING_RATE = 1e-3
_LEARNING_RATES = {"rtdetr-l": 1e-4}


def learning_rate_of(network: str) -> float:
    """The learning rate that a network starts with unless told otherwise."""
    return _LEARNING_RATES.get(network, LEARNING_RATE)


@dataclass(frozen=True)
class DetectorTraining:
    """Everything that decides a training run.

    Attributes:
        data: folder of labelled photos.
        output: folder for checkpoints, the table of losses and the results page.
        network: which detector, one of :data:`models.detection.networks.NETWORKS`.
        weights: folded COCO weights of YOLO11n to start from, or a checkpoint of ours to continue from; YOLO-A light
            also starts from YOLO-A, an ablation of it or YOLO11n, pruned.
        teacher: checkpoint of a network whose scores and sides are learned beside the labels.
        labels: classes to train; photos that show only others are left out.
        epochs: passes; an epoch is a fixed number of random crops.
        crops_per_epoch: crops in one pass.
        batch: crops a step.
        image_px: side of a crop.
        learning_rate: AdamW's highest rate; falls linearly to a hundredth.
        warmup_epochs: passes over which the rate rises.
        low_precision: convolutions in bfloat16 where the processor has it.
        hold_out: patterns of orchard rows, or of photo names where no row is known, that are never trained on; they
            choose the checkpoint, the counting threshold and the bias.
        validate_every: epochs between validations on what is held out; the last one is always validated.
        seed: of initial values and crops.
        commit: the code that trains.
    """

    data: Path
    output: Path
    network: str = "yolo-a"
    weights: Path | None = None
    teacher: Path | None = None
    labels: tuple[str, ...] = LABELS
    epochs: int = 40
    crops_per_epoch: int = 3200
    batch: int = 16
    image_px: int = 320
    learning_rate: float = LEARNING_RATE
    warmup_epochs: float = 0.5
    low_precision: bool = False
    hold_out: tuple[str, ...] = HELD_OUT
    validate_every: int = 5
    seed: int = 0
    crops: CropSettings = field(default_factory=CropSettings)
    commit: str = field(default_factory=code_commit)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        values = asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def split_photos(
    photos: Sequence[LabelledPhoto], hold_out: Sequence[str]
) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """Photos to train on and photos held out, by orchard row (by photo where no row is known).

    Args:
        photos: all photos.
        hold_out: patterns of what is held out, with ``*`` and ``?``.
    """

    def is_held_out(photo: LabelledPhoto) -> bool:
        return any(fnmatchcase(photo.row, pattern) for pattern in hold_out)

    return [p for p in photos if not is_held_out(p)], [p for p in photos if is_held_out(p)]
