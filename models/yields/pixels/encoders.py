"""Shared encoders: the paper's three, and a small one that keeps the pixels of small fields apart."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from models.maps.errors import MapError

DECODER_CHANNELS = (256, 128, 64, 32, 16)
# names of segmentation_models_pytorch; weights are never fetched, they come from a file where there is one
_PAPER: Mapping[str, str] = MappingProxyType(
    {"resnet50": "resnet50", "densenet161": "densenet161", "resnest50d": "tu-resnest50d"}
)
_SMALL_STEPS = (1, 2, 2)
ENCODERS = ("small", *_PAPER)


class SmallEncoder(nn.Module):
    """Three levels at 1, 1/2 and 1/4 of the image: a field is often but ten pixels wide.

    Args:
        channels: of the image.
        width: of the first level; the others have one and a half times and twice as many.
        dropout: share of channels that is hidden in training.
    """

    def __init__(self, channels: int, width: int = 24, dropout: float = 0.0) -> None:
        super().__init__()
        widths = (width, width * 3 // 2, width * 2)
        self.out_channels = (channels, *widths)
        into = (width, *widths[:-1])
        # a season has many bands and dates: pixel by pixel first, so that few labels have few weights to fit
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(first, second, 3, stride=step, padding=1, bias=False),
                nn.BatchNorm2d(second),
                nn.ReLU(),
                nn.Dropout2d(dropout),
                nn.Conv2d(second, second, 3, padding=1, bias=False),
                nn.BatchNorm2d(second),
                nn.ReLU(),
            )
            for first, second, step in zip(into, widths, _SMALL_STEPS, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """The image and its features, the finest first."""
        features, last = [image], self.stem(image)
        for level in self.levels:
            last = level(last)
            features.append(last)
        return features


def build_encoder(name: str, channels: int, width: int, dropout: float) -> Any:
    """An encoder with ``out_channels``.

    Args:
        name: one of :data:`ENCODERS`.
        channels: of the image.
        width: of the small encoder.
        dropout: of the small encoder.

    Raises:
        MapError: no such encoder.
    """
    if name == "small":
        return SmallEncoder(channels, width, dropout)
    return smp.encoders.get_encoder(smp_name(name), in_channels=channels, depth=5, weights=None)


def smp_name(name: str) -> str:
    """What segmentation_models_pytorch calls one of the paper's encoders.

    Raises:
        MapError: it is none of them.
    """
    if name not in _PAPER:
        raise MapError(f"there is no encoder {name!r}; take one of {', '.join(ENCODERS)}")
    return _PAPER[name]


def decoder_channels(name: str, width: int) -> tuple[int, ...]:
    """Channels of each decoder stage for an encoder, the coarsest first."""
    return (width * 3 // 2, width, max(8, width // 2)) if name == "small" else DECODER_CHANNELS


def stride(name: str) -> int:
    """What the sides of an image have to be multiples of."""
    return 4 if name == "small" else 32
