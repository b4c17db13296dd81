"""GLICM, the global-local information capture module of YOLO-A's backbone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from ultralytics.nn.modules import Conv

from models.detection.ss2d import SS2D, ChannelLayerNorm


class AxialChannelAttention(nn.Module):
    """Gates along height, width and channels: s ⊙ a_h ⊙ a_w ⊙ a_c.

    "Axial-channel attention" is named but not defined in the apple framework's paper; this reading (coordinate
    attention's axial gates plus squeeze-and-excitation) is ours.

    Args:
        channels: width of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(8, channels // 8)
        self.along_height = _axial(channels, (7, 1))
        self.along_width = _axial(channels, (1, 7))
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate a (B, C, H, W) map; same shape out."""
        over_width = x.mean(3, keepdim=True)
        gate_height = torch.sigmoid(self.along_height(over_width))
        gate_width = torch.sigmoid(self.along_width(x.mean(2, keepdim=True)))
        gate_channel = torch.sigmoid(self.excite(F.silu(self.squeeze(over_width.mean(2, keepdim=True)))))
        return x * gate_height * gate_width * gate_channel

    def fold(self) -> None:
        """Move the two normalisations into their convolutions; exact in evaluation mode."""
        self.along_height = _folded(self.along_height)
        self.along_width = _folded(self.along_width)


def _axial(channels: int, kernel: tuple[int, int]) -> nn.Sequential:
    """Depthwise convolution along one axis with its normalisation."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=padding, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
    )


def _folded(axial: nn.Sequential) -> nn.Sequential:
    if len(axial) == 1:
        return axial
    convolution, norm = axial
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return nn.Sequential(fuse_conv_bn_eval(convolution, norm))


class GLICM(nn.Module):
    """Local depthwise convolution beside a global selective scan, gated by axial-channel attention.

    u = Conv(x); out = Conv(u + ACA(Conv(DWConv(u)) + SS2D(LN(u)))). The inner residual is ours: three sigmoid gates
    start near 1/8 and would starve the gradient.

    Args:
        c1: input channels.
        c2: output channels.
        channels: inner channels.
        ratio: expansion of the selective scan.
        state_size: states per channel of the selective scan.
    """

    def __init__(self, c1: int, c2: int, channels: int, ratio: int = 2, state_size: int = 1) -> None:
        super().__init__()
        self.reduce = Conv(c1, channels)
        self.local_depthwise = Conv(channels, channels, 3, g=channels)
        self.local_pointwise = Conv(channels, channels)
        self.norm = ChannelLayerNorm(channels)
        self.ss2d = SS2D(channels, ratio, state_size)
        self.attention = AxialChannelAttention(channels)
        self.expand = Conv(channels, c2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c1, H, W) to (B, c2, H, W)."""
        u = self.reduce(x)
        local = self.local_pointwise(self.local_depthwise(u))
        out: Tensor = self.expand(u + self.attention(local + self.ss2d(self.norm(u))))
        return out
