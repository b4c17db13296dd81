"""The recurrent networks that APYieldNet is compared with: LSTM, GRU and bidirectional LSTM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.standardise import Standardise
from models.yields.apyieldnet import Scales

Cell = Literal["lstm", "gru", "bilstm"]
_COUNTY_WIDTH = 8


@dataclass(frozen=True)
class RecurrentSettings:
    """What decides the graph.

    Attributes:
        cell: kind of network.
        features: of each month.
        counties: known ones; index 0, for any other, is added.
        width: of the state.
        layers: one upon the other.
        dropout: share dropped in training before the head.
    """

    cell: Cell
    features: int
    counties: int
    width: int = 32
    layers: int = 1
    dropout: float = 0.1


class RecurrentNetwork(nn.Module):
    """Reads the months one after the other; the last state, county, year and area give the yield.

    Args:
        settings: the graph.
        scales: constants of the training rows.
    """

    first_year: Tensor
    years: Tensor

    def __init__(self, settings: RecurrentSettings, scales: Scales) -> None:
        super().__init__()
        self.features = Standardise(scales.feature_mean, scales.feature_std)
        self.area = Standardise([scales.log_area_mean], [scales.log_area_std])
        self.target = Standardise([scales.yield_mean], [scales.yield_std])
        self.register_buffer("first_year", torch.tensor(float(scales.first_year)))
        self.register_buffer("years", torch.tensor(float(scales.years)))
        both_ways = settings.cell == "bilstm"
        self.recurrent = (nn.GRU if settings.cell == "gru" else nn.LSTM)(
            settings.features, settings.width, settings.layers, batch_first=True, bidirectional=both_ways
        )
        self.county = nn.Embedding(settings.counties + 1, _COUNTY_WIDTH)
        state = (2 if both_ways else 1) * settings.width
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(state + _COUNTY_WIDTH + 2, settings.width),
            nn.ReLU(),
            nn.Linear(settings.width, 1),
        )
        self.directions = 2 if both_ways else 1

    def forward(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """(B,) yields in the target's own unit; see :meth:`models.yields.apyieldnet.APYieldNet.forward`."""
        return self.target.undo(self.standardised(season, county, year, area_ha)[:, None])[:, 0]

    def standardised(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """(B,) on the scale of the training yields: mean 0, standard deviation 1."""
        _, state = self.recurrent(self.features(season))
        last = state[0] if isinstance(state, tuple) else state  # (layers · directions, B, width)
        read = torch.cat(last[-self.directions :].unbind(), dim=1)
        code = ((year - self.first_year) / self.years)[:, None]
        about = [self.county(county), code, self.area(torch.log1p(area_ha)[:, None])]
        out: Tensor = self.head(torch.cat([read, *about], dim=1))
        return out[:, 0]
