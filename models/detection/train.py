"""Training YOLO-A through ultralytics, on native-scale crops of labelled orchard photos."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.detect import DetectionTrainer

from models.detection.crops import CropSettings, GridCrops, RandomCrops
from models.detection.fsppf import FourierModulatedAttention
from models.detection.ss2d import SS2D, ChannelLayerNorm
from models.detection.start_weights import load_detector, read_checkpoint, save_checkpoint, start_from_coco
from models.detection.yolo_a import PARTS, Part, YoloA
from models.labelled_photos import LABELS, LabelledPhoto, read_labelled_photos

# What is kept away from training in the published apple sets: two orchard rows that show both growth stages, and the
# flowering trees that no other photo shows.
HELD_OUT = ("17kv1r", "17kv9r", "20190429_33_2", "20190421_34_1", "tree_2_*")

# Crops on which the folded normalisations of the COCO weights are measured.
_STATISTICS_CROPS = 128


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""

    exit_code = 1


def code_commit() -> str:
    """The commit that is checked out here, ``-dirty`` behind it where files were changed since; or ``unknown``."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # installed without its history, maybe inside another repository
        return "unknown"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (git, on ourselves)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


@dataclass(frozen=True)
class DetectorTraining:
    """Everything that decides a training run.

    Attributes:
        data: folder of labelled photos.
        output: folder for checkpoints and the table of losses.
        weights: folded COCO weights of YOLO11n to start from, or a checkpoint of ours to continue from.
        labels: classes to train; photos that show only others are left out.
        parts: which modules of YOLO-A to build in (none: YOLO11n).
        epochs: passes; an epoch is a fixed number of random crops.
        crops_per_epoch: crops in one pass.
        batch: crops a step.
        image_px: side of a crop.
        learning_rate: AdamW's highest rate; falls linearly to a hundredth.
        warmup_epochs: passes over which the rate rises.
        low_precision: convolutions in bfloat16 where the processor has it.
        hold_out: patterns of orchard rows, or of photo names where no row is known, that are never trained on; they
            choose the checkpoint, the counting threshold and the bias.
        validate_every: epochs between validations on what is held out.
        seed: of initial values and crops.
        commit: the code that trains.
    """

    data: Path
    output: Path
    weights: Path | None = None
    labels: tuple[str, ...] = LABELS
    parts: tuple[Part, ...] = PARTS
    epochs: int = 40
    crops_per_epoch: int = 3200
    batch: int = 16
    image_px: int = 320
    learning_rate: float = 1e-3
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


