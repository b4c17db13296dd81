"""Weights to begin with from tiles without labels: the encoder learns to say what it was not shown.

Squares of a tile, and whole dates where there are several, are hidden; a throw-away decoder says their bands (masked
image modelling, Xie et al. 2022, arXiv:2111.09886, on the encoder that is trained later). No weights are fetched.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from models.maps.errors import MapError
from models.yields.pixels.batches import Augmentation, Batch, Encoding, Tiles, Weighing
from models.yields.pixels.network import Maps, NetworkSettings, YieldMapNetwork
from models.yields.pixels.scales import BandScale, YieldScale
from models.yields.pixels.scenes import Points, Scene
from models.yields.pixels.training import EpochBatches, TrainingSettings, batches_of, optimizer_of, run

_SQUARE_PX = 4
_HIDDEN = 0.4


def pretrain(
    tiles: Sequence[Scene],
    network: NetworkSettings,
    settings: TrainingSettings,
    seed: int = 0,
    *,
    folder: Path | None = None,
) -> dict[str, Tensor]:
    """Weights of everything before the decoders.

    Args:
        tiles: of one size and, where dates are stacked, the same dates; labels are not looked at.
        network: the form that will be trained.
        settings: epochs, batch and optimiser; no other part of them counts.
        seed: of initial weights and of what is hidden.
        folder: for checkpoints; a training that was stopped there is gone on with.

    Raises:
        MapError: no tiles, or tiles of different numbers of dates.
    """
    tiles = [replace(tile, points=Points.none()) for tile in tiles]
    dates = {tile.images.shape[0] for tile in tiles}
    if len(dates) != 1:
        raise MapError(f"pre-training needs tiles of one number of dates and there are {sorted(dates)}; choose dates")
    bands = BandScale.fit(tiles, per_date=network.over_time == "stack")
    outputs = dates.pop() * network.bands
    # its crop decoder says bands: one output for each band of each date, and one that nothing is asked of
    form = replace(network, form="cc-unet", classes=outputs + 1, straight=False, uncertainty=False)
    encoding = Encoding(
        bands, YieldScale((0.0,), (1.0,)), 2, BandScale.fit_radar(tiles) if network.radar_bands else None
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message=".*treespec.*", category=FutureWarning)
        torch.manual_seed(seed)
        model = YieldMapNetwork(form)
        module = _Guess(model, Tiles(tiles, encoding, Weighing()), settings, seed)
        run(module, settings.epochs, settings.keep_every, folder)
    kept = ("over_time.", "radar.", "body.encoder.")
    return {name: values for name, values in model.cpu().state_dict().items() if name.startswith(kept)}


def hidden_squares(clear: Tensor, random: np.random.Generator) -> Tensor:
    """(B, T, H, W) what is hidden of a batch: squares, over all dates alike, and a date at a time where there are more.

    Args:
        clear: (B, T, H, W).
        random: the source of chance.
    """
    batch, dates, height, width = clear.shape
    coarse = random.random((batch, 1, -(-height // _SQUARE_PX), -(-width // _SQUARE_PX))) < _HIDDEN
    squares = torch.from_numpy(coarse.repeat(_SQUARE_PX, 2).repeat(_SQUARE_PX, 3)[:, :, :height, :width])
    hidden = squares.expand(batch, dates, height, width).clone()
    if dates > 1:
        hidden[torch.arange(batch), torch.from_numpy(random.integers(dates, size=batch))] = True
    return hidden & clear


class _Guess(pl.LightningModule):
    def __init__(self, network: YieldMapNetwork, data: Tiles, settings: TrainingSettings, seed: int) -> None:
        super().__init__()
        self.network, self.data, self.settings, self.seed = network, data, settings, seed
        self.random = np.random.default_rng(seed)

    def train_dataloader(self) -> EpochBatches:
        return EpochBatches(self.data, self.settings.batch, Augmentation(), self.seed + 7919 * self.current_epoch)

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.seed + 7919 * self.current_epoch)
        self.random = np.random.default_rng(self.seed + 7919 * self.current_epoch)

    def training_step(self, batch: Batch, _number: int) -> Tensor:
        return guess_loss(self.network, batch, hidden_squares(batch.clear.cpu(), self.random).to(batch.clear.device))

    def configure_optimizers(self) -> Any:
        steps = batches_of(len(self.data), self.settings.batch) * self.settings.epochs
        return optimizer_of(self.network, self.settings, steps)


def guess_loss(network: YieldMapNetwork, batch: Batch, hidden: Tensor) -> Tensor:
    """Squared error of the bands of hidden pixels; 0 with a gradient where nothing is hidden."""
    shown = batch.clear & ~hidden
    images = batch.images * shown[:, :, None]
    maps: Maps = network(images, shown, batch.days, batch.radar, batch.radar_days)
    assert maps.crops is not None
    said = maps.crops[:, :-1].reshape(batch.images.shape)
    mask = hidden[:, :, None].expand_as(said)
    if not mask.any():
        return 0 * said.sum()
    loss: Tensor = F.mse_loss(said[mask], batch.images[mask])
    return loss
