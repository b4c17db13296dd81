"""Training of a yield map network under Lightning: the paper's optimiser, stopped at any moment and gone on with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from models.maps.errors import MapError
from models.trainer import quiet_trainer
from models.yields.pixels.batches import Augmentation, Batch, Collate, Encoding, Tiles, Weighing
from models.yields.pixels.losses import LossSettings, loss_terms
from models.yields.pixels.network import NetworkSettings, YieldMapNetwork
from models.yields.pixels.scales import BandScale, YieldScale
from models.yields.pixels.scenes import Points, Scene
from models.yields.pixels.straight import fit_line
from models.yields.training import DivergedError

_LAST = "last.ckpt"


@dataclass(frozen=True)
class TrainingSettings:
    """What decides a training beside the network; the paper's section 4.1.2 where nothing is said.

    Attributes:
        epochs: passes over the tiles.
        batch: tiles a step.
        optimizer: stochastic gradient with momentum 0.9, or AdamW.
        learning_rate: the highest; it rises over the warm-up and falls as a cosine.
        weight_decay: of the optimiser.
        warm_up: steps.
        loss: weights of its terms.
        augmentation: what is changed at random.
        weighing: of the points.
        per_crop: whether yields are normalised crop by crop.
        keep_every: epochs between checkpoints.
    """

    epochs: int = 300
    batch: int = 8
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.008
    weight_decay: float = 0.009
    warm_up: int = 100
    loss: LossSettings = field(default_factory=LossSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    weighing: Weighing = field(default_factory=Weighing)
    per_crop: bool = True
    keep_every: int = 5

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with the constants that it was trained with.

    Attributes:
        network: in evaluation mode, on the CPU.
        encoding: constants.
        crops: names of the crops by their index.
    """

    network: YieldMapNetwork
    encoding: Encoding
    crops: tuple[str, ...]


def fit_encoding(tiles: Sequence[Scene], network: NetworkSettings, *, per_crop: bool = True) -> Encoding:
    """Constants of a training: scales of bands and yields.

    Raises:
        MapError: nothing was seen, no yields where they are predicted, dates that differ where they are stacked.
    """
    bands = BandScale.fit(tiles, per_date=network.over_time == "stack")
    crops = network.classes - 1
    points = Points.joined([tile.points for tile in tiles])
    yields = (
        YieldScale.fit(points, crops, per_crop=per_crop)
        if network.yields
        else YieldScale((0.0,) * crops, (1.0,) * crops)
    )
    return Encoding(bands, yields, network.classes, BandScale.fit_radar(tiles) if network.radar_bands else None)


def train(
    tiles: Sequence[Scene],
    crops: Sequence[str],
    network: NetworkSettings,
    settings: TrainingSettings,
    seed: int = 0,
    *,
    folder: Path | None = None,
    start: dict[str, Tensor] | None = None,
) -> Trained:
    """Train a network; an epoch is the same whether the training was stopped before it or not.

    Args:
        tiles: to fit to, all of one size.
        crops: names of the crops by their index, one less than the network's classes.
        network: its form.
        settings: the training.
        seed: of initial weights, order and augmentation.
        folder: for checkpoints; a training that was stopped there is gone on with.
        start: weights to begin with, such as those of :mod:`models.yields.pixels.pretraining`; others stay random.

    Raises:
        DivergedError: the loss is no longer finite.
        MapError: no tiles, or names that do not fit the classes.
    """
    if len(crops) != network.classes - 1:
        raise MapError(f"{len(crops)} crops are named and the network has {network.classes} classes with unlabelled")
    if not tiles:
        raise MapError("there are no tiles with labels to train on")
    encoding = fit_encoding(tiles, network, per_crop=settings.per_crop)
    if network.straight:
        line, tiles = fit_line(tiles, encoding, network)
        start = {**(start or {}), **line}
    data = Tiles(tiles, encoding, settings.weighing)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice on loaders and loggers
        warnings.filterwarnings("ignore", message=".*treespec.*", category=FutureWarning)
        torch.manual_seed(seed)
        model = YieldMapNetwork(network)
        if start is not None:
            model.load_state_dict(start, strict=False)
        module = _Fit(model, data, settings, seed)
        run(module, settings.epochs, settings.keep_every, folder)
    return Trained(model.cpu().eval(), encoding, tuple(crops))


