"""The training loop that all crop networks share, under Lightning: stopped at any moment, it goes on."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.crops.lightning import pl
from models.crops.series import IntArray
from models.trainer import quiet_trainer

for _name in ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities.rank_zero"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # devices found, and advice

LAST = "last.ckpt"


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""

    exit_code = 1


@dataclass(frozen=True)
class TrainingSettings:
    """What decides a training beside network, batches and loss.

    Attributes:
        epochs: the most of them.
        learning_rate: the highest.
        optimizer: RMSprop as the weighted LSTM's paper, or AdamW.
        weight_decay: of AdamW.
        schedule: a rate that stays, rises and falls once over all epochs, or halves when validation does not improve.
        patience: epochs without a better validation after which to stop; 0 never stops early.
        averaged: decay a step of the running mean of weights that is judged and kept; 0 keeps the weights themselves.
        clip: largest norm of a gradient.
        precision: bfloat16 takes half the time on processors that have it.
    """

    epochs: int = 60
    learning_rate: float = 1e-3
    optimizer: Literal["rmsprop", "adamw"] = "rmsprop"
    weight_decay: float = 0.0
    schedule: Literal["constant", "once", "plateau"] = "constant"
    patience: int = 12
    averaged: float = 0.0
    clip: float = 1.0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained, on what, to what end.

    Attributes:
        batches: the batches of an epoch, given its number; equal numbers give equal batches, so that a training that
            was stopped goes on as if it had not been. A batch is a tensor, or tensors in tuples, lists or dicts.
        steps: batches an epoch.
        loss: of the network on a batch.
        validate: of the network, the lower the better; None trains all epochs and keeps the last weights.
    """

    batches: Callable[[int], Iterable[Any]]
    steps: int
    loss: Callable[[nn.Module, Any], Tensor]
    validate: Callable[[nn.Module], float] | None = None


def train(
    network: nn.Module, task: Task, settings: TrainingSettings, seed: int, folder: Path | None = None
) -> list[float]:
    """Train a network in place; with validation it ends with the weights that validated best.

    Args:
        network: on the CPU; it ends there, in evaluation mode.
        task: what to do.
        settings: how.
        seed: of dropout and whatever else the network draws.
        folder: where to keep what it takes to go on; an unfinished training there is gone on with.

    Returns:
        The validation of each epoch.

    Raises:
        DivergedError: the loss is no longer finite.
    """
    # what Lightning draws is the process's; leave it as it was
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice on loaders and loggers
        warnings.filterwarnings("ignore", message=".*treespec.*", category=FutureWarning)
        network.train()  # one that was trained before comes in evaluation mode, and Lightning leaves modes alone
        module = _Fit(network, task, settings, seed)
        best = _BestWeights()
        callbacks: list[pl.Callback] = [best]
        if task.validate is not None and settings.patience:
            callbacks.append(pl.callbacks.EarlyStopping("validation", patience=settings.patience, check_finite=False))
        last = None
        if folder is not None:
            last = folder / LAST if (folder / LAST).is_file() else None
            callbacks.append(
                pl.callbacks.ModelCheckpoint(
                    folder, LAST.removesuffix(".ckpt"), enable_version_counter=False, save_top_k=1
                )
            )
        trainer = quiet_trainer(
            settings.epochs,
            callbacks,
            keeps=folder is not None,
            reload=True,
            clip=settings.clip,
            precision=settings.precision,
        )
        trainer.fit(module, ckpt_path=last)
    if not bool(torch.isfinite(module.last_loss)):
        raise DivergedError(f"the loss is {float(module.last_loss)} after training; take a lower learning rate")
    if best.weights is not None:
        network.load_state_dict(best.weights)
    elif module.mean is not None:
        network.load_state_dict(module.mean)
    network.cpu().eval()
    return best.seen


def class_weights(label: IntArray, classes: int) -> Tensor:
    """(classes,) ``n_max / n_u`` of the weighted loss; 1 for the largest class, 0 for a class that is not there."""
    counts = torch.bincount(torch.as_tensor(label), minlength=classes).float()
    return torch.where(counts > 0, counts.max() / counts.clamp(min=1), torch.zeros_like(counts))


