"""What a network learns from: sparse yields, crops with gaps, consistency (the paper's equations 5 to 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from models.yields.pixels.consistency import Reduction, consistency_loss
from models.yields.pixels.network import Maps

# share of a variance's size that weighs its point: 0 is the plain likelihood, 1 the squared error's gradient
_BETA = 0.5


class PointLabels(NamedTuple):
    """Yields at points of a batch.

    Attributes:
        tile: (N) which tile of the batch.
        row: (N) of the tile.
        column: (N) of the tile.
        yields: (N) normalised.
        weight: (N) how much each counts.
    """

    tile: Tensor
    row: Tensor
    column: Tensor
    yields: Tensor
    weight: Tensor


@dataclass(frozen=True)
class LossSettings:
    """Weights of the terms, the paper's, and what goes beyond it.

    Attributes:
        yields: of the squared error.
        crops: of the Dice loss.
        consistency: of the consistency loss.
        reduction: of the consistency loss.
        entropy: of a cross-entropy beside Dice; 0 as in the paper.
    """

    yields: float = 5.0
    crops: float = 1.0
    consistency: float = 0.1
    reduction: Reduction = "mean"
    entropy: float = 0.0


class Terms(NamedTuple):
    """Terms of a loss, unweighted; each a scalar that is 0 where nothing was labelled."""

    yields: Tensor
    crops: Tensor
    consistency: Tensor
    entropy: Tensor

    def total(self, settings: LossSettings) -> Tensor:
        """Weighted sum."""
        return (
            settings.yields * self.yields
            + settings.crops * self.crops
            + settings.consistency * self.consistency
            + settings.entropy * self.entropy
        )


def loss_terms(maps: Maps, points: PointLabels, crops: Tensor, settings: LossSettings) -> Terms:
    """Compare what a network says with the labels.

    Args:
        maps: what it says.
        points: yields.
        crops: (B, H, W) class of each pixel; the network's last class, unlabelled, has no loss.
        settings: see there.
    """
    yields = crop = entropy = torch.zeros((), device=crops.device)
    if maps.yields is not None:
        yields = yield_loss(maps.yields, maps.log_variance, points)
    if maps.crops is not None:
        crop = dice_loss(maps.crops, crops)
        if settings.entropy:
            entropy = _entropy(maps.crops, crops)
    levels = consistency_loss(maps.levels, settings.reduction) if maps.levels else torch.zeros_like(yields)
    return Terms(yields, crop, levels, entropy)


def yield_loss(said: Tensor, log_variance: Tensor | None, points: PointLabels) -> Tensor:
    """Weighted squared error at the labelled points alone; 0 with a gradient of 0 where there is none.

    With a variance: half the negative log likelihood of a normal distribution, each point weighted by its variance to
    the power of β, so that hard pixels are not given up (Seitzer et al. 2022, arXiv:2203.09168).

    Args:
        said: (B, H, W) yields.
        log_variance: (B, H, W), or None.
        points: of the batch.
    """
    if not len(points.tile):
        return 0 * said.sum()
    at = points.tile, points.row, points.column
    errors = (said[at] - points.yields) ** 2
    if log_variance is not None:
        log = log_variance[at]
        errors = (log * _BETA).exp().detach() * (errors * (-log).exp() + log) / 2
    return (points.weight * errors).sum() / points.weight.sum()


def dice_loss(logits: Tensor, crops: Tensor) -> Tensor:
    """One less the overlap of each class that is in the batch, averaged over these classes; soft, over labelled pixels.

    Args:
        logits: (B, classes, H, W); the last class is unlabelled.
        crops: (B, H, W).
    """
    unlabelled = logits.shape[1] - 1
    labelled = (crops != unlabelled)[:, None]
    if not labelled.any():
        return 0 * logits.sum()
    shares = logits.softmax(1)[:, :unlabelled] * labelled
    truth = F.one_hot(crops.long(), unlabelled + 1).permute(0, 3, 1, 2)[:, :unlabelled] * labelled
    both, sizes = (shares * truth).sum((0, 2, 3)), (shares + truth).sum((0, 2, 3))
    there = truth.sum((0, 2, 3)) > 0
    return (1 - 2 * both[there] / sizes[there]).mean()


def _entropy(logits: Tensor, crops: Tensor) -> Tensor:
    unlabelled = logits.shape[1] - 1
    if not (crops != unlabelled).any():
        return 0 * logits.sum()
    return F.cross_entropy(logits[:, :unlabelled], crops.long(), ignore_index=unlabelled)


Imbalance = Literal["none", "density"]


def density_weights(yields: Tensor, bins: int = 50, spread: float = 0.05) -> Tensor:
    """Weights that let rare yields count as much as common ones, one on average.

    Inverse of the square root of the smoothed density of the labels (Yang et al. 2021, arXiv:2102.09554).

    Args:
        yields: (N) normalised labels of the training.
        bins: of their range.
        spread: of the smoothing kernel as a share of the range.
    """
    low, high = yields.min(), yields.max()
    if not high > low:
        return torch.ones_like(yields)
    place = ((yields - low) / (high - low) * (bins - 1)).round().long()
    counts = torch.bincount(place, minlength=bins).double()
    distance = torch.arange(bins, dtype=torch.float64)
    kernel = (-0.5 * ((distance[:, None] - distance) / (spread * bins)) ** 2).exp()
    density = (kernel * counts).sum(1)
    weights = density[place].rsqrt()
    return (weights / weights.mean()).to(yields.dtype)
