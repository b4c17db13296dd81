"""A z-score whose constants travel with a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """A fixed z-score; its constants travel with the network.

    Args:
        mean: of each channel over the training set.
        std: likewise; a channel that never changed is only shifted.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise ValueError(f"{len(mean)} means and {len(std)} standard deviations; give one of each a channel")
        spread = torch.tensor(std, dtype=torch.float64)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64).float())
        self.register_buffer("std", torch.where(spread > 0, spread, torch.ones_like(spread)).float())

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (…, C)."""
        return (x - self.mean) / self.std

    def undo(self, x: Tensor) -> Tensor:
        """The values that were normalised to ``x``, (…, C)."""
        return x * self.std + self.mean
