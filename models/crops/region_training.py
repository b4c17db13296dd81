"""LSTM-MTL fitted to pixels and asked: every step draws as many pixels of each region, and adds their losses up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.crops.balancing import balanced
from models.crops.lstm_mtl import WIDTH, LstmMtl
from models.crops.pixel_networks import Scales, augmented
from models.crops.sampling import alike_by_region
from models.crops.seasons import so_far
from models.crops.series import CropError, FloatArray, IntArray, PixelSeries
from models.crops.training import Task, TrainingSettings, class_loss, class_weights, train

_CHUNK = 4096
Batch = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]
"""Series, lengths, labels and weights of each region."""


def _training() -> TrainingSettings:
    return TrainingSettings(epochs=60, learning_rate=5e-4, optimizer="adamw", weight_decay=1e-3, patience=0)


@dataclass(frozen=True)
class RegionSettings:
    """What decides an LSTM-MTL; the paper names width, layers and Adam, the rest is DeepCropMapping's or ours.

    Attributes:
        width: of the shared state in each direction.
        dropout: share dropped.
        training: the loop.
        batch: pixels of each region a step.
        truncated: whether each training series ends at a date drawn anew every time, all dates alike, so that one
            network maps at any date of the season.
        balance: see :func:`models.crops.balancing.balanced`.
        weighted: whether classes weigh ``n_max / n_u`` in the loss.
        jitter: standard deviation of noise on training series, in each band's own.
        level: standard deviation of a shift of a whole band of a pixel, in each band's own.
        dropped: share of steps of training series that are replaced by the step before.
    """

    width: int = WIDTH
    dropout: float = 0.5
    training: TrainingSettings = field(default_factory=_training)
    batch: int = 64
    truncated: bool = False
    balance: str = "none"
    weighted: bool = False
    jitter: float = 0.0
    level: float = 0.0
    dropped: float = 0.0


def fit_regions(
    pixels: PixelSeries,
    validation: PixelSeries | None,
    settings: RegionSettings,
    seed: int,
    folder: Path | None = None,
) -> LstmMtl:
    """Train LSTM-MTL with a head for each region of the pixels; with one region it is AtBiLSTM.

    Args:
        pixels: to fit to, seasons from planting; NaN where a step was not seen.
        validation: pixels that decide when to stop; None trains all epochs.
        settings: how.
        seed: of everything random.
        folder: where to keep what it takes to go on.

    Raises:
        CropError: a region without pixels.
        DivergedError: the loss is no longer finite.
    """
    for index, name in enumerate(pixels.regions):
        if not (pixels.region == index).any():
            raise CropError(f"{name} has no pixels to train on; leave the region out, or label some there")
    scales = Scales.of(pixels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LstmMtl(scales, len(pixels.regions), pixels.classes, settings.width, settings.dropout)
    more = balanced(pixels, settings.balance, seed)
    of_class = class_weights(more.label, more.classes) if settings.weighted else None
    spread, mean = (torch.tensor(each, dtype=torch.float32) for each in (scales.std, scales.mean))

    def batches(epoch: int) -> Iterator[Batch]:
        random = np.random.default_rng((seed, epoch, 1))
        for parts in alike_by_region(more.region, settings.batch, seed, epoch):
            lengths = [_lengths(len(part), len(more.steps), random if settings.truncated else None) for part in parts]
            series = [
                so_far(more.values[part], length, mean.numpy()) for part, length in zip(parts, lengths, strict=True)
            ]
            yield (
                [torch.as_tensor(each) for each in series],
                [torch.as_tensor(each) for each in lengths],
                [torch.as_tensor(more.label[part]) for part in parts],
                [torch.as_tensor(more.weight[part]) for part in parts],
            )

    def loss(module: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(module, LstmMtl)
        series, lengths, label, weight = batch
        series = [augmented(each, spread, settings.jitter, settings.level, settings.dropped) for each in series]
        logits = module.heads_of(series, lengths if settings.truncated else None)
        return sum_of_regions(logits, label, weight, of_class)

    def validate(module: nn.Module) -> float:
        assert validation is not None
        assert isinstance(module, LstmMtl)
        found = torch.as_tensor(region_logits(module, validation, mean.numpy()))
        label, weight = torch.as_tensor(validation.label), torch.as_tensor(validation.weight)
        here = [torch.as_tensor(np.flatnonzero(validation.region == r)) for r in np.unique(validation.region)]
        return float(
            sum_of_regions([found[i] for i in here], [label[i] for i in here], [weight[i] for i in here], of_class)
        )

    steps = sum(1 for _ in alike_by_region(more.region, settings.batch, seed, 0))
    train(
        network, Task(batches, steps, loss, None if validation is None else validate), settings.training, seed, folder
    )
    return network


def sum_of_regions(
    logits: list[Tensor], label: list[Tensor], weight: list[Tensor], of_class: Tensor | None = None
) -> Tensor:
    """The plain sum of the regions' mean losses: every region counts alike, however many pixels it has."""
    each = [class_loss(*of_region, of_class) for of_region in zip(logits, label, weight, strict=True)]
    return torch.stack(each).sum()


def region_logits(
    network: LstmMtl,
    pixels: PixelSeries,
    instead: FloatArray,
    known: int | None = None,
    region: IntArray | None = None,
) -> FloatArray:
    """(n, classes) logits of pixels, each by its region's head.

    Args:
        network: trained.
        pixels: seasons from planting; NaN where a step was not seen.
        instead: (bands,) for a band that was not seen yet: the means of the training pixels.
        known: steps of the season that have passed; all where None. Nothing later is looked at.
        region: (n,) other indices of regions than the pixels' own; -1 takes the mean of the heads.
    """
    region = pixels.region if region is None else region
    steps = len(pixels.steps) if known is None else known
    network.eval()
    parts = []
    with torch.no_grad():
        for begin in range(0, len(pixels), _CHUNK):
            here = slice(begin, begin + _CHUNK)
            values = pixels.values[here, :steps]
            series = so_far(values, np.full(len(values), steps), instead)
            parts.append(network(torch.as_tensor(series), torch.as_tensor(region[here])).numpy())
    found: FloatArray = np.concatenate(parts)
    return found


def _lengths(pixels: int, steps: int, random: np.random.Generator | None) -> IntArray:
    return np.full(pixels, steps) if random is None else random.integers(1, steps + 1, pixels)
