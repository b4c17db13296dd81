"""Two-dimensional selective scan (SS2D) of VMamba (Liu et al., NeurIPS 2024), without custom operators."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection.recurrence import linear_recurrence
from models.detection.scan import scan_unrolled


class ChannelLayerNorm(nn.Module):
    """Layer normalisation over the channels of a (B, C, H, W) map."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def no_weight_decay(self) -> list[nn.Parameter]:
        """Parameters that regularisation towards zero would distort."""
        return [self.weight]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each position over its channels; shape kept."""
        normalised = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return normalised.permute(0, 3, 1, 2)


class SS2D(nn.Module):
    """Selective scan over a map in four directions: rows and columns, each forwards and backwards.

    VMamba's final form: no gate, no convolution bias, Euler-discretised input (Δ·B, not the exact hold).

    Args:
        channels: width C of the map.
        ratio: inner width D = ratio · C.
        state_size: states N per inner channel; memory grows with it, 1 is the published setting.
    """

    DIRECTIONS = 4

    def __init__(self, channels: int, ratio: int = 2, state_size: int = 1) -> None:
        super().__init__()
        inner = ratio * channels
        self.inner = inner
        self.rank = math.ceil(channels / 16)
        self.state_size = state_size
        self.export = False
        self.in_proj = nn.Conv2d(channels, inner, 1, bias=False)
        self.dwconv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.x_proj_weight = nn.Parameter(torch.empty(self.DIRECTIONS, self.rank + 2 * state_size, inner))
        self.dt_proj_weight = nn.Parameter(torch.empty(self.DIRECTIONS, inner, self.rank))
        self.dt_proj_bias = nn.Parameter(torch.empty(self.DIRECTIONS, inner))
        self.A_log = nn.Parameter(torch.empty(self.DIRECTIONS, inner, state_size))
        self.D_skip = nn.Parameter(torch.ones(self.DIRECTIONS, inner))
        self.norm = ChannelLayerNorm(inner)
        self.out_proj = nn.Conv2d(inner, channels, 1, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """VMamba's initialisation "v0": Δ log-uniform in [1e-3, 0.1], A = −(1 … N)."""
        nn.init.uniform_(self.x_proj_weight, -(self.inner**-0.5), self.inner**-0.5)
        nn.init.uniform_(self.dt_proj_weight, -(self.rank**-0.5), self.rank**-0.5)
        with torch.no_grad():
            low, high = math.log(1e-3), math.log(0.1)
            dt = torch.exp(torch.rand_like(self.dt_proj_bias) * (high - low) + low).clamp(min=1e-4)
            self.dt_proj_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus
            self.A_log.copy_(torch.log(torch.arange(1, self.state_size + 1)).expand_as(self.A_log))

    def no_weight_decay(self) -> list[nn.Parameter]:
        """Parameters that regularisation towards zero would distort."""
        return [self.A_log, self.D_skip, self.dt_proj_bias]

    def forward(self, x: Tensor) -> Tensor:
        """Scan a (B, C, H, W) map; same shape out."""
        u = F.silu(self.dwconv(self.in_proj(x)))
        # The recurrence multiplies hundreds of factors: float32 whatever autocast chose around it.
        with torch.autocast(device_type=x.device.type, enabled=False):
            y = self._scan(u.float())
        out: Tensor = self.out_proj(self.norm(y).to(u.dtype))
        return out

    def _scan(self, u: Tensor) -> Tensor:
        return self._scan_by_gathering(u) if self.export else self._scan_by_transposing(u)

    def _scan_by_transposing(self, u: Tensor) -> Tensor:
        """Training form: positions last, the backward directions read from the other end."""
        batch, inner, height, width = (int(size) for size in u.shape)
        rows, columns = u.flatten(2), u.transpose(2, 3).flatten(2)
        sequences = torch.stack((rows, columns, rows, columns), dim=1)  # (B, 4, D, L)
        projected = torch.matmul(self.x_proj_weight.float(), sequences)
        step, b_in, c_out = torch.split(projected, [self.rank, self.state_size, self.state_size], dim=2)
        delta = F.softplus(torch.matmul(self.dt_proj_weight.float(), step) + self.dt_proj_bias.float()[..., None])
        decay = torch.exp(delta[:, :, :, None] * -torch.exp(self.A_log.float())[..., None])  # (B, 4, D, N, L)
        drive = (delta * sequences)[:, :, :, None] * b_in[:, :, None]
        states = torch.cat(
            (
                linear_recurrence(decay[:, :2], drive[:, :2]),
                linear_recurrence(decay[:, 2:], drive[:, 2:], reverse=True),
            ),
            dim=1,
        )
        y = (states * c_out[:, :, None]).sum(3) + self.D_skip.float()[..., None] * sequences
        by_row: Tensor = (y[:, 0] + y[:, 2]).reshape(batch, inner, height, width)
        by_column: Tensor = (y[:, 1] + y[:, 3]).reshape(batch, inner, width, height).transpose(2, 3)
        return by_row + by_column

    def _scan_by_gathering(self, u: Tensor) -> Tensor:
        """Export form: channels last, all four directions gathered into one order and scanned together."""
        batch, inner, height, width = (int(size) for size in u.shape)
        length, directions, states = height * width, self.DIRECTIONS, self.state_size
        steps = _chunk_length(length)
        there, back = _scan_orders(height, width, steps)
        u = u.flatten(2).transpose(1, 2)[:, None]  # (B, 1, L, D)
        projected = torch.matmul(u, self.x_proj_weight.float().transpose(1, 2))  # (B, 4, L, R + 2N)
        step, b_in, c_out = torch.split(projected, [self.rank, states, states], dim=3)
        dt = torch.matmul(step, self.dt_proj_weight.float().transpose(1, 2)) + self.dt_proj_bias.float()[:, None]
        delta = F.relu(dt) - torch.log(torch.sigmoid(dt.abs()))  # softplus, faster so in ONNX Runtime
        rate = -torch.exp(self.A_log.float()).flatten(1)[:, None]  # (4, 1, D N)
        drive = delta * u
        if states > 1:
            delta = delta.repeat_interleave(states, dim=3)
            drive = (drive[..., None] * b_in[:, :, :, None]).flatten(3)
        else:
            drive = drive * b_in
        shape = (batch, steps, directions, length // steps, inner * states)
        decay = torch.exp(delta * rate).flatten(1, 2)[:, there].reshape(shape)
        scanned = scan_unrolled(decay, drive.flatten(1, 2)[:, there].reshape(shape))
        state = scanned.reshape(batch, -1, inner * states)[:, back].reshape(batch, directions, length, -1)
        if states > 1:
            y = (state.reshape(batch, directions, length, inner, states) * c_out[:, :, :, None]).sum((1, 4))
        else:
            y = (state * c_out).sum(1)
        y = y + self.D_skip.float().sum(0) * u[:, 0]  # (B, L, D)
        return y.transpose(1, 2).reshape(batch, inner, height, width)


def _chunk_length(length: int) -> int:
    """The divisor of a sequence's length nearest to its square root from above."""
    return next(size for size in range(math.isqrt(length - 1) + 1, length + 1) if length % size == 0)


def _scan_orders(height: int, width: int, steps: int) -> tuple[Tensor, Tensor]:
    """Where each direction's steps lie in the raster of its own map, and where each raster position went.

    Returns:
        ``there``, which takes (4 · L) raster positions into the order (steps, direction, chunk) of
        :func:`scan_unrolled`, and ``back``, its inverse.
    """
    length = height * width
    rows = np.arange(length)
    columns = rows.reshape(height, width).T.ravel()
    sequences = np.stack([rows, columns, rows[::-1], columns[::-1]])  # raster position of each direction's t-th step
    places = sequences + length * np.arange(len(sequences))[:, None]
    there = places.reshape(len(sequences), length // steps, steps).transpose(2, 0, 1).ravel()
    return torch.from_numpy(there), torch.from_numpy(np.argsort(there))