def run(module: pl.LightningModule, epochs: int, keep_every: int, folder: Path | None) -> None:
    """Fit a module that makes its batches anew every epoch, with checkpoints in a folder where there is one."""
    callbacks: list[pl.Callback] = []
    last = None if folder is None else folder / _LAST
    if folder is not None:
        callbacks.append(_Keep(folder, keep_every))
    trainer = quiet_trainer(epochs, callbacks, keeps=folder is not None, reload=True, clip=5.0)
    trainer.fit(module, ckpt_path=str(last) if last is not None and last.is_file() else None)


class _Keep(Checkpoint):
    """Keeps where a training is, whole or not at all."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep after so many epochs."""
        if (pl_module.current_epoch + 1) % self.every == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / f"{_LAST}.partial"
            trainer.save_checkpoint(partial)
            partial.replace(self.folder / _LAST)


class _Fit(pl.LightningModule):
    def __init__(self, network: YieldMapNetwork, data: Tiles, settings: TrainingSettings, seed: int) -> None:
        super().__init__()
        self.network, self.data, self.settings, self.seed = network, data, settings, seed

    def train_dataloader(self) -> EpochBatches:
        return EpochBatches(
            self.data, self.settings.batch, self.settings.augmentation, self.seed + 7919 * self.current_epoch
        )

    def on_train_epoch_start(self) -> None:
        # dropout of an epoch is its own, whatever came before
        torch.manual_seed(self.seed + 7919 * self.current_epoch)

    def training_step(self, batch: Batch, _number: int) -> Tensor:
        maps = self.network(batch.images, batch.clear, batch.days, batch.radar, batch.radar_days)
        loss = loss_terms(maps, batch.points, batch.crops, self.settings.loss).total(self.settings.loss)
        if not bool(torch.isfinite(loss)):
            raise DivergedError(
                f"the loss is {float(loss.detach())} in epoch {self.current_epoch}; take a lower learning rate"
            )
        return loss

    def configure_optimizers(self) -> Any:
        steps = batches_of(len(self.data), self.settings.batch) * self.settings.epochs
        return optimizer_of(self.network, self.settings, steps)


class EpochBatches:
    """Batches of one epoch, the same each time they are asked for; a last batch of one tile is left out.

    A tile alone has no variance for batch normalisation.

    Args:
        data: the tiles.
        batch: how many at a time.
        augmentation: what is changed at random.
        seed: of order and augmentation.
    """

    def __init__(self, data: Tiles, batch: int, augmentation: Augmentation, seed: int) -> None:
        self.data, self.batch, self.augmentation, self.seed = data, batch, augmentation, seed

    def __len__(self) -> int:
        return batches_of(len(self.data), self.batch)

    def __iter__(self) -> Iterator[Batch]:
        order = np.random.default_rng(self.seed).permutation(len(self.data)).tolist()
        collate = Collate(self.data.encoding, self.augmentation, self.seed)
        for number in range(len(self)):
            yield collate([self.data[at] for at in order[number * self.batch : (number + 1) * self.batch]])


def batches_of(tiles: int, batch: int) -> int:
    """How many batches an epoch has."""
    return max(1, math.ceil(tiles / batch) - (tiles % batch == 1))


def optimizer_of(network: torch.nn.Module, settings: TrainingSettings, steps: int) -> Any:
    """Optimiser with its learning rate's course: a linear warm-up, then half a cosine to zero."""
    rate, decay = settings.learning_rate, settings.weight_decay
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    if settings.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(learned, lr=rate, momentum=0.9, weight_decay=decay)
    else:
        optimizer = torch.optim.AdamW(learned, lr=rate, weight_decay=decay)

    def course(step: int) -> float:
        if step < settings.warm_up:
            return (step + 1) / settings.warm_up
        share = (step - settings.warm_up) / max(1, steps - settings.warm_up)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, course)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
