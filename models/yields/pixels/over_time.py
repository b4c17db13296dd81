"""From a series of images to one: attention over the dates of every pixel, clouds left out.

One query a head asks every date, so cost grows with the dates and not with their square (the lightweight temporal
attention of Garnot and Landrieu 2020, arXiv:2007.00586, written anew). Attention, not a fixed place for each date,
lets seasons with other dates in, and a date that is cloudy at a pixel is not asked there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_PERIOD_DAYS = 365.0
_HARMONICS = 4


def day_code(days: Tensor) -> Tensor:
    """Place of days in the year as waves: (...) days to (..., 8)."""
    angle = days[..., None] * (2 * math.pi / _PERIOD_DAYS)
    harmonic = torch.arange(1, _HARMONICS + 1, device=days.device)
    return torch.cat([(angle * harmonic).sin(), (angle * harmonic).cos()], -1)


class TimeAttention(nn.Module):
    """Joins the dates of every pixel.

    Args:
        bands: of an image.
        width: channels of the result, a multiple of ``heads``.
        heads: queries; each sees its own channels.
    """

    def __init__(self, bands: int, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.bands = nn.Linear(bands, width)
        self.day = nn.Linear(2 * _HARMONICS, width)
        self.values = nn.Linear(width, width)
        self.scores = nn.Linear(width, heads)
        self.out = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU())

    def weights(self, hidden: Tensor, clear: Tensor) -> Tensor:
        """(..., T, heads) shares of the dates; 0 where it was not clear, all 0 where it never was."""
        scores = self.scores(hidden).masked_fill(~clear[..., None], -torch.inf)
        never = ~clear.any(-1)[..., None, None]
        shares: Tensor = scores.masked_fill(never, 0.0).softmax(-2).masked_fill(never, 0.0)
        return shares

    def forward(self, images: Tensor, clear: Tensor, days: Tensor) -> Tensor:
        """Join.

        Args:
            images: (B, T, C, H, W).
            clear: (B, T, H, W) whether a pixel was seen.
            days: (B, T) of the year.

        Returns:
            (B, width, H, W).
        """
        pixels = images.permute(0, 3, 4, 1, 2)
        seen = clear.permute(0, 2, 3, 1)
        hidden = (self.bands(pixels) + self.day(day_code(days))[:, None, None]).relu()
        weights = self.weights(hidden, seen)
        values = self.values(hidden).unflatten(-1, (self.heads, -1))
        joined = (weights[..., None] * values).sum(-3).flatten(-2)
        result: Tensor = self.out(joined)
        return result.permute(0, 3, 1, 2)


class Stack(nn.Module):
    """The dates' bands side by side, as the paper's network takes its one date; an unseen pixel is 0.

    With ``mask`` a further channel a date says where it was clear.
    """

    def __init__(self, *, mask: bool) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, images: Tensor, clear: Tensor, days: Tensor) -> Tensor:
        """(B, T, C, H, W) to (B, T·C [+ T], H, W)."""
        del days
        seen = clear[:, :, None]
        stacked = (images * seen).flatten(1, 2)
        return torch.cat([stacked, clear.to(stacked.dtype)], 1) if self.mask else stacked
