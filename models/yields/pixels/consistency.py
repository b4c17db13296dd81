"""Task consistency: where the yield and the crop decoder hear of each other (the paper's section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Reduction = Literal["mean", "sum"]
_SQUEEZE = 16


class Scse(nn.Module):
    """Spatial and channel squeeze and excitation, added up (Roy et al. 2018).

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // _SQUEEZE)
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, narrow, 1),
            nn.ReLU(),
            nn.Conv2d(narrow, channels, 1),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        """Weigh features: (B, C, H, W) to the same shape."""
        weighed: Tensor = features * self.channel(features) + features * self.spatial(features)
        return weighed


class Level(NamedTuple):
    """Task features of one level less the shared ones, each (B, C, H, W)."""

    yields: Tensor
    crops: Tensor


class TaskConsistency(nn.Module):
    """One block: features of both tasks in, the shared ones plus each task's own out.

    Args:
        channels: of the features of either task.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # equation 1: the inner convolution first; neither norm nor activation is told, so there is none
        self.join = nn.Sequential(nn.Conv2d(2 * channels, channels, 1), nn.Conv2d(channels, channels, 1))
        self.shared, self.yields, self.crops = Scse(channels), Scse(channels), Scse(channels)

    def forward(self, yields: Tensor, crops: Tensor) -> tuple[Tensor, Tensor, Level]:
        """Refined features of the yield and of the crop decoder, and what each adds to the shared ones.

        Args:
            yields: (B, C, H, W) features of the yield decoder.
            crops: (B, C, H, W) features of the crop decoder.
        """
        shared = self.shared(self.join(torch.cat([yields, crops], 1)))
        own = Level(self.yields(yields), self.crops(crops))
        return shared + own.yields, shared + own.crops, own


def consistency_loss(levels: Sequence[Level], reduction: Reduction) -> Tensor:
    """Squared distance of the tasks' refined features from the shared ones, over all levels (equation 8).

    Args:
        levels: of one forward pass, one at least.
        reduction: ``sum`` as printed, a sum over some 10⁶ elements an image; ``mean`` over the elements of each level.
    """
    of = torch.Tensor.sum if reduction == "sum" else torch.Tensor.mean
    return torch.stack([of(level.yields**2) + of(level.crops**2) for level in levels]).sum()
