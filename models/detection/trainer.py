"""ultralytics' trainer over our crops, for every network: state dicts instead of pickled classes, a results page."""

from __future__ import annotations

import csv
import math
import os
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import LOGGER

from models.detection.crops import GridCrops, OnwardSampler, RandomCrops
from models.detection.distillation import Distillation, check_teachable
from models.detection.fsppf import FourierModulatedAttention
from models.detection.held_out import HeldOutRecord, make_validator
from models.detection.networks import build_network, network_of, use_low_precision
from models.detection.pruning import prune_to_light
from models.detection.results_page import STEPS, write_results_page
from models.detection.settings import DetectorTraining, split_photos
from models.detection.ss2d import SS2D, ChannelLayerNorm
from models.detection.start_weights import load_detector, read_checkpoint, save_checkpoint, start_from_coco
from models.detection.yolo_a import YoloA
from models.detection.yolo_a_light import YoloALight
from models.labelled_photos import LABELS, LabelledPhoto, read_labelled_photos

# crops on which the folded normalisations of the COCO weights are measured
_STATISTICS_CROPS = 128
# side of the squares of held-out photos
_HELD_OUT_PX = 640


# what may be another when a run is resumed: places of files, how long and how often, and the code itself
_MAY_CHANGE = frozenset({"data", "output", "epochs", "validate_every", "low_precision", "commit", "weights", "teacher"})


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""

    exit_code = 1


