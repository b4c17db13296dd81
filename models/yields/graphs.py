"""Fitted models of yields as networks of the same four inputs: season, county, year and area."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models.yields.apyieldnet import APYieldNet, NetworkSettings, Scales
from models.yields.encoding import Columns, Encoding
from models.yields.normalising import Standardise
from models.yields.recurrent import RecurrentNetwork, RecurrentSettings
from models.yields.samples import Samples
from models.yields.table import FloatArray


class NoGraphError(ValueError):
    """A model that cannot be given as a network, or a description of one that is not known."""

    exit_code = 2


@dataclass(frozen=True, eq=False)
class GraphPredictor:
    """A predictor that is a network too.

    Attributes:
        predict: gives yields in kg/ha of any rows.
        graph: the same, of tensors: season (B, T, C) in its own units, county (B,) index, year (B,), area in ha (B,).
        counties: known ones; the first has index 1, any other place 0.
    """

    predict: Callable[[Samples], FloatArray]
    graph: nn.Module
    counties: tuple[str, ...]

    def __call__(self, samples: Samples) -> FloatArray:
        """(n,) yields in kg/ha."""
        return self.predict(samples)


def graph_of(predictor: Callable[[Samples], FloatArray], name: str = "this model") -> GraphPredictor:
    """The predictor with its network.

    Raises:
        NoGraphError: it has none.
    """
    if not isinstance(predictor, GraphPredictor):
        raise NoGraphError(
            f"{name} cannot be given as a network, so no device can run it; choose a network, a linear model or "
            "county effects"
        )
    return predictor


def weighted_sum(
    predictors: Sequence[Callable[[Samples], FloatArray]], shares: Sequence[float]
) -> Callable[[Samples], FloatArray]:
    """What several predictors say, each times its share; a network where all of them are.

    Raises:
        NoGraphError: they know different counties.
    """

    def predict(samples: Samples) -> FloatArray:
        return np.asarray(sum(s * predictor(samples) for s, predictor in zip(shares, predictors, strict=True)))

    graphs = [predictor for predictor in predictors if isinstance(predictor, GraphPredictor)]
    if len(graphs) < len(predictors):
        return predict
    counties = graphs[0].counties
    if any(predictor.counties != counties for predictor in graphs):
        raise NoGraphError("these models know different counties; fit all of them to the same rows")
    return GraphPredictor(predict, WeightedSum([predictor.graph for predictor in graphs], shares), counties)


class WeightedSum(nn.Module):
    """Networks of the same inputs, each times its share.

    Args:
        parts: the networks.
        shares: one each.
    """

    shares: Tensor

    def __init__(self, parts: Sequence[nn.Module], shares: Sequence[float]) -> None:
        super().__init__()
        if not parts or len(parts) != len(shares):
            raise ValueError(f"{len(parts)} networks and {len(shares)} shares; give one share a network")
        self.parts = nn.ModuleList(parts)
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float32))

    def forward(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """(B,) yields."""
        each = torch.stack([part(season, county, year, area_ha) for part in self.parts], dim=1)
        out: Tensor = (each * self.shares).sum(dim=1)
        return out


class CountyTable(nn.Module):
    """A yield for each county, whatever its season.

    Args:
        kg_per_ha: by index of the county; the first is for any place that is not known.
    """

    kg_per_ha: Tensor

    def __init__(self, kg_per_ha: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("kg_per_ha", torch.tensor(kg_per_ha, dtype=torch.float32))

    def forward(self, _season: Tensor, county: Tensor, _year: Tensor, _area_ha: Tensor) -> Tensor:
        """(B,) yields."""
        out: Tensor = self.kg_per_ha[county]
        return out


class LinearSeason(nn.Module):
    """A sum of weighted columns, as :class:`models.yields.encoding.Columns` makes them, and a figure for each county.

    Args:
        columns: means over the season or months of features, then year and logarithm of the area.
        counties: known ones.
        monthly: whether each month is a column.
    """

    by_county: Tensor
    weight: Tensor

    def __init__(self, columns: int, counties: int, *, monthly: bool) -> None:
        super().__init__()
        self.monthly = monthly
        self.scale = Standardise([0.0] * columns, [1.0] * columns)
        self.register_buffer("weight", torch.zeros(columns))
        self.register_buffer("by_county", torch.zeros(counties + 1))

    @classmethod
    def of(cls, columns: Columns, predict: Callable[[FloatArray], FloatArray]) -> LinearSeason:
        """Read off a linear function of columns what it weighs each by.

        Args:
            columns: what it is a function of.
            predict: (n,) yields of (n, columns).
        """
        plain, counties = len(columns.mean), len(columns.encoding.counties)
        known = counties if columns.county else 0
        at = predict(np.vstack([np.zeros(plain + known), np.eye(plain + known)]))
        weights = at[1:] - at[0]
        graph = cls(plain, counties, monthly=columns.monthly)
        graph.scale = Standardise(columns.mean.tolist(), columns.std.tolist())
        graph.weight = torch.tensor(weights[:plain], dtype=torch.float32)
        by_county = np.full(counties + 1, at[0])
        if known:
            by_county[1:] += columns.county * weights[plain:]
        graph.by_county = torch.tensor(by_county, dtype=torch.float32)
        return graph

    def forward(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        """(B,) yields."""
        seen = season.flatten(1) if self.monthly else season.mean(dim=1)
        columns = torch.cat([seen, year[:, None], torch.log1p(area_ha)[:, None]], dim=1)
        out: Tensor = (self.scale(columns) * self.weight).sum(dim=1) + self.by_county[county]
        return out


def county_table(by_county: Mapping[str, float], elsewhere: float) -> GraphPredictor:
    """A yield for each known county, and one for all other places."""
    counties = tuple(sorted(by_county))

    def predict(samples: Samples) -> FloatArray:
        return np.array([by_county.get(str(county), elsewhere) for county in samples.county])

    return GraphPredictor(predict, CountyTable([elsewhere, *(by_county[name] for name in counties)]), counties)


def linear_season(columns: Columns, predict: Callable[[FloatArray], FloatArray]) -> GraphPredictor:
    """A linear function of columns as a predictor."""
    return GraphPredictor(
        lambda samples: predict(columns.of(samples)), LinearSeason.of(columns, predict), columns.encoding.counties
    )


def describe(graph: nn.Module) -> dict[str, Any]:
    """What :func:`assemble` needs, beside the state, to make a network again; plain values.

    Raises:
        NoGraphError: it is none of the networks known here.
    """
    match graph:
        case WeightedSum():
            return {"kind": "sum", "parts": [describe(part) for part in graph.parts]}
        case CountyTable():
            return {"kind": "county table", "counties": len(graph.kg_per_ha) - 1}
        case LinearSeason():
            counties = len(graph.by_county) - 1
            return {
                "kind": "linear",
                "columns": len(graph.weight),
                "counties": counties,
                "monthly": graph.monthly,
            }
        case APYieldNet():
            return {"kind": "APYieldNet", **graph.settings.as_dict()}
        case RecurrentNetwork():
            return {"kind": "recurrent", **asdict(graph.settings)}
    raise NoGraphError(f"a {type(graph).__name__} cannot be described; add it to models/yields/graphs.py")


def assemble(description: Mapping[str, Any]) -> nn.Module:
    """A network of its description; its state is loaded afterwards.

    Raises:
        NoGraphError: the description is of a kind that is not known.
        TypeError, KeyError, ValueError: its values are none.
    """
    values = dict(description)
    match values.pop("kind", None):
        case "sum":
            parts = [assemble(part) for part in values["parts"]]
            return WeightedSum(parts, [0.0] * len(parts))
        case "county table":
            return CountyTable([0.0] * (values["counties"] + 1))
        case "linear":
            return LinearSeason(**values)
        case "APYieldNet":
            settings = NetworkSettings(**values | {"group_sizes": tuple(values["group_sizes"])})
            return APYieldNet(settings, _unscaled(settings.features))
        case "recurrent":
            recurrent = RecurrentSettings(**values)
            return RecurrentNetwork(recurrent, _unscaled(recurrent.features))
    raise NoGraphError(f"a network of kind {description.get('kind')!r} is not known; upgrade Pomona")


def export_form(graph: nn.Module) -> nn.Module:
    """A copy without weight normalisation and dropout: what is exported."""
    ready = copy.deepcopy(graph).cpu().eval()
    for module in ready.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return ready.requires_grad_(False)


def predict_with(graph: nn.Module, counties: tuple[str, ...], samples: Samples) -> FloatArray:
    """(n,) yields in kg/ha of rows by a network that knows these counties."""
    encoding = Encoding(counties, _unscaled(samples.season.shape[2]))
    with torch.no_grad():
        yields: FloatArray = graph(*encoding.inputs(samples)).double().numpy()
    return yields


def _unscaled(features: int) -> Scales:
    return Scales([0.0] * features, [1.0] * features)
