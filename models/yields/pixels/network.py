"""MT-CYP-Net and what it is compared with: a shared encoder, a decoder for yields, one for crops.

The paper's section 3 on segmentation_models_pytorch; what goes beyond it is a switch of :class:`NetworkSettings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn
from torch.nn import functional as F

from models.maps.errors import MapError
from models.yields.pixels.consistency import Level, TaskConsistency
from models.yields.pixels.encoders import build_encoder, decoder_channels, smp_name, stride
from models.yields.pixels.over_time import Stack, TimeAttention

Form = Literal["mt-cyp-net", "mt-cyp-net-hard", "cy-unet", "cc-unet", "fpn"]
FORMS: tuple[Form, ...] = ("mt-cyp-net", "mt-cyp-net-hard", "cy-unet", "cc-unet", "fpn")
YIELDS, CROPS = "yields", "crops"
# bounds of a predicted log variance of normalised yields: standard deviations of 0.0025 to 7
_LOG_VARIANCE = (-12.0, 4.0)


@dataclass(frozen=True)
class NetworkSettings:
    """What decides a network.

    Attributes:
        form: both tasks that hear of each other, both that only share the encoder, yields alone, crops alone, or the
            paper's peer, a feature pyramid for yields.
        encoder: key of :data:`models.yields.pixels.encoders.ENCODERS`.
        bands: of an image.
        classes: crops with the last one, unlabelled, that is never a crop.
        dates: of a series that is stacked; attention takes any number.
        over_time: ``stack`` puts the dates' bands side by side, ``attention`` asks each pixel's clear dates.
        time_width: channels of attention's result.
        radar_bands: of a second series, by Sentinel-1; 0 for none. It is joined by attention of its own.
        cloud_mask: whether a stack says where each date was clear; attention always knows.
        uncertainty: whether the yield decoder also gives the variance of each pixel.
        straight: whether the network begins at a straight line of the stacked bands of a pixel and its neighbours,
            which :mod:`models.yields.pixels.straight` fits, and learns what the line leaves; with few labels a line is
            hard to beat.
        width: of the small encoder.
        dropout: of the small encoder.
    """

    form: Form = "mt-cyp-net"
    encoder: str = "resnest50d"
    bands: int = 13
    classes: int = 6
    dates: int = 1
    over_time: Literal["stack", "attention"] = "stack"
    time_width: int = 32
    radar_bands: int = 0
    cloud_mask: bool = False
    uncertainty: bool = False
    straight: bool = False
    width: int = 24
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise MapError(f"there is no network {self.form!r}; take one of {', '.join(FORMS)}")
        if self.straight and (self.over_time != "stack" or not self.yields or self.form == "fpn"):
            raise MapError("a straight line needs stacked dates and a yield decoder; take over_time stack, or no line")
        if self.form == "fpn" and self.encoder == "small":
            raise MapError("the feature pyramid needs an encoder of five levels; take densenet161 as its authors")

    @property
    def yields(self) -> bool:
        """Whether yields are predicted."""
        return self.form != "cc-unet"

    @property
    def crops(self) -> bool:
        """Whether crops are predicted."""
        return self.form not in {"cy-unet", "fpn"}

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


# what a paper calls each of them
PAPER_NETWORKS: Mapping[str, NetworkSettings] = MappingProxyType(
    {
        "MT-CYP-Net (ResNet-50)": NetworkSettings(encoder="resnet50"),
        "MT-CYP-Net (DenseNet-161)": NetworkSettings(encoder="densenet161"),
        "MT-CYP-Net (ResNeSt-50d)": NetworkSettings(encoder="resnest50d"),
        "MT-CYP-Net-hard (ResNeSt-50d)": NetworkSettings("mt-cyp-net-hard", "resnest50d"),
        "CY-Unet (ResNet-50)": NetworkSettings("cy-unet", "resnet50"),
        "CY-Unet (DenseNet-161)": NetworkSettings("cy-unet", "densenet161"),
        "CY-Unet (ResNeSt-50d)": NetworkSettings("cy-unet", "resnest50d"),
        "CC-Unet (ResNeSt-50d)": NetworkSettings("cc-unet", "resnest50d"),
        "FPN-DenseNet161": NetworkSettings("fpn", "densenet161"),
    }
)


class Maps(NamedTuple):
    """What a network says of a batch.

    Attributes:
        yields: (B, H, W) normalised; None where the network has no yield decoder.
        log_variance: (B, H, W) of it; None without uncertainty.
        crops: (B, classes, H, W) logits; None where the network has no crop decoder.
        levels: what the tasks add to the shared features, the coarsest level first; none without consistency.
    """

    yields: Tensor | None
    log_variance: Tensor | None
    crops: Tensor | None
    levels: tuple[Level, ...]


class YieldMapNetwork(nn.Module):
    """A network for a batch of image series.

    Args:
        settings: its form.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        s = settings
        if s.over_time == "attention":
            self.over_time: nn.Module = TimeAttention(s.bands, s.time_width)
            channels = s.time_width
        else:
            self.over_time = Stack(mask=s.cloud_mask)
            channels = s.dates * (s.bands + s.cloud_mask)
        self.radar = TimeAttention(s.radar_bands, s.time_width) if s.radar_bands else None
        channels += s.time_width if s.radar_bands else 0
        self.body: Any = _pyramid(s, channels) if s.form == "fpn" else _TwoDecoders(s, channels)
        self.straight = StraightLine(s.dates * (s.bands + s.cloud_mask)) if s.straight else None
        if s.straight:
            self.body.begin_at_nothing()

    def scale_yields(self, factor: float) -> None:
        """Let what is added to the straight line be so many times as much; a learned variance stays."""
        self.body.scale_yields(factor)

    def forward(
        self,
        images: Tensor,
        clear: Tensor,
        days: Tensor,
        radar: Tensor | None = None,
        radar_days: Tensor | None = None,
    ) -> Maps:
        """Predict.

        Args:
            images: (B, T, bands, H, W) standardised reflectance.
            clear: (B, T, H, W) whether a pixel was seen.
            days: (B, T) of the year.
            radar: (B, R, radar bands, H, W) standardised backscatter; NaN-free, radar sees through clouds.
            radar_days: (B, R) of the year.

        Raises:
            MapError: sides that the encoder cannot halve, or radar that is missing or not expected.
        """
        step = stride(self.settings.encoder)
        if images.shape[-2] % step or images.shape[-1] % step:
            raise MapError(
                f"tiles of {images.shape[-2]} x {images.shape[-1]} px do not fit the encoder "
                f"{self.settings.encoder}; take multiples of {step}"
            )
        joined = self.over_time(images, clear, days)
        if (self.radar is None) != (radar is None):
            raise MapError("this network " + ("takes no radar" if self.radar is None else "needs radar images"))
        if self.radar is not None and radar is not None and radar_days is not None:
            seen = torch.ones_like(radar[:, :, 0], dtype=torch.bool)
            joined = torch.cat([joined, self.radar(radar, seen, radar_days)], 1)
        maps = self.body(joined)
        if self.settings.form == "fpn":
            yields, log_variance = _split(maps, uncertainty=self.settings.uncertainty)
            return Maps(yields, log_variance, None, ())
        result: Maps = maps
        if self.straight is not None and result.yields is not None:
            line = self.straight(self.over_time(images, clear, days), clear)
            result = result._replace(yields=result.yields + line)
        return result


