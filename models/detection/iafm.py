"""IAFM, the fusion module that replaces the neck's concatenations in YOLO-A, and the two attentions inside it."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from ultralytics.nn.modules import Conv


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave ``groups`` blocks of channels: with two, x₁[0], x₂[0], x₁[1], x₂[1] and so on."""
    batch, channels, height, width = (int(size) for size in x.shape)
    return x.reshape(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)


def dihedral_mean(kernel: Tensor) -> Tensor:
    """Mean of a square kernel (…, k, k) over its eight flips and quarter turns."""
    turns = [torch.rot90(kernel, quarter, (-2, -1)) for quarter in range(4)]
    return torch.stack([*turns, *(turn.flip(-1) for turn in turns)]).mean(0)


class ConvAttn(nn.Module):
    """Convolutional attention of ESC (Lee et al. 2025) on the first channels of a map; the rest pass through.

    A large static kernel (13 x 13 as published), shared with whoever owns it and therefore an argument of
    :meth:`forward`, plus a depthwise 3 x 3 kernel made from the image itself.

    Args:
        channels: width of the map.
        attended: leading channels that are convolved.
    """

    def __init__(self, channels: int, attended: int = 16) -> None:
        super().__init__()
        self.attended = attended
        self.export = False
        self.squeeze = nn.Conv2d(attended, attended // 2, 1)
        self.kernel = nn.Conv2d(attended // 2, attended * 9, 1)
        self.aggregate = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.kernel.weight)
        nn.init.zeros_(cast("Tensor", self.kernel.bias))

    def forward(self, x: Tensor, static: Tensor) -> Tensor:
        """Attend a (B, C, H, W) map.

        Args:
            x: the map.
            static: (attended, attended, k, k) static kernel, k odd.
        """
        head, rest = x[:, : self.attended], x[:, self.attended :]
        kernel = self.kernel(F.gelu(self.squeeze(head.mean((2, 3), keepdim=True))))
        dynamic = self._shifted(head, kernel) if self.export else self._grouped(head, kernel)
        attended = F.conv2d(head, static, padding=static.shape[-1] // 2) + dynamic
        out: Tensor = self.aggregate(torch.cat((attended, rest), 1))
        return out

    @staticmethod
    def _grouped(x: Tensor, kernel: Tensor) -> Tensor:
        """Depthwise convolution with one kernel an image, as one grouped convolution over the batch."""
        batch, channels, height, width = x.shape
        flat = F.conv2d(
            x.reshape(1, batch * channels, height, width),
            kernel.reshape(batch * channels, 1, 3, 3),
            padding=1,
            groups=batch * channels,
        )
        return flat.reshape(x.shape)

    @staticmethod
    def _shifted(x: Tensor, kernel: Tensor) -> Tensor:
        """The same as nine shifted products: no convolution with run-time weights, any batch size."""
        batch, channels, height, width = (int(size) for size in x.shape)
        # zeros joined on, not F.pad: that exports as slices with a negative step over a computed list of widths
        side, edge = x.new_zeros(batch, channels, height, 1), x.new_zeros(batch, channels, 1, width + 2)
        padded = torch.cat((edge, torch.cat((side, x, side), 3), edge), 2)
        taps = torch.split(kernel.reshape(batch, channels, 9, 1), 1, dim=2)
        terms = [
            padded[:, :, dy : dy + height, dx : dx + width] * taps[3 * dy + dx] for dy in range(3) for dx in range(3)
        ]
        return sum(terms[1:], terms[0])


class SHSA(nn.Module):
    """Single-head self-attention of SHViT (Yun and Ro, CVPR 2024) over part of the channels.

    Args:
        channels: width of the map.
        partial: leading channels that attend; the rest pass through.
        kv_pool: keys and values are averaged over squares of this side, which bounds memory on large maps;
            1 is the published form.
    """

    QK = 16

    def __init__(self, channels: int, partial: int, kv_pool: int = 1) -> None:
        super().__init__()
        self.partial = partial
        self.kv_pool = kv_pool
        self.norm = nn.GroupNorm(1, partial)
        self.qkv = Conv(partial, 2 * self.QK + partial, act=False)
        self.project = Conv(channels, channels, act=False)
        nn.init.zeros_(self.project.bn.weight)  # the block starts as the identity of its residual

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape, without the residual."""
        head, rest = x[:, : self.partial], x[:, self.partial :]
        height, width = int(head.shape[-2]), int(head.shape[-1])
        q, kv = self.qkv(self.norm(head)).split((self.QK, self.QK + self.partial), dim=1)
        if self.kv_pool > 1:
            kv = self._pool(kv, height, width)
        k, v = kv.flatten(2).split((self.QK, self.partial), dim=1)
        weights = torch.matmul(q.flatten(2).transpose(1, 2), k * self.QK**-0.5).softmax(-1)  # (B, HW, keys)
        attended = torch.matmul(v, weights.transpose(1, 2)).reshape(head.shape)
        out: Tensor = self.project(F.relu(torch.cat((attended, rest), 1)))
        return out

    def _pool(self, kv: Tensor, height: int, width: int) -> Tensor:
        if height % self.kv_pool == 0 and width % self.kv_pool == 0:
            return F.avg_pool2d(kv, self.kv_pool)
        return F.adaptive_avg_pool2d(kv, (max(1, height // self.kv_pool), max(1, width // self.kv_pool)))


class PreActivation(nn.Module):
    """GELU, batch normalisation, 1 x 1 convolution. After folding the normalisation is part of the convolution.

    Args:
        c1: input channels.
        c2: output channels.
    """

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.bn: nn.Module = nn.BatchNorm2d(c1)
        self.conv = nn.Conv2d(c1, c2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c1, H, W) to (B, c2, H, W)."""
        out: Tensor = self.conv(self.bn(F.gelu(x)))
        return out

    @torch.no_grad()
    def fold(self) -> None:
        """Move the normalisation's running statistics into the convolution; exact in evaluation mode."""
        bn = self.bn
        if not isinstance(bn, nn.BatchNorm2d):
            return
        running_mean, running_var = cast("Tensor", bn.running_mean), cast("Tensor", bn.running_var)
        scale = bn.weight / torch.sqrt(running_var + bn.eps)
        shift = bn.bias - running_mean * scale
        cast("Tensor", self.conv.bias).add_(self.conv.weight.flatten(1) @ shift)
        self.conv.weight.mul_(scale[None, :, None, None])
        self.bn = nn.Identity()


class IAFM(nn.Module):
    """Fuses two maps of one size by attention, product and concatenation instead of concatenation alone.

    Args:
        c_a: channels of the first map.
        c_b: channels of the second map.
        channels: common width c both are brought to.
        middle: width m of the fusing convolutions.
        c_out: output channels.
        kv_pool: pooling of keys and values in the self-attention; 0 leaves the self-attention out.
        static_kernel: side of the static kernel; 13 is the published one.
    """

    ATTENDED = 16

    def __init__(
        self, c_a: int, c_b: int, channels: int, middle: int, c_out: int, kv_pool: int = 1, static_kernel: int = 13
    ) -> None:
        super().__init__()
        self.project_a = Conv(c_a, channels) if c_a != channels else nn.Identity()
        self.project_b = Conv(c_b, channels) if c_b != channels else nn.Identity()
        self.static = nn.Parameter(torch.empty(self.ATTENDED, self.ATTENDED, static_kernel, static_kernel))
        nn.init.orthogonal_(self.static)
        self.static_is_folded = self.shuffle_is_folded = False
        self.attend_a = ConvAttn(channels, self.ATTENDED)
        self.attend_b = ConvAttn(channels, self.ATTENDED)
        self.shsa = SHSA(2 * channels, channels // 2, kv_pool) if kv_pool else None
        self.mix = Conv(2 * channels, channels)
        self.fuse_in = PreActivation(4 * channels, middle)
        self.fuse_depthwise = nn.Conv2d(middle, middle, 3, padding=1, groups=middle)
        self.fuse_pointwise = nn.Conv2d(middle, middle, 1)
        self.fuse_out = PreActivation(middle, c_out)

    @torch.no_grad()
    def fold(self) -> None:
        """Average the static kernel once, fold the normalisations and the shuffle; exact in evaluation mode.

        Without self-attention the shuffled channels only enter a 1 x 1 convolution; its weights can be sorted instead.
        """
        if not self.static_is_folded:
            self.static.copy_(dihedral_mean(self.static))
            self.static_is_folded = True
        if self.shsa is None and not self.shuffle_is_folded:
            weight = self.mix.conv.weight
            order = channel_shuffle(torch.arange(weight.shape[1])[None, :, None, None], 2).flatten()
            weight[:, order] = weight.clone()
            self.shuffle_is_folded = True
        self.fuse_in.fold()
        self.fuse_out.fold()

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[(B, c_a, H, W), (B, c_b, H, W)] to (B, c_out, H, W)."""
        static = self.static if self.static_is_folded else dihedral_mean(self.static)
        x1 = self.attend_a(self.project_a(maps[0]), static)
        x2 = self.attend_b(self.project_b(maps[1]), static)
        t = torch.cat((x1, x2), 1)
        t = t if self.shuffle_is_folded else channel_shuffle(t, 2)
        mixed = self.mix(t if self.shsa is None else t + self.shsa(t))
        fused = self.fuse_in(torch.cat((x1, x2, mixed, x1 * x2), 1))
        return cast("Tensor", self.fuse_out(self.fuse_pointwise(self.fuse_depthwise(fused))))
