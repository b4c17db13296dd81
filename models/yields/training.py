"""Training of one network under Lightning: a fixed number of epochs, or the paper's rule for when to stop."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from models.trainer import quiet_trainer
from models.yields.encoding import Encoding
from models.yields.graphs import GraphPredictor
from models.yields.samples import Samples
from models.yields.stacked import train_stack
from models.yields.table import FloatArray

for _name in ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities.rank_zero"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # devices found, and advice

_AT_ONCE = 32  # networks in a stack: more gain no time and need memory
_FACTOR, _PATIENCE = 0.5, 8  # of the paper's falling learning rate, which it does not give


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""

    exit_code = 1


class YieldNetwork(Protocol):
    """A network of seasons."""

    def standardised(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """(B,) yields on the scale of the training yields."""
        ...


@dataclass(frozen=True)
class TrainingSettings:
    """What decides a training beside the network.

    Attributes:
        epochs: passes over the rows; the most of them where there are rows to validate on.
        batch: rows a step, all where there are fewer.
        learning_rate: the highest.
        weight_decay: AdamW's; 0 is Adam.
        patience: epochs without a better validation after which to stop.
        stranger: share of rows in each step whose county is hidden, so that a place that is not known has learned too.
    """

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    patience: int = 20
    stranger: float = 0.1


# Table 5 of the paper
PAPER = TrainingSettings(epochs=500, batch=32, learning_rate=1e-3, weight_decay=0.0, patience=20)


def train_network(
    build: Callable[[Encoding], nn.Module],
    rows: Samples,
    settings: TrainingSettings,
    seed: int,
    validation: Samples | None = None,
) -> GraphPredictor:
    """Train a network.

    Without validation the learning rate rises and falls once over all epochs, and the last weights are kept, so that no
    row decides when to stop. With it, the rate is halved when validation does not improve, training stops after some
    epochs of that, and the best weights are kept, as in the paper.

    Args:
        build: makes the network for an encoding of the rows.
        rows: to fit to.
        settings: the training.
        seed: of initial values, order of rows and dropout.
        validation: rows that decide when to stop.

    Returns:
        It gives yields in kg/ha of any rows.

    Raises:
        DivergedError: the loss is no longer finite.
    """
    if validation is None:
        return train_networks(build, [rows], settings, [seed])[0]
    encoding = Encoding.fit(rows)
    with _quiet():
        torch.manual_seed(seed)
        network = build(encoding)
        best = _BestWeights()
        stop = EarlyStopping("validation", patience=settings.patience, check_finite=True)
        trainer = quiet_trainer(settings.epochs, [best, stop])
        module = _Fit(network, settings)
        trainer.fit(
            module, _loader(encoding, rows, settings.batch, seed), _loader(encoding, validation, len(validation), None)
        )
    if not bool(torch.isfinite(module.last_loss)):
        raise DivergedError(f"the loss is {float(module.last_loss)} after training; take a lower learning rate")
    if best.weights is not None:
        network.load_state_dict(best.weights)
    return predictor(network, encoding)


def train_networks(
    build: Callable[[Encoding], nn.Module], parts: Sequence[Samples], settings: TrainingSettings, seeds: Sequence[int]
) -> list[GraphPredictor]:
    """Train networks of one graph at once, each on its own rows, for a fixed number of epochs.

    Args:
        build: makes a network for an encoding of its rows.
        parts: rows for each.
        settings: the training.
        seeds: of each one's initial values and order of rows; the first also of what is left to chance in all.

    Returns:
        What gives yields in kg/ha of any rows, for each.

    Raises:
        DivergedError: a loss is no longer finite.
    """
    encodings = [Encoding.fit(part) for part in parts]
    networks = []
    with _quiet():
        for encoding, seed in zip(encodings, seeds, strict=True):
            torch.manual_seed(seed)
            networks.append(build(encoding))
        torch.manual_seed(seeds[0])
        stacks = [slice(first, first + _AT_ONCE) for first in range(0, len(networks), _AT_ONCE)]
        losses = torch.cat([train_stack(networks[s], encodings[s], parts[s], settings, seeds[s]) for s in stacks])
    if not bool(torch.isfinite(losses).all()):
        raise DivergedError(f"losses are {losses.tolist()} after training; take a lower learning rate")
    return [predictor(network, encoding) for network, encoding in zip(networks, encodings, strict=True)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice, and with the process's chance as it was."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice on loaders and loggers
        warnings.filterwarnings("ignore", message=".*treespec.*", category=FutureWarning)
        yield


def predictor(network: nn.Module, encoding: Encoding) -> GraphPredictor:
    """What gives yields in kg/ha of any rows by a trained network."""
    network = network.cpu().eval()

    def predict(samples: Samples) -> FloatArray:
        with torch.no_grad():
            yields: FloatArray = network(*encoding.inputs(samples)).double().numpy()
        return yields

    return GraphPredictor(predict, network, encoding.counties)


class _Fit(pl.LightningModule):
    """Weighted squared error on the scale of the training yields."""

    def __init__(self, network: Any, settings: TrainingSettings) -> None:
        super().__init__()
        self.network, self.settings = network, settings
        self.last_loss = torch.tensor(0.0)

    def _loss(self, batch: list[Tensor]) -> Tensor:
        season, county, year, area, target, weight = batch
        if self.training:
            county = torch.where(torch.rand(len(county), device=county.device) < self.settings.stranger, 0, county)
        found = self.network.standardised(season, county, year, area)
        loss: Tensor = (weight * (found - target) ** 2).sum() / weight.sum()
        return loss

    def training_step(self, batch: list[Tensor], _number: int) -> Tensor:
        loss = self._loss(batch)
        self.last_loss = loss.detach()
        return loss

    def validation_step(self, batch: list[Tensor], _number: int) -> None:
        self.log("validation", self._loss(batch), on_epoch=True, on_step=False, batch_size=len(batch[0]))

    def configure_optimizers(self) -> Any:
        rate = self.settings.learning_rate
        optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=self.settings.weight_decay)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=_FACTOR, patience=_PATIENCE)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "validation"}}


class _BestWeights(Callback):
    """Keeps the weights with the best validation."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] | None = None
        self.best = float("inf")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights when they are the best so far."""
        found = float(trainer.callback_metrics["validation"])
        if found < self.best and isinstance(pl_module, _Fit):
            self.best, self.weights = found, copy.deepcopy(pl_module.network.state_dict())


def _loader(encoding: Encoding, rows: Samples, batch: int, seed: int | None) -> DataLoader[tuple[Tensor, ...]]:
    """Batches in an order of the seed's; in their own order where there is none."""
    scales = encoding.scales
    target = (torch.tensor(rows.yields) - scales.yield_mean) / (scales.yield_std or 1.0)
    weight = torch.tensor(rows.weight, dtype=torch.float32)
    data = TensorDataset(*encoding.inputs(rows), target.float(), weight)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    alone = len(rows) % batch == 1 and len(rows) > 1
    return DataLoader(data, batch, shuffle=seed is not None, generator=generator, drop_last=seed is not None and alone)