def class_loss(logits: Tensor, label: Tensor, weight: Tensor | None = None, of_class: Tensor | None = None) -> Tensor:
    """Cross-entropy, the mean over the batch of ``weight · of_class[label] · entropy``.

    The mean is over pixels and not over their weights: only so is the sum over the classes of ``n_max/n_u · H_u`` what
    is followed, and with equal classes it is the plain loss.

    Args:
        logits: (B, classes).
        label: (B,).
        weight: (B,) of each pixel; 1 where None.
        of_class: (classes,) weights of the classes; 1 where None.
    """
    entropy = functional.cross_entropy(logits, label, reduction="none")
    if of_class is not None:
        entropy = entropy * of_class.to(logits)[label]
    if weight is not None:
        entropy = entropy * weight
    return entropy.mean()


class _Fit(pl.LightningModule):
    """Walks the task's batches."""

    def __init__(self, network: nn.Module, task: Task, settings: TrainingSettings, seed: int) -> None:
        super().__init__()
        self.network, self.task, self.settings, self.seed = network, task, settings, seed
        self.mean = copy.deepcopy(network.state_dict()) if settings.averaged else None
        self.last_loss = torch.tensor(0.0)

    def train_dataloader(self) -> Iterable[Any]:
        return _Epoch(self.task.batches, self.current_epoch, self.task.steps)

    def val_dataloader(self) -> Iterable[Any]:
        return [torch.zeros(1)] if self.task.validate is not None else []

    def on_train_epoch_start(self) -> None:
        # chance depends on the epoch alone, not on how many came before in this process
        torch.manual_seed(self.seed * 100_003 + self.current_epoch)

    def training_step(self, batch: Any, _number: int) -> Tensor:
        loss = self.task.loss(self.network, batch)
        self.last_loss = loss.detach()
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        if self.mean is None:
            return
        # a mean that starts anywhere would drag its start along
        decay = min(self.settings.averaged, (1 + self.global_step) / (10 + self.global_step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.mean[name] = self.mean[name].to(value).lerp(value, 1 - decay)
            else:
                self.mean[name] = value.clone()

    def validation_step(self, _batch: Any, _number: int) -> None:
        if self.task.validate is None:
            return
        now = self.network.state_dict()
        if self.mean is not None:
            now = copy.deepcopy(now)
            self.network.load_state_dict(self.mean)
        found = self.task.validate(self.network)
        if self.mean is not None:
            self.network.load_state_dict(now)
        self.log("validation", found, on_epoch=True, on_step=False, batch_size=1)

    def kept(self) -> dict[str, Tensor]:
        """The weights that were judged."""
        return copy.deepcopy(self.network.state_dict() if self.mean is None else self.mean)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mean"] = self.mean

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.mean = checkpoint["mean"]

    def configure_optimizers(self) -> Any:
        settings = self.settings
        wanted = [p for p in self.network.parameters() if p.requires_grad]
        rate = settings.learning_rate
        optimizer: torch.optim.Optimizer
        if settings.optimizer == "rmsprop":
            optimizer = torch.optim.RMSprop(wanted, lr=rate)
        else:
            optimizer = torch.optim.AdamW(wanted, lr=rate, weight_decay=settings.weight_decay)
        if settings.schedule == "once":
            steps = self.task.steps * settings.epochs + 1
            once = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, rate, total_steps=steps, cycle_momentum=settings.optimizer == "adamw"
            )
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": once, "interval": "step"}}
        if settings.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "validation"}}
        return optimizer


class _Epoch:
    """The batches of one epoch; Lightning wants to know how many."""

    def __init__(self, batches: Callable[[int], Iterable[Any]], epoch: int, steps: int) -> None:
        self.batches, self.epoch, self.steps = batches, epoch, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches(self.epoch))


class _BestWeights(pl.Callback):
    """Keeps the weights with the best validation; they travel with the checkpoint."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] | None = None
        self.best = float("inf")
        self.seen: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        found = float(trainer.callback_metrics["validation"])
        self.seen.append(found)
        if found < self.best and isinstance(pl_module, _Fit):
            self.best, self.weights = found, pl_module.kept()

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "best": self.best, "seen": self.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.weights, self.best, self.seen = state_dict["weights"], state_dict["best"], state_dict["seen"]
