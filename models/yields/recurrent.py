"""The recurrent networks that APYieldNet is compared with: LSTM, GRU and bidirectional LSTM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
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
        dropout: share dropped in training before the head.
    """

    cell: Cell
    features: int
    counties: int
    width: int = 32
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
        self.settings = settings
        self.features = Standardise(scales.feature_mean, scales.feature_std)
        self.area = Standardise([scales.log_area_mean], [scales.log_area_std])
        self.target = Standardise([scales.yield_mean], [scales.yield_std])
        self.register_buffer("first_year", torch.tensor(float(scales.first_year)))
        self.register_buffer("years", torch.tensor(float(scales.years)))
        both_ways = settings.cell == "bilstm"
        self.recurrent = (nn.GRU if settings.cell == "gru" else nn.LSTM)(
            settings.features, settings.width, batch_first=True, bidirectional=both_ways
        )
        self.county = nn.Embedding(settings.counties + 1, _COUNTY_WIDTH)
        state = (2 if both_ways else 1) * settings.width
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(state + _COUNTY_WIDTH + 2, settings.width),
            nn.ReLU(),
            nn.Linear(settings.width, 1),
        )

    def forward(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """(B,) yields in the target's own unit; see :meth:`models.yields.apyieldnet.APYieldNet.forward`."""
        return self.target.undo(self.standardised(season, county, year, area_ha)[:, None])[:, 0]

    def standardised(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """(B,) on the scale of the training yields: mean 0, standard deviation 1."""
        x = self.features(season)
        ends = [last_state(self.recurrent, x)]
        if self.recurrent.bidirectional:
            ends.append(last_state(self.recurrent, x, "_reverse"))
        read = torch.cat(ends, dim=1)
        code = ((year - self.first_year) / self.years)[:, None]
        about = [self.county(county), code, self.area(torch.log1p(area_ha)[:, None])]
        out: Tensor = self.head(torch.cat([read, *about], dim=1))
        return out[:, 0]


def last_state(recurrent: nn.RNNBase, x: Tensor, direction: str = "") -> Tensor:
    """(B, width) state of an LSTM or GRU of one layer after all of (B, T, C) steps.

    Step by step in plain operations, of which many networks can be trained at once; torch's own cannot.

    Args:
        recurrent: holds the weights.
        x: the series.
        direction: of the weights; "_reverse" for the half of a bidirectional network that reads from the last step to
            the first.
    """
    input_weight, state_weight, input_bias, state_bias = (
        getattr(recurrent, f"{name}_l0{direction}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    is_lstm = isinstance(recurrent, nn.LSTM)
    given = F.linear(x, input_weight, input_bias + state_bias if is_lstm else input_bias)
    state = memory = torch.zeros_like(x[:, 0, :1]).expand(-1, recurrent.hidden_size)
    steps = given.unbind(1)
    for step in reversed(steps) if direction else steps:
        if is_lstm:
            gates = step + F.linear(state, state_weight)
            enter, forget, value, leave = gates.chunk(4, dim=1)
            memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(value)
            state = torch.sigmoid(leave) * torch.tanh(memory)
        else:
            reset, keep, value = step.chunk(3, dim=1)
            state_reset, state_keep, state_value = F.linear(state, state_weight, state_bias).chunk(3, dim=1)
            new = torch.tanh(value + torch.sigmoid(reset + state_reset) * state_value)
            kept = torch.sigmoid(keep + state_keep)
            state = (1 - kept) * new + kept * state
    return state
