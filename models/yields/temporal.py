"""A temporal convolutional network (Bai et al., arXiv 1803.01271) and convolutions of several lengths over time."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

Padding = Literal["causal", "same"]

_KERNEL = 3


class _Convolution(nn.Module):
    """A dilated convolution with weight normalisation that keeps the length of the series."""

    def __init__(self, inputs: int, outputs: int, dilation: int, padding: Padding) -> None:
        super().__init__()
        self.convolution = weight_norm(nn.Conv1d(inputs, outputs, _KERNEL, dilation=dilation))
        reach = (_KERNEL - 1) * dilation
        self.padding = (reach, 0) if padding == "causal" else (reach // 2, reach - reach // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, T)."""
        y: Tensor = self.convolution(F.pad(x, self.padding))
        return y


class _ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int, dropout: float, padding: Padding) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _Convolution(inputs, outputs, dilation, padding),
            nn.ReLU(),
            nn.Dropout(dropout),
            _Convolution(outputs, outputs, dilation, padding),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.skip: nn.Module = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class TemporalConvolutions(nn.Module):
    """Two residual blocks of dilation 1 and 2: each month sees the twelve before it.

    Args:
        inputs: channels in.
        outputs: channels out.
        dropout: after each convolution.
        padding: "causal" looks back only; "same" to both sides.
    """

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.1, padding: Padding = "causal") -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _ResidualBlock(inputs, outputs, 1, dropout, padding),
            _ResidualBlock(outputs, outputs, 2, dropout, padding),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, T, C); same length out."""
        y: Tensor = self.blocks(x.transpose(1, 2))
        return y.transpose(1, 2)


class MultiScale(nn.Module):
    """Convolutions over one, three and five steps, weighted by what the sample holds, added to it.

    Args:
        channels: width D.
    """

    LENGTHS = (1, 3, 5)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(nn.Conv1d(channels, channels, n, padding=n // 2), nn.BatchNorm1d(channels), nn.GELU())
            for n in self.LENGTHS
        )
        self.weigh = nn.Linear(channels, len(self.LENGTHS))

    def forward(self, x: Tensor) -> Tensor:
        """Mix a (B, T, D) series; same shape out."""
        weights = torch.softmax(self.weigh(x.mean(dim=1)), dim=1)
        series = x.transpose(1, 2)
        scaled = torch.stack([scale(series) for scale in self.scales], dim=1)  # (B, 3, D, T)
        mixed = (scaled * weights[:, :, None, None]).sum(dim=1)
        return x + mixed.transpose(1, 2)