class StraightLine(nn.Module):
    """A weighted sum of the channels of a pixel and of the mean of its clear neighbours; it is fitted, not trained."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2 * channels), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(()), requires_grad=False)

    @staticmethod
    def channels(stacked: Tensor, clear: Tensor) -> Tensor:
        """(B, 2·C, H, W): stacked bands (B, C, H, W), and their mean over the neighbours that were ever clear."""
        seen = clear.any(1, keepdim=True).to(stacked.dtype)
        near = F.avg_pool2d(stacked * seen, 3, 1, 1) / F.avg_pool2d(seen, 3, 1, 1).clamp(min=1 / 9)
        return torch.cat([stacked, near], 1)

    def forward(self, stacked: Tensor, clear: Tensor) -> Tensor:
        """(B, C, H, W) bands and (B, T, H, W) where they were clear, to (B, H, W)."""
        return torch.einsum("bchw,c->bhw", self.channels(stacked, clear), self.weight) + self.bias


class _TwoDecoders(nn.Module):
    """Encoder, one or two U-Net decoders, consistency after each of their stages."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        self.uncertainty = settings.uncertainty
        self.encoder = build_encoder(settings.encoder, channels, settings.width, settings.dropout)
        widths = decoder_channels(settings.encoder, settings.width)

        outputs: dict[str, int] = {}
        if settings.yields:
            outputs[YIELDS] = 1 + settings.uncertainty
        if settings.crops:
            outputs[CROPS] = settings.classes
        encoded, stages = self.encoder.out_channels, len(widths)
        self.decoders = nn.ModuleDict({task: UnetDecoder(encoded, widths, n_blocks=stages) for task in outputs})
        self.heads = nn.ModuleDict({task: SegmentationHead(widths[-1], number) for task, number in outputs.items()})
        heard = settings.form == "mt-cyp-net"
        self.consistency = nn.ModuleList(TaskConsistency(width) for width in widths) if heard else None

    def begin_at_nothing(self) -> None:
        """Let the yield decoder say 0 until it has learned something."""
        for weight in self.heads[YIELDS].parameters():
            nn.init.zeros_(weight)

    def scale_yields(self, factor: float) -> None:
        """Let the yield decoder say so many times as much; a learned variance stays."""
        for weight in self.heads[YIELDS].parameters():
            weight[0] *= factor

    def forward(self, image: Tensor) -> Maps:
        features = self.encoder(image)
        shapes = [feature.shape[2:] for feature in reversed(features)]
        deepest, *skips = features[:0:-1]
        tasks: dict[str, Tensor] = dict.fromkeys(self.decoders, deepest)
        levels: list[Level] = []
        for stage, (height, width) in enumerate(shapes[1:]):
            skip = skips[stage] if stage < len(skips) else None
            for task, decoder in self.decoders.items():
                block: Any = decoder.blocks
                tasks[task] = block[stage](tasks[task], height, width, skip_connection=skip)
            if self.consistency is not None:
                tasks[YIELDS], tasks[CROPS], level = self.consistency[stage](tasks[YIELDS], tasks[CROPS])
                levels.append(level)
        said = {task: self.heads[task](values) for task, values in tasks.items()}
        yields, log_variance = _split(said[YIELDS], uncertainty=self.uncertainty) if YIELDS in said else (None, None)
        return Maps(yields, log_variance, said.get(CROPS), tuple(levels))


def _split(channels: Tensor, *, uncertainty: bool) -> tuple[Tensor, Tensor | None]:
    """Yield and log variance of a yield head's channels."""
    return channels[:, 0], channels[:, 1].clamp(*_LOG_VARIANCE) if uncertainty else None


def _pyramid(settings: NetworkSettings, channels: int) -> Any:
    return smp.FPN(
        smp_name(settings.encoder), encoder_weights=None, in_channels=channels, classes=1 + settings.uncertainty
    )