class DetectorTrainer(DetectionTrainer):  # type: ignore[misc]
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
        self.initialised = 0.0  # share of the network's values that came from the start weights
        self.step_losses: list[dict[str, float]] = []
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
                "nms": False if settings.network == "yolov10n" else None,  # its head finds each object once
                "patience": 0,  # as many epochs as were asked for
            }
        )
        done = epochs_done(settings.output)
        if done and losses:  # ultralytics has removed the table; line 0 is its header
            self.csv.write_text("".join(losses[: done + 1]), encoding="utf-8")
        torch.set_num_threads(os.cpu_count() or 1)  # ultralytics leaves one core idle, of two as of twenty
        self.add_callback("on_train_epoch_start", _draw_this_epoch)
        self.add_callback("on_train_batch_end", _note_step)
        if settings.teacher is not None:
            teacher, taught = load_detector(settings.teacher)
            if tuple(taught["labels"]) != settings.labels:
                raise ValueError(
                    f"{settings.teacher} knows {taught['labels']}; a teacher has to know {settings.labels}"
                )
            check_teachable(build_network(settings.network, len(settings.labels)), teacher, settings)
            self.teacher = teacher
            self.add_callback("on_train_start", _follow_teacher)

    # --- data -------------------------------------------------------------------------------------------------------
    def get_dataset(self) -> dict[str, Any]:
        """The data dictionary ultralytics passes around; the photos themselves come from the settings."""
        names = dict(enumerate(self.settings.labels))
        return {"train": "train", "val": "held out", "nc": len(names), "names": names, "channels": 3}

    @cached_property
    def crops(self) -> RandomCrops:
        """The crops to train on."""
        crops = replace(self.settings.crops, image_px=self.settings.image_px)
        return RandomCrops(self.training_photos, crops, self.settings.crops_per_epoch, self.settings.seed)

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Dataset[dict[str, Any]]:
        """Random crops to train on, a regular grid over the held-out photos, in the middle of the zoom, to validate."""
        del img_path, batch
        if mode == "train":
            return self.crops
        zooms = (math.sqrt(low * high) for low, high in (self.settings.crops.scale, self.settings.crops.flower_scale))
        return GridCrops(self.held_out_photos, _HELD_OUT_PX, *zooms)

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Crops numbered onwards over the epochs, so that a resumed run sees what it would have seen."""
        if mode != "train":
            return super().get_dataloader(dataset_path, batch_size, rank, mode)
        dataset = self.crops
        workers = min(os.cpu_count() or 1, self.args.workers, len(dataset) // batch_size)
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=OnwardSampler(dataset),
            num_workers=workers if workers > 1 else 0,
            persistent_workers=workers > 1,
            collate_fn=RandomCrops.collate_fn,
            pin_memory=self.device.type == "cuda",
        )

    # --- network ----------------------------------------------------------------------------------------------------
    def setup_model(self) -> dict[str, Any] | None:
        """Build the network; start from COCO weights, from a finished checkpoint, or resume this run's own."""
        settings = self.settings
        torch.manual_seed(settings.seed)
        self.model = build_network(settings.network, len(settings.labels))
        if settings.low_precision:
            use_low_precision(self.model)
        if self.last.exists():
            checkpoint = read_checkpoint(self.last)
            self.model.load_state_dict(checkpoint["model"])
            self.start_epoch = checkpoint["epoch"] + 1
            self.initialised = checkpoint["settings"].get("initialised", 0.0)
            return checkpoint
        if settings.weights is not None and settings.weights.suffix == ".pt":
            start, trained = load_detector(settings.weights)
            if settings.network == "yolo-a-light" and isinstance(start, YoloA) and not isinstance(start, YoloALight):
                start, trained = prune_to_light(start), {**trained, "network": "yolo-a-light"}
            _check_same_network(settings.weights, trained, settings)
            self.model.load_state_dict(start.state_dict())
            self.initialised = 1.0
        elif settings.weights is not None:
            images = torch.stack([self.crops[i]["img"] for i in range(_STATISTICS_CROPS)]).float() / 255
            self.initialised = start_from_coco(self.model, settings.weights, torch.split(images, 16))
            LOGGER.info(f"{self.initialised:.1%} of the values of {settings.network} come from {settings.weights}")
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
        """Write this epoch's losses and state, a copy when it is the best so far, at the end the results page."""
        self._write_step_losses()
        settings = {**self.settings.as_dict(), "initialised": self.initialised}
        content = {
            "settings": settings,
            "epoch": self.epoch,
            "averaged": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_fitness": None if self.best_fitness is None else float(self.best_fitness),
            "metrics": {name: float(value) for name, value in (self.metrics or {}).items()},
        }
        if self.last_validated == self.epoch + 1 and self.fitness == self.best_fitness:
            save_checkpoint(self.best, {**content, "optimizer": None, "model": None})
        if self.epoch + 1 >= self.epochs:  # before the checkpoint that says that nothing is left to do
            record: HeldOutRecord = self.validator.record
            write_results_page(self.settings.output, settings, record, self.test_loader.dataset)
        save_checkpoint(self.last, content)
        return True

    def _write_step_losses(self) -> None:
        path = self.settings.output / STEPS
        earlier: list[dict[str, Any]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                first = int(self.step_losses[0]["step"]) if self.step_losses else math.inf
                # what a cut epoch left behind is run again
                earlier = [line for line in csv.DictReader(file) if int(line["step"]) < first]
        partial = path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ("step", *self.loss_names))
            writer.writeheader()
            writer.writerows([*earlier, *self.step_losses])
        partial.replace(path)
        self.step_losses = []

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """Take up optimiser, averaged weights, best figure and loss schedule of this run's own checkpoint."""
        if ckpt is None:
            return
        self.optimizer.load_state_dict(ckpt["optimizer"])
        self.ema.ema.load_state_dict(ckpt["averaged"])
        self.ema.updates = ckpt["updates"]
        self.best_fitness = ckpt["best_fitness"]
        self.model.criterion = self.model.init_criterion()
        if hasattr(self.model.criterion, "update"):  # YOLOv10 shifts its weight from one head to the other
            for _ in range(self.start_epoch):
                self.model.criterion.update()

    # --- validation -------------------------------------------------------------------------------------------------
    def get_validator(self) -> Any:
        """A validator that remembers what it found in each square."""
        arguments = copy(self.args)
        arguments.imgsz = _HELD_OUT_PX  # RT-DETR's boxes are shares of it
        return make_validator(self.model, self.test_loader, self.save_dir, arguments, self.callbacks)

    def validate(self) -> tuple[dict[str, Any] | None, float | None]:
        """Validate every few epochs and at the end; between them the last figures stand."""
        final = self.epoch + 1 >= self.epochs
        if not final and (self.epoch + 1) % self.settings.validate_every:
            return self.metrics, self.fitness
        self.last_validated = self.epoch + 1
        return cast("tuple[dict[str, Any], float]", BaseTrainer.validate(self))

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not torch.isfinite(self.loss):
            onwards = f", from {self.last} as --weights" if self.last.exists() else ""
            raise DivergedError(
                f"loss is not finite in epoch {epoch + 1} of {self.settings.network}; start it again with a lower "
                f"--learning-rate{onwards} and with another --out"
            )
        return False

    def final_eval(self) -> None:
        """Nothing to do: the last epoch was validated, and the checkpoints are already plain."""


