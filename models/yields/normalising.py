"""Normalisation of a season by itself (RevIN, Kim et al., ICLR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_EPSILON = 1e-5


class RevIN(nn.Module):
    """Takes each series' own level and spread out of it, channel by channel.

    A network that predicts one number in another unit has nothing to put them back into, so only the normalising half
    is used there; what was taken out is returned beside the series. Put a z-score before it: the constant under the
    root would erase channels of small numbers.

    Args:
        channels: number C of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise (B, T, C) over T.

        Returns:
            The normalised series, and mean and standard deviation (B, 1, C) of what it was.
        """
        mean = x.mean(dim=1, keepdim=True).detach()
        variance = ((x - mean) ** 2).mean(dim=1, keepdim=True).detach()
        std = torch.sqrt(variance + _EPSILON)
        return self.scale * (x - mean) / std + self.shift, mean, std

    def undo(self, x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """The series that was normalised to ``x``."""
        return (x - self.shift) / (self.scale + _EPSILON**2) * std + mean
