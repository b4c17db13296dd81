"""Networks the weighted LSTM is compared with, built from their papers: each takes (B, steps, bands), gives logits.

InceptionTime: Ismail Fawaz et al., Data Mining and Knowledge Discovery 34 (2020). MSResNet: Wang et al., CSI-Net,
arXiv 1810.03064. StarRNN: Turkoglu, D'Aronco, Wegner, Schindler, Gating revisited, IEEE TPAMI (2021). TempCNN:
Pelletier, Webb, Petitjean, Remote Sensing 11:523 (2019). L-TAE: Garnot, Landrieu, Lightweight temporal
self-attention, ECML-PKDD workshop (2020).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.crops.pixel_networks import Scales
from models.standardise import Standardise


class Convolutional(nn.Module):
    """Standardises, turns to (B, bands, steps) and runs a body.

    Args:
        scales: constants of the training pixels.
        body: takes (B, bands, steps), gives logits.
    """

    def __init__(self, scales: Scales, body: nn.Module) -> None:
        super().__init__()
        self.bands = Standardise(scales.mean, scales.std)
        self.body = body

    def forward(self, series: Tensor) -> Tensor:
        """(B, classes)."""
        logits: Tensor = self.body(self.bands(series).transpose(1, 2))
        return logits


class _MeanOverTime(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(-1)


def _conv(inside: int, out: int, kernel: int, stride: int = 1) -> nn.Conv1d:
    return nn.Conv1d(inside, out, kernel, stride, padding=(kernel - 1) // 2, bias=False)


class _Inception(nn.Module):
    """A bottleneck, three kernels side by side, and a pooled path."""

    def __init__(self, inside: int, width: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.bottleneck = _conv(inside, width, 1)
        self.paths = nn.ModuleList(_conv(width, width, kernel) for kernel in kernels)
        self.pooled = nn.Sequential(nn.MaxPool1d(3, 1, 1), _conv(inside, width, 1))
        self.norm = nn.Sequential(nn.BatchNorm1d(width * (len(kernels) + 1)), nn.ReLU())

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.bottleneck(maps)
        joined: Tensor = self.norm(torch.cat([*(path(narrow) for path in self.paths), self.pooled(maps)], 1))
        return joined


class _InceptionBody(nn.Module):
    def __init__(self, bands: int, classes: int, width: int, depth: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        out = width * (len(kernels) + 1)
        inside = [bands] + [out] * (depth - 1)
        self.modules_ = nn.ModuleList(_Inception(i, width, kernels) for i in inside)
        starts = [bands if place == 0 else out for place in range(depth // 3)]
        self.shortcuts = nn.ModuleList(nn.Sequential(_conv(i, out, 1), nn.BatchNorm1d(out)) for i in starts)
        self.head = nn.Sequential(_MeanOverTime(), nn.Linear(out, classes))

    def forward(self, maps: Tensor) -> Tensor:
        before = maps
        for place, module in enumerate(self.modules_):
            maps = module(maps)
            if place % 3 == 2:
                maps = torch.relu(maps + self.shortcuts[place // 3](before))
                before = maps
        logits: Tensor = self.head(maps)
        return logits


def inception_time(scales: Scales, _steps: int, classes: int) -> nn.Module:
    """One network of InceptionTime: six modules of 4 x 32 maps, kernels 39, 19 and 9, shortcuts over three.

    Its paper takes the mean of five. Kernels longer than a year of months see its padding only, and cost nothing else.
    """
    return Convolutional(scales, _InceptionBody(len(scales.mean), classes, 32, 6, (39, 19, 9)))


class _Residual(nn.Module):
    def __init__(self, inside: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            _conv(inside, out, kernel, stride),
            nn.BatchNorm1d(out),
            nn.ReLU(),
            _conv(out, out, kernel),
            nn.BatchNorm1d(out),
        )
        same = inside == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(_conv(inside, out, 1, stride), nn.BatchNorm1d(out))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.convs(maps) + self.shortcut(maps))


class _MSResNetBody(nn.Module):
    def __init__(self, bands: int, classes: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(bands, width, 7, 2), nn.BatchNorm1d(width), nn.ReLU())
        self.scales = nn.ModuleList(
            nn.Sequential(
                _Residual(width, width, kernel, 1),
                _Residual(width, 2 * width, kernel, 2),
                _Residual(2 * width, 4 * width, kernel, 2),
                _MeanOverTime(),
            )
            for kernel in (3, 5, 7)
        )
        self.head = nn.Linear(12 * width, classes)

    def forward(self, maps: Tensor) -> Tensor:
        stem = self.stem(maps)
        logits: Tensor = self.head(torch.cat([scale(stem) for scale in self.scales], 1))
        return logits


def ms_resnet(scales: Scales, _steps: int, classes: int) -> nn.Module:
    """MSResNet: residual paths with kernels 3, 5 and 7 over one stem, their means over time to the classes."""
    return Convolutional(scales, _MSResNetBody(len(scales.mean), classes, 64))


class StarCell(nn.Module):
    """A layer of STAR.

    ``h_t = tanh((1 - k_t) h_{t-1} + k_t z_t)``, with ``z_t = tanh(W_z x_t)`` and the gate
    ``k_t = sigmoid(W_x x_t + W_h h_{t-1})``.
    """

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.of_input = nn.Linear(inside, 2 * width)
        self.of_state = nn.Linear(width, width, bias=False)
        nn.init.orthogonal_(self.of_state.weight)

    def forward(self, series: Tensor) -> Tensor:
        """(B, steps, width) states of (B, steps, inside)."""
        candidates, gates = self.of_input(series).chunk(2, -1)
        candidates = torch.tanh(candidates)
        state = torch.zeros_like(candidates[:, 0])
        states = []
        for step in range(series.shape[1]):
            gate = torch.sigmoid(gates[:, step] + self.of_state(state))
            state = torch.tanh((1 - gate) * state + gate * candidates[:, step])
            states.append(state)
        return torch.stack(states, 1)


class StarRNN(nn.Module):
    """Stacked STAR cells; the last layer's last state gives the logits."""

    def __init__(self, scales: Scales, classes: int, width: int = 128, layers: int = 3) -> None:
        super().__init__()
        self.bands = Standardise(scales.mean, scales.std)
        widths = [len(scales.mean)] + [width] * layers
        self.layers = nn.Sequential(*(StarCell(i, width) for i in widths[:-1]))
        self.head = nn.Linear(width, classes)

    def forward(self, series: Tensor) -> Tensor:
        """(B, classes)."""
        logits: Tensor = self.head(self.layers(self.bands(series))[:, -1])
        return logits


