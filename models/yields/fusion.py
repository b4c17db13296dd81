"""GIFM, the grouped interaction fusion module of APYieldNet (Pan and Liu, Plants 2026, 15, 213, section 3.3).

The paper gives the order of its steps and no widths; what is not in it is marked below.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Tokens = Literal["time", "vector"]
Fusion = Literal["gifm", "mean"]

_HEADS = 4
_SQUEEZE = 4  # ours: how much narrower the attention over channels is inside


class GateConvolution(nn.Module):
    """Local, non-linear features: ``x + GELU(a) ⊙ σ(g)``, both halves of one convolution over three months.

    Args:
        channels: width D.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate a (B, T, D) series; same shape out."""
        values, gates = self.convolution(x.transpose(1, 2)).transpose(1, 2).chunk(2, dim=2)
        return x + F.gelu(values) * torch.sigmoid(gates)


class SelfAttention(nn.Module):
    """Self-attention of four heads over the months.

    Args:
        channels: width D, a multiple of four.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % _HEADS:
            raise ValueError(f"a width of {channels} cannot be shared by {_HEADS} heads; take a multiple of {_HEADS}")
        self.queries_keys_values = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within a (B, T, D) series; same shape out."""
        steps, channels = int(x.shape[1]), int(x.shape[2])
        split = self.queries_keys_values(x).reshape(-1, steps, 3, _HEADS, channels // _HEADS)
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, T, D / heads)
        scores = queries @ keys.transpose(2, 3) * (channels // _HEADS) ** -0.5
        attended = (torch.softmax(scores, dim=3) @ values).transpose(1, 2).reshape(-1, steps, channels)
        out: Tensor = self.out(attended)
        return out


class AttentionBlock(nn.Module):
    """A transformer's layer, normalised before each half.

    Args:
        channels: width D.
        dropout: inside the feed-forward half.
    """

    def __init__(self, channels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(channels), SelfAttention(channels))
        self.feed = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform a (B, T, D) series; same shape out."""
        x = x + self.attend(x)
        y: Tensor = x + self.feed(x)
        return y


class ChannelPooling(nn.Module):
    """Compresses a group to one token: channels weighted by an attention over them.

    "Tokens with a dimension of 1" can be read in two ways. "time" keeps one number a month; "vector" keeps one vector
    a season, channels weighted and months averaged.

    Args:
        channels: width D.
        tokens: how the paper's words are read.
    """

    def __init__(self, channels: int, tokens: Tokens = "time") -> None:
        super().__init__()
        self.tokens = tokens
        narrow = max(1, channels // _SQUEEZE)
        self.weigh = nn.Sequential(nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Token (B, T, 1), or (B, 1, D), of a (B, T, D) series."""
        weights = torch.softmax(self.weigh(x.mean(dim=1)), dim=1)[:, None]
        weighted = x * weights
        return weighted.sum(dim=2, keepdim=True) if self.tokens == "time" else weighted.mean(dim=1, keepdim=True)


class GroupedFusion(nn.Module):
    """Refines each group of features, lets the groups hear of each other, and joins them by gates.

    Args:
        groups: number G of groups.
        channels: width D.
        dropout: inside the attention blocks.
        tokens: of :class:`ChannelPooling`.
    """

    def __init__(self, groups: int, channels: int, dropout: float = 0.1, tokens: Tokens = "time") -> None:
        super().__init__()
        self.refine = nn.ModuleList(
            nn.Sequential(GateConvolution(channels), AttentionBlock(channels, dropout)) for _ in range(groups)
        )
        self.pool = nn.ModuleList(ChannelPooling(channels, tokens) for _ in range(groups))
        self.exchange = nn.Parameter(torch.ones(groups, groups))
        # one group needs no gate: it gets through whole
        self.gate = nn.Linear(groups * channels, groups * channels) if groups > 1 else None

    def forward(self, groups: list[Tensor]) -> Tensor:
        """Join G series (B, T, D) to one."""
        refined = [refine(group) for refine, group in zip(self.refine, groups, strict=True)]
        tokens = [pool(group) for pool, group in zip(self.pool, refined, strict=True)]
        heard: list[Tensor] = [
            group + sum(weight * token for weight, token in zip(weights.unbind(), tokens, strict=True))
            for group, weights in zip(refined, self.exchange.unbind(), strict=True)
        ]
        if self.gate is None:
            return heard[0]
        steps, channels = int(heard[0].shape[1]), int(heard[0].shape[2])
        gates = self.gate(torch.cat(heard, dim=2)).reshape(-1, steps, len(heard), channels)
        joined: Tensor = (torch.softmax(gates, dim=2) * torch.stack(heard, dim=2)).sum(dim=2)
        return joined


class MeanFusion(nn.Module):
    """The plain mean of the groups, to see what the fusion module adds."""

    def forward(self, groups: list[Tensor]) -> Tensor:
        """Join series (B, T, D) to one."""
        return torch.stack(groups, dim=2).mean(dim=2)