def _draw_this_epoch(trainer: DetectorTrainer) -> None:
    trainer.train_loader.sampler.epoch = trainer.epoch


def _follow_teacher(trainer: DetectorTrainer) -> None:
    labels = trainer.model.init_criterion()
    trainer.model.criterion = Distillation(
        labels, trainer.teacher.to(trainer.device), low_precision=trainer.settings.low_precision
    )


def _note_step(trainer: DetectorTrainer) -> None:
    epoch_steps = len(trainer.train_loader)
    step = trainer.epoch * epoch_steps + len(trainer.step_losses) % epoch_steps + 1
    losses = {name: round(float(value), 6) for name, value in trainer.loss_items.items()}
    trainer.step_losses.append({"step": step, **losses})


def _only_classes(photo: LabelledPhoto, labels: tuple[str, ...]) -> LabelledPhoto:
    """The photo with its boxes reduced to the wanted classes, renumbered in their order."""
    if labels == LABELS:
        return photo
    numbers = {LABELS.index(label): i for i, label in enumerate(labels)}
    kept = np.isin(photo.classes, list(numbers))
    classes = np.array([numbers[int(c)] for c in photo.classes[kept]], dtype=np.int64)
    return replace(photo, boxes=photo.boxes[kept], classes=classes)


def _check_same_network(path: Path, trained: dict[str, Any], settings: DetectorTraining) -> None:
    theirs = network_of(trained), tuple(trained["labels"])
    ours = settings.network, settings.labels
    if theirs != ours:
        raise ValueError(
            f"{path} is {theirs[0]} with labels {theirs[1]}, this run is {ours[0]} with {ours[1]}; "
            "choose other weights or another output folder"
        )


def check_begun(settings: DetectorTraining) -> None:
    """Make sure that the run in the output folder, if there is one, is the one these settings describe.

    Raises:
        ValueError: it trains another network, or otherwise.
    """
    last = settings.output / "weights" / "last.pt"
    if last.exists():
        begun = read_checkpoint(last)["settings"]
        _check_same_network(last, begun, settings)
        if differ := differences(begun, settings):
            raise ValueError(
                f"{last} was begun with {', '.join(differ)}; go on with that, or choose another output folder"
            )


def differences(begun: dict[str, Any], settings: DetectorTraining) -> list[str]:
    """In what that decides it a run differs from settings; the rows held out above all, which choose its checkpoint.

    Files may have moved, but a run that has a teacher keeps one.
    """
    wanted = settings.as_dict()
    differ = [
        f"{name} {begun[name]!r} instead of {wanted[name]!r}"
        for name in wanted
        if name not in _MAY_CHANGE and name in begun and _plain(begun[name]) != _plain(wanted[name])
    ]
    if (begun.get("teacher") is None) != (settings.teacher is None):
        differ.append("no teacher" if begun.get("teacher") is None else f"the teacher {begun['teacher']}")
    return differ


def _plain(value: Any) -> Any:
    """The value as a checkpoint that was written and read has it."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def epochs_done(output: Path) -> int:
    """How many epochs the run in a folder has behind it."""
    last = output / "weights" / "last.pt"
    return int(read_checkpoint(last)["epoch"]) + 1 if last.exists() else 0