def star_rnn(scales: Scales, _steps: int, classes: int) -> nn.Module:
    """StarRNN of three layers of 128 units."""
    return StarRNN(scales, classes)


def temp_cnn(scales: Scales, steps: int, classes: int) -> nn.Module:
    """TempCNN: three convolutions over time of 64 maps, kernel 5, a dense layer of 256, dropout one half."""
    layers: list[nn.Module] = []
    inside = len(scales.mean)
    for _ in range(3):
        layers += [_conv(inside, 64, 5), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.5)]
        inside = 64
    dense = [nn.Flatten(), nn.Linear(64 * steps, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)]
    return Convolutional(scales, nn.Sequential(*layers, *dense, nn.Linear(256, classes)))


class LightAttention(nn.Module):
    """L-TAE: a learned query for each head and a share of the channels each, over sums with a sinusoid of the step."""

    where: Tensor

    def __init__(
        self, scales: Scales, steps: int, classes: int, width: int = 128, heads: int = 16, keys: int = 8
    ) -> None:
        super().__init__()
        self.bands = Standardise(scales.mean, scales.std)
        self.heads = heads
        self.into = nn.Sequential(nn.Linear(len(scales.mean), width), nn.LayerNorm(width))
        self.keys = nn.Linear(width, heads * keys)
        self.queries = nn.Parameter(torch.randn(heads, keys) * math.sqrt(2 / keys))
        self.out = nn.Sequential(
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, classes)
        )
        place = torch.arange(steps)[:, None] / 1000 ** (2 * (torch.arange(width) // 2) / width)
        self.register_buffer("where", torch.where(torch.arange(width) % 2 == 0, place.sin(), place.cos()))

    def forward(self, series: Tensor) -> Tensor:
        """(B, classes)."""
        inside = self.into(self.bands(series)) + self.where
        batch, steps, width = inside.shape
        keys = self.keys(inside).view(batch, steps, self.heads, -1)
        weight = torch.softmax((keys * self.queries).sum(-1) / math.sqrt(keys.shape[-1]), 1)
        values = inside.view(batch, steps, self.heads, width // self.heads)
        logits: Tensor = self.out((weight[..., None] * values).sum(1).flatten(1))
        return logits


def light_attention(scales: Scales, steps: int, classes: int) -> nn.Module:
    """L-TAE of 16 heads and 128 channels."""
    return LightAttention(scales, steps, classes)


NETWORKS = {
    "InceptionTime": inception_time,
    "MSResNet": ms_resnet,
    "StarRNN": star_rnn,
    "TempCNN": temp_cnn,
    "L-TAE": light_attention,
}
