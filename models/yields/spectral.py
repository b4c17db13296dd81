"""The adaptive spectral block of TSLANet (Eldele et al., ICML 2024, arXiv 2404.08472) and its convolutional partner."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MaskGradient = Literal["official", "sigmoid"]

_TEMPERATURE = 0.1  # of the sigmoid that lends its slope to the mask


def fourier_matrices(steps: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine parts of the orthonormal real discrete Fourier transform.

    With them the transform of a (steps, D) series is ``cosine @ x`` + i · ``sine @ x``, so that an exported network
    needs no Fourier operator.

    Args:
        steps: length N of the series.

    Returns:
        Two matrices (⌊N/2⌋ + 1, N).
    """
    frequency = torch.arange(steps // 2 + 1, dtype=torch.float64)[:, None]
    angle = 2 * math.pi * frequency * torch.arange(steps, dtype=torch.float64) / steps
    scale = steps**-0.5
    return (scale * torch.cos(angle)).float(), (-scale * torch.sin(angle)).float()


def _frequency_counts(steps: int) -> Tensor:
    """(K, 1) how often each frequency of the half spectrum stands in the whole one."""
    counts = torch.full((steps // 2 + 1, 1), 2.0)
    counts[0] = 1
    if steps % 2 == 0:
        counts[-1] = 1
    return counts


class AdaptiveSpectralBlock(nn.Module):
    """Filters a series by frequency; frequencies of high energy pass a second filter too.

    The filters are one complex number a channel, the same for all frequencies. A frequency has high energy when it
    has more than a learned multiple of the sample's median energy.

    Args:
        steps: length N of the series.
        channels: width D.
        mask_gradient: how the threshold learns through the mask, a step. "official" passes the gradient of the mask on
            unchanged, as the authors' code does, although a higher threshold lets less through; "sigmoid" lends the
            step the slope of a sigmoid, which has the right sign.
    """

    cosine: Tensor
    sine: Tensor
    counts: Tensor

    def __init__(self, steps: int, channels: int, mask_gradient: MaskGradient = "official") -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"a series of {steps} steps has no spectrum; give at least one step")
        self.mask_gradient = mask_gradient
        cosine, sine = fourier_matrices(steps)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        self.register_buffer("counts", _frequency_counts(steps), persistent=False)
        self.global_filter = nn.Parameter(nn.init.trunc_normal_(torch.empty(channels, 2), std=0.02))
        self.local_filter = nn.Parameter(nn.init.trunc_normal_(torch.empty(channels, 2), std=0.02))
        self.threshold = nn.Parameter(torch.rand(1))

    def forward(self, x: Tensor) -> Tensor:
        """Filter a (B, N, D) series; same shape out."""
        # the mask compares energies: float32 whatever autocast chose around it
        with torch.autocast(device_type=x.device.type, enabled=False):
            y = self._filter(x.float())
        return y.to(x.dtype)

    def _filter(self, x: Tensor) -> Tensor:
        real, imaginary = self.cosine @ x, self.sine @ x
        mask = self.mask(real, imaginary)
        a = self.global_filter[:, 0] + mask * self.local_filter[:, 0]
        b = self.global_filter[:, 1] + mask * self.local_filter[:, 1]
        filtered_real, filtered_imaginary = real * a - imaginary * b, real * b + imaginary * a
        return (self.counts * self.cosine).T @ filtered_real + (self.counts * self.sine).T @ filtered_imaginary

    def mask(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """(B, K, 1) one where a frequency of the spectrum, two (B, K, D) parts, has high energy; else zero."""
        relative = self.relative_energy(real, imaginary)
        hard = (relative > self.threshold).to(relative.dtype)
        if self.mask_gradient == "official":
            return hard.detach() + (self.threshold - self.threshold.detach())
        soft = torch.sigmoid((relative - self.threshold) / _TEMPERATURE)
        return hard.detach() + (soft - soft.detach())

    @staticmethod
    def relative_energy(real: Tensor, imaginary: Tensor) -> Tensor:
        """(B, K, 1) energy of each frequency over the sample's lower median of it."""
        energy = (real**2 + imaginary**2).sum(dim=2, keepdim=True)
        count = int(energy.shape[1])
        # the lower median as the last of the largest: TopK is in every runtime, a median is not
        median = energy.topk(count - (count - 1) // 2, dim=1).values[:, -1:]
        return energy / (median + 1e-6)


class InteractiveConvolution(nn.Module):
    """TSLANet's ICB: two convolutions over time, each gated by the other.

    Args:
        channels: width D; three times as wide inside.
        dropout: share of gates dropped.
    """

    def __init__(self, channels: int, dropout: float = 0.1) -> None:
        super().__init__()
        inner = 3 * channels
        self.point = nn.Conv1d(channels, inner, 1)
        self.local = nn.Conv1d(channels, inner, 3, padding=1)
        self.out = nn.Conv1d(inner, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Mix a (B, N, D) series; same shape out."""
        series = x.transpose(1, 2)
        u, v = self.point(series), self.local(series)
        mixed: Tensor = self.out(u * self.dropout(F.gelu(v)) + v * self.dropout(F.gelu(u)))
        return mixed.transpose(1, 2)


class SpectralLayer(nn.Module):
    """``x + ASB(LN(x))``; with the ICB, TSLANet's whole layer ``x + ICB(LN(ASB(LN(x))))``.

    Args:
        steps: length of the series.
        channels: its width.
        convolution: whether the ICB follows.
        dropout: inside the ICB.
        mask_gradient: of :class:`AdaptiveSpectralBlock`.
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        *,
        convolution: bool = False,
        dropout: float = 0.1,
        mask_gradient: MaskGradient = "official",
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.spectral = AdaptiveSpectralBlock(steps, channels, mask_gradient)
        self.after: nn.Module = (
            nn.Sequential(nn.LayerNorm(channels), InteractiveConvolution(channels, dropout))
            if convolution
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Filter a (B, N, D) series, added to what it was."""
        y: Tensor = x + self.after(self.spectral(self.norm(x)))
        return y