class _LowPrecisionYoloA(YoloA):
    """YOLO-A whose training pass runs its convolutions in bfloat16 on the CPU."""

    def predict(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if not self.training:
            return super().predict(x, *args, **kwargs)
        with torch.autocast("cpu", torch.bfloat16):
            out = super().predict(x, *args, **kwargs)
        return {
            key: [v.float() for v in value] if isinstance(value, list) else value.float() for key, value in out.items()
        }


class YoloATrainer(DetectionTrainer):  # type: ignore[misc]
    """ultralytics' detection trainer over our crops, writing state dicts instead of pickled classes."""

    def __init__(self, settings: DetectorTraining) -> None:
        self.settings = settings
        photos = read_labelled_photos(settings.data)
        wanted = {LABELS.index(label) for label in settings.labels}
        photos = [_only_classes(p, settings.labels) for p in photos if wanted & set(p.classes) or not len(p.classes)]
        self.training_photos, self.held_out_photos = split_photos(photos, settings.hold_out)
        if not self.training_photos or not self.held_out_photos:
            raise ValueError(
                f"{settings.data} has {len(self.training_photos)} photos to train on and {len(self.held_out_photos)} "
                f"held out by {', '.join(settings.hold_out) or 'nothing'}; both are needed, so hold out other rows"
            )
        self.last_validated = 0
        table = settings.output / "results.csv"
        losses = table.read_text(encoding="utf-8").splitlines(keepends=True) if table.exists() else []
        super().__init__(
            overrides={
                "task": "detect",
                "mode": "train",
                "model": "yolo11n.yaml",
                "data": str(settings.data),
                "epochs": settings.epochs,
                "batch": settings.batch,
                "nbs": settings.batch,
                "imgsz": settings.image_px,
                "device": "cuda" if torch.cuda.is_available() else "cpu",
                "project": str(settings.output.parent.resolve()),
                "name": settings.output.name,
                "exist_ok": True,
                "optimizer": "AdamW",
                "lr0": settings.learning_rate,
                "lrf": 0.01,
                "momentum": 0.9,
                "weight_decay": 0.01,
                "warmup_epochs": settings.warmup_epochs,
                "warmup_bias_lr": 0.0,
                "close_mosaic": 0,
                "amp": False,
                "plots": False,
                "deterministic": False,
                "seed": settings.seed,
                "max_det": 300,
                "conf": 0.01,
                "patience": 0,  # as many epochs as were asked for
            }
        )
        done = epochs_done(settings.output)
        if done and losses:  # ultralytics has removed the table; line 0 is its header
            self.csv.write_text("".join(losses[: done + 1]), encoding="utf-8")

    # --- data -------------------------------------------------------------------------------------------------------
    def get_dataset(self) -> dict[str, Any]:
        """The data dictionary ultralytics passes around; the photos themselves come from the settings."""
        names = dict(enumerate(self.settings.labels))
        return {"train": "train", "val": "held out", "nc": len(names), "names": names, "channels": 3}

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Dataset[dict[str, Any]]:
        """Random crops to train on, a regular grid over the held-out photos to validate on."""
        del img_path, batch
        if mode == "train":
            return self._random_crops(self.settings.crops_per_epoch, self.settings.seed + self.start_epoch)
        return GridCrops(self.held_out_photos, 640)

    def _random_crops(self, length: int, seed: int) -> RandomCrops:
        crops = replace(self.settings.crops, image_px=self.settings.image_px)
        return RandomCrops(self.training_photos, crops, length, seed)

    # --- network ----------------------------------------------------------------------------------------------------
    def setup_model(self) -> dict[str, Any] | None:
        """Build the network; start from COCO weights, from a finished checkpoint, or resume this run's own."""
        settings = self.settings
        torch.manual_seed(settings.seed)
        network = _LowPrecisionYoloA if settings.low_precision else YoloA
        self.model = network(len(settings.labels), settings.parts)
        if self.last.exists():
            checkpoint = read_checkpoint(self.last)
            _check_same_network(self.last, checkpoint["settings"], settings)
            self.model.load_state_dict(checkpoint["model"])
            self.start_epoch = checkpoint["epoch"] + 1
            return checkpoint
        if settings.weights is not None and settings.weights.suffix == ".pt":
            start, trained = load_detector(settings.weights)
            _check_same_network(settings.weights, trained, settings)
            self.model.load_state_dict(start.state_dict())
        elif settings.weights is not None:
            crops = self._random_crops(_STATISTICS_CROPS, settings.seed)
            images = torch.stack([crops[i]["img"] for i in range(len(crops))]).float() / 255
            start_from_coco(self.model, settings.weights, torch.split(images, 16))
        return None

    def build_optimizer(self, model: nn.Module, **kwargs: Any) -> torch.optim.Optimizer:
        """Ultralytics' parameter groups, with the values that must not decay moved to a group without decay."""
        optimizer = cast("torch.optim.Optimizer", super().build_optimizer(model, **kwargs))
        exempt = {
            id(parameter)
            for module in model.modules()
            if isinstance(module, SS2D | FourierModulatedAttention | ChannelLayerNorm)
            for parameter in module.no_weight_decay()
        }
        decayed, normal = optimizer.param_groups[0], optimizer.param_groups[1]
        for group in optimizer.param_groups:
            if group["weight_decay"]:
                decayed = group
            elif group.get("param_group") == "bn":
                normal = group
        normal["params"] += [p for p in decayed["params"] if id(p) in exempt]
        decayed["params"] = [p for p in decayed["params"] if id(p) not in exempt]
        return optimizer

    # --- checkpoints ------------------------------------------------------------------------------------------------
    def save_model(self) -> bool:
        """Write this epoch's state, and a copy when it is the best on what is held out so far."""
        content = {
            "settings": self.settings.as_dict(),
            "epoch": self.epoch,
            "averaged": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_fitness": None if self.best_fitness is None else float(self.best_fitness),
            "metrics": {name: float(value) for name, value in (self.metrics or {}).items()},
        }
        save_checkpoint(self.last, content)
        if self.last_validated == self.epoch + 1 and self.fitness == self.best_fitness:
            save_checkpoint(self.best, {**content, "optimizer": None, "model": None})
        return True

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """Take up optimiser, averaged weights and best figure of this run's own checkpoint."""
        if ckpt is None:
            return
        self.optimizer.load_state_dict(ckpt["optimizer"])
        self.ema.ema.load_state_dict(ckpt["averaged"])
        self.ema.updates = ckpt["updates"]
        self.best_fitness = ckpt["best_fitness"]

    def validate(self) -> tuple[dict[str, Any] | None, float | None]:
        """Validate every few epochs and at the end; between them the last figures stand."""
        final = self.epoch + 1 >= self.epochs
        if not final and (self.epoch + 1) % self.settings.validate_every:
            return self.metrics, self.fitness
        self.last_validated = self.epoch + 1
        return cast("tuple[dict[str, Any], float]", BaseTrainer.validate(self))

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not torch.isfinite(self.loss):
            raise DivergedError(
                f"loss is not finite in epoch {epoch + 1}; lower the learning rate and resume from {self.last}"
            )
        return False

    def final_eval(self) -> None:
        """Nothing to do: the last epoch was validated, and the checkpoints are already plain."""


def _only_classes(photo: LabelledPhoto, labels: tuple[str, ...]) -> LabelledPhoto:
    """The photo with its boxes reduced to the wanted classes, renumbered in their order."""
    if labels == LABELS:
        return photo
    numbers = {LABELS.index(label): i for i, label in enumerate(labels)}
    kept = np.isin(photo.classes, list(numbers))
    classes = np.array([numbers[int(c)] for c in photo.classes[kept]], dtype=np.int64)
    return replace(photo, boxes=photo.boxes[kept], classes=classes)


def _check_same_network(path: Path, trained: dict[str, Any], settings: DetectorTraining) -> None:
    theirs = tuple(trained["labels"]), sorted(trained["parts"])
    ours = settings.labels, sorted(settings.parts)
    if theirs != ours:
        raise ValueError(
            f"{path} is a network of labels {theirs[0]} and parts {theirs[1]}, this run's has {ours[0]} and {ours[1]}; "
            "choose other weights or another output folder"
        )


def epochs_done(output: Path) -> int:
    """How many epochs the run in a folder has behind it."""
    last = output / "weights" / "last.pt"
    return int(read_checkpoint(last)["epoch"]) + 1 if last.exists() else 0


def train(settings: DetectorTraining) -> Path:
    """Train, or resume where the output folder holds an unfinished run; a finished one is left as it is.

    Returns:
        The checkpoint that did best on what is held out.

    Raises:
        FileNotFoundError: no labelled photos, or no such weights.
        ValueError: no photo to train or to validate on, labels or weights that do not follow their format, or a
            checkpoint of another network.
        DivergedError: the loss is no longer finite.
    """
    settings.output.mkdir(parents=True, exist_ok=True)
    if epochs_done(settings.output) < settings.epochs:
        YoloATrainer(settings).train()
    return settings.output / "weights" / "best.pt"
