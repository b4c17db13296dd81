"""F-SPPF: spatial pyramid pooling with Fourier modulated attention (SRConvNet, Li et al., IJCV 2025)."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from ultralytics.nn.modules import Conv

from models.detection.ss2d import ChannelLayerNorm


class Fourier2d(nn.Module):
    """Orthonormal real 2-D Fourier transform and its inverse, as an FFT or as real matrix products.

    TensorRT has no Fourier operator, so the exported graph multiplies by constant cosine and sine matrices
    (SRConvNet uses an FFT). Both forms agree to 1e-5 on any size; the matrices depend on the map's size only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.export = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Real (…, H, W) to real and imaginary parts (…, H, ⌊W/2⌋+1)."""
        if not self.export:
            spectrum = torch.fft.rfft2(x, norm="ortho")
            return spectrum.real, spectrum.imag
        cos_h, sin_h, cos_w, sin_w, _ = _dft_matrices(int(x.shape[-2]), int(x.shape[-1]), x)
        real, imaginary = torch.matmul(x, cos_w), torch.matmul(x, sin_w)
        return (
            torch.matmul(cos_h, real) - torch.matmul(sin_h, imaginary),
            torch.matmul(cos_h, imaginary) + torch.matmul(sin_h, real),
        )

    def inverse(self, real: Tensor, imaginary: Tensor, height: int, width: int) -> Tensor:
        """Parts (…, H, ⌊W/2⌋+1) back to (…, H, W); imaginary parts that a real signal cannot have are dropped."""
        if not self.export:
            signal: Tensor = torch.fft.irfft2(torch.complex(real, imaginary), s=(height, width), norm="ortho")
            return signal
        cos_h, sin_h, cos_w, sin_w, twice = _dft_matrices(height, width, real)
        along_real = torch.matmul(cos_h, real) + torch.matmul(sin_h, imaginary)
        along_imaginary = torch.matmul(cos_h, imaginary) - torch.matmul(sin_h, real)
        return torch.matmul(along_real, (twice * cos_w).T) + torch.matmul(along_imaginary, (twice * sin_w).T)


def _dft_matrices(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Cosine and (negative) sine matrices (H, H) and (W, K), and the weight of each kept frequency (K).

    Made with NumPy, so that tracing a network for export sees constants instead of how they were computed.
    """

    def angles(size: int, kept: int) -> NDArray[np.float64]:
        return 2 * np.pi * (np.outer(np.arange(size), np.arange(kept)) % size) / size

    kept = width // 2 + 1
    along_height, along_width = angles(height, height), angles(width, kept)
    twice = np.full(kept, 2.0)  # a real signal's other half mirrors the kept one
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    cos_h, sin_h, cos_w, sin_w, weight = (
        torch.from_numpy(matrix).to(device=like.device, dtype=like.dtype)
        for matrix in (
            np.cos(along_height) / math.sqrt(height),
            -np.sin(along_height) / math.sqrt(height),
            np.cos(along_width) / math.sqrt(width),
            -np.sin(along_width) / math.sqrt(width),
            twice,
        )
    )
    return cos_h, sin_h, cos_w, sin_w, weight


class FourierModulatedAttention(nn.Module):
    """Attention values made in the frequency domain, multiplied onto the map; residual inside.

    The paper's formula modulates (Q' = Q); the released code of its source instead applies a softmax over all
    positions, which is an option here. Written from the mathematics alone: that code carries no licence.

    Args:
        channels: width C of the map.
        heads: groups of channels with one scale each.
        mode: ``"modulate"`` (default) or ``"softmax"``.
    """

    def __init__(self, channels: int, heads: int = 8, mode: str = "modulate") -> None:
        super().__init__()
        if mode not in ("modulate", "softmax"):
            raise ValueError(f"mode is {mode!r}; it must be 'modulate' or 'softmax'")
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        self.mode = mode
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = ChannelLayerNorm(channels)
        self.fourier = Fourier2d()
        self.spectral = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.full((heads,), 1.0 if mode == "modulate" else 1e-6))
        self.project = nn.Conv2d(channels, channels, 1)

    def no_weight_decay(self) -> list[nn.Parameter]:
        """Parameters that regularisation towards zero would distort."""
        return [self.scale]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        batch, channels, height, width = (int(size) for size in x.shape)  # plain numbers also while tracing
        y = self.norm(x)
        with torch.autocast(device_type=x.device.type, enabled=False):  # no half-precision FFT on most devices
            real, imaginary = self.fourier(y.float())
            spectrum = torch.stack((real, imaginary), dim=2).flatten(1, 2)  # real and imaginary interleaved
            filtered = F.gelu(self.spectral(spectrum)).reshape(batch, channels, 2, height, width // 2 + 1)
            attention = self.fourier.inverse(filtered[:, :, 0], filtered[:, :, 1], height, width)
        query = (attention * self.value(y)).reshape(batch, self.scale.shape[0], -1, height, width)
        query = query * self.scale[:, None, None, None]
        if self.mode == "softmax":
            query = query.flatten(3).softmax(-1).reshape(query.shape)
        update: Tensor = self.project(query.reshape(x.shape) + self.position(x))
        return x + update


class FSPPF(nn.Module):
    """Spatial pyramid pooling whose concatenation passes Fourier modulated attention.

    Args:
        c1: input channels.
        c2: output channels.
        hidden: channels of each pooled level; the concatenation has four of them.
        heads: heads of the attention.
    """

    def __init__(self, c1: int, c2: int, hidden: int = 64, heads: int = 8) -> None:
        super().__init__()
        self.reduce = Conv(c1, hidden)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.attention = FourierModulatedAttention(4 * hidden, heads)
        self.expand = Conv(4 * hidden, c2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c1, H, W) to (B, c2, H, W)."""
        levels = [self.reduce(x)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        out: Tensor = self.expand(self.attention(torch.cat(levels, 1)))
        return out
