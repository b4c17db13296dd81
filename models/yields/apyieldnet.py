"""APYieldNet: the yield of a county or orchard from its season (Pan and Liu, Plants 2026, 15, 213)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.standardise import Standardise
from models.yields.fusion import Fusion, GroupedFusion, MeanFusion, Tokens
from models.yields.normalising import RevIN
from models.yields.spectral import MaskGradient, SpectralLayer
from models.yields.temporal import MultiScale, Padding, TemporalConvolutions

_COUNTY_WIDTH = 8
_HEAD_WIDTH = 64


@dataclass(frozen=True)
class NetworkSettings:
    """What decides the graph.

    Attributes:
        group_sizes: features in each group; they stand group by group in the input.
        steps: months of a season.
        counties: known counties; index 0, for any other, is added.
        width: channels of each group inside.
        dropout: share dropped in training.
        tcn: whether each group passes the temporal convolutions.
        asb: whether each group passes the adaptive spectral block.
        icb: whether TSLANet's convolutions follow that block.
        mask_gradient: of the spectral block.
        padding: of the temporal convolutions.
        fusion: the paper's module, or the mean of the groups.
        tokens: how the module's tokens are read.
        revin: whether each season's own level and spread are taken out of its series.
        revin_stats_to_head: whether what was taken out reaches the head. The paper's graph loses it, and with it how
            green, wet and warm the season was.
        year: whether the year reaches the head; out of the training years it is an extrapolation.
    """

    group_sizes: tuple[int, ...] = (5, 11, 2)
    steps: int = 7
    counties: int = 22
    width: int = 32
    dropout: float = 0.1
    tcn: bool = True
    asb: bool = True
    icb: bool = False
    mask_gradient: MaskGradient = "official"
    padding: Padding = "causal"
    fusion: Fusion = "gifm"
    tokens: Tokens = "time"
    revin: bool = True
    revin_stats_to_head: bool = True
    year: bool = True

    def __post_init__(self) -> None:
        if not self.group_sizes or min(self.group_sizes) < 1:
            raise ValueError(
                f"groups of {self.group_sizes} features; each group needs one at least, leave empty ones out"
            )

    @property
    def features(self) -> int:
        """Features of all groups."""
        return sum(self.group_sizes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return asdict(self)


@dataclass(frozen=True)
class Scales:
    """Constants of the training rows that are part of the network.

    Attributes:
        feature_mean: (C,) of each feature over rows and months.
        feature_std: likewise.
        log_area_mean: of the logarithm of one plus the area in ha.
        log_area_std: likewise.
        yield_mean: of the target.
        yield_std: likewise.
        first_year: of the training rows.
        years: from the first year to the one after the last.
    """

    feature_mean: Sequence[float]
    feature_std: Sequence[float]
    log_area_mean: float = 0.0
    log_area_std: float = 1.0
    yield_mean: float = 0.0
    yield_std: float = 1.0
    first_year: int = 2019
    years: int = field(default=4)


class APYieldNet(nn.Module):
    """Groups of monthly features, each with its own convolutions over time, joined and read as one yield.

    Args:
        settings: the graph.
        scales: constants of the training rows.
    """

    first_year: Tensor
    years: Tensor

    def __init__(self, settings: NetworkSettings, scales: Scales) -> None:
        super().__init__()
        if len(scales.feature_mean) != settings.features:
            raise ValueError(
                f"scales of {len(scales.feature_mean)} features for a network of {settings.features}; "
                "fit them to its rows"
            )
        self.settings = settings
        width = settings.width
        self.features = Standardise(scales.feature_mean, scales.feature_std)
        self.area = Standardise([scales.log_area_mean], [scales.log_area_std])
        self.target = Standardise([scales.yield_mean], [scales.yield_std])
        self.register_buffer("first_year", torch.tensor(float(scales.first_year)))
        self.register_buffer("years", torch.tensor(float(scales.years)))
        self.revin = RevIN(settings.features) if settings.revin else None
        self.groups = nn.ModuleList(_group(size, settings) for size in settings.group_sizes)
        self.fusion: nn.Module = (
            GroupedFusion(len(settings.group_sizes), width, settings.dropout, settings.tokens)
            if settings.fusion == "gifm"
            else MeanFusion()
        )
        self.multi_scale = MultiScale(width)
        self.county = nn.Embedding(settings.counties + 1, _COUNTY_WIDTH)
        statistics = 2 * settings.features if settings.revin and settings.revin_stats_to_head else 0
        self.head = nn.Sequential(
            nn.Linear(width + _COUNTY_WIDTH + int(settings.year) + 1 + statistics, _HEAD_WIDTH),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(_HEAD_WIDTH, 1),
        )

    def forward(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """Predict yields in the target's own unit.

        Args:
            season: (B, T, C) features in their own units, group by group.
            county: (B,) index of the county; 0 where it is not known.
            year: (B,) of the harvest.
            area_ha: (B,) planted area of the county.

        Returns:
            (B,) yields.
        """
        return self.target.undo(self.standardised(season, county, year, area_ha)[:, None])[:, 0]

    def standardised(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """As :meth:`forward`, on the scale of the training yields: mean 0, standard deviation 1."""
        x = self.features(season)
        statistics: list[Tensor] = []
        if self.revin is not None:
            x, mean, std = self.revin(x)
            if self.settings.revin_stats_to_head:
                statistics = [mean[:, 0], torch.log(std[:, 0])]
        parts = torch.split(x, list(self.settings.group_sizes), dim=2)
        joined = self.fusion([group(part) for group, part in zip(self.groups, parts, strict=True)])
        pooled = self.multi_scale(joined).mean(dim=1)
        about = [self.county(county), self.area(torch.log1p(area_ha)[:, None])]
        if self.settings.year:
            about.append(((year - self.first_year) / self.years)[:, None])
        out: Tensor = self.head(torch.cat([pooled, *about, *statistics], dim=1))
        return out[:, 0]


class _Transposed(nn.Module):
    """A 1 × 1 convolution over (B, T, C)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convolution(x.transpose(1, 2))
        return y.transpose(1, 2)


def _group(size: int, settings: NetworkSettings) -> nn.Sequential:
    """What one group of features passes before the groups are joined."""
    width = settings.width
    layers: list[nn.Module] = [_Transposed(size, width)]
    if settings.tcn:
        layers.append(TemporalConvolutions(width, width, settings.dropout, settings.padding))
    if settings.asb:
        layers.append(
            SpectralLayer(
                settings.steps,
                width,
                convolution=settings.icb,
                dropout=settings.dropout,
                mask_gradient=settings.mask_gradient,
            )
        )
    return nn.Sequential(*layers)
