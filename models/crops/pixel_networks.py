"""Networks that read one pixel's series: how they are fitted, asked, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.crops.sampling import shuffled
from models.crops.series import CropError, FloatArray, PixelSeries
from models.crops.training import Task, TrainingSettings, class_loss, class_weights, train

_CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Scales:
    """Constants of the training pixels.

    Attributes:
        mean: (bands,) of each band.
        std: (bands,) of each band.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, pixels: PixelSeries) -> Scales:
        """Means and standard deviations of the bands, whatever is missing left out.

        Raises:
            CropError: a band that was never seen.
        """
        if unseen := [b for b, v in zip(pixels.bands, pixels.values.T, strict=True) if not np.isfinite(v).any()]:
            raise CropError(f"no training pixel has a value of {unseen[0]}; leave that band out")
        flat = pixels.values.reshape(-1, len(pixels.bands)).astype(np.float64)
        return cls(tuple(np.nanmean(flat, 0).tolist()), tuple(np.nanstd(flat, 0).tolist()))


Build = Callable[[Scales, int, int], nn.Module]
"""Makes a network of (constants, steps, classes); it takes (B, steps, bands) and gives (B, classes) logits."""


@dataclass(frozen=True)
class FitSettings:
    """How a network is fitted to pixels.

    Attributes:
        training: the loop.
        batch: pixels a step.
        weighted: whether classes weigh ``n_max / n_u``, and not all the same.
        jitter: standard deviation of noise on training series, in each band's own; a kind of augmentation.
        level: standard deviation of a shift of a whole band of a pixel, in each band's own.
        dropped: share of steps of training series that are replaced by the step before.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    batch: int = 128
    weighted: bool = False
    jitter: float = 0.0
    level: float = 0.0
    dropped: float = 0.0


def fit(
    network: nn.Module,
    pixels: PixelSeries,
    validation: PixelSeries | None,
    settings: FitSettings,
    seed: int,
    folder: Path | None = None,
) -> list[float]:
    """Fit a network to pixels in place.

    Args:
        network: to fit; it goes on from the weights it has.
        pixels: without gaps.
        validation: pixels that decide when to stop; None trains all epochs.
        settings: how.
        seed: of everything random.
        folder: where to keep what it takes to go on.

    Returns:
        The validation of each epoch: the loss that is trained with, on the validation pixels.

    Raises:
        CropError: a series with gaps, or no pixels.
        DivergedError: the loss is no longer finite.
    """
    if len(pixels) < 2 or not np.isfinite(pixels.values).all():
        raise CropError(f"{len(pixels)} training pixels, some with gaps; give two at least and fill their gaps")
    values, label, weight = _tensors(pixels)
    of_class = class_weights(pixels.label, pixels.classes) if settings.weighted else None
    spread = torch.as_tensor(Scales.of(pixels).std, dtype=torch.float32)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for part in shuffled(len(pixels), settings.batch, seed, epoch):
            yield values[part], label[part], weight[part]

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        series, classes, weights = batch
        return class_loss(module(_augmented(series, spread, settings)), classes, weights, of_class)

    def validate(module: nn.Module) -> float:
        assert validation is not None
        logits = torch.as_tensor(predict_logits(module, validation.values))
        _, classes, weights = _tensors(validation)
        return float(class_loss(logits, classes, weights, of_class))

    steps = sum(1 for _ in shuffled(len(pixels), settings.batch, seed, 0))
    task = Task(batches, steps, loss, None if validation is None else validate)
    return train(network, task, settings.training, seed, folder)


def predict_logits(network: nn.Module, values: FloatArray) -> FloatArray:
    """(n, classes) logits of series (n, time, bands) without gaps, in parts of bounded size."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    parts = []
    with torch.no_grad():
        for begin in range(0, len(values), _CHUNK):
            part = torch.as_tensor(values[begin : begin + _CHUNK]).to(device)
            parts.append(network(part).float().cpu().numpy())
    network.train(was_training)
    found: FloatArray = np.concatenate(parts)
    return found


def probabilities(logits: FloatArray) -> FloatArray:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    found: FloatArray = shifted / shifted.sum(-1, keepdims=True)
    return found


def _tensors(pixels: PixelSeries) -> tuple[Tensor, Tensor, Tensor]:
    return torch.as_tensor(pixels.values), torch.as_tensor(pixels.label), torch.as_tensor(pixels.weight)


def _augmented(series: Tensor, spread: Tensor, settings: FitSettings) -> Tensor:
    spread = spread.to(series)
    if settings.jitter:
        series = series + settings.jitter * spread * torch.randn_like(series)
    if settings.level:
        series = series + settings.level * spread * torch.randn_like(series[:, :1])
    if settings.dropped:
        before = torch.cat([series[:, :1], series[:, :-1]], 1)
        series = torch.where(torch.rand_like(series[..., :1]) < settings.dropped, before, series)
    return series
