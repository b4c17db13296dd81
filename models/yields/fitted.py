"""A fitted model of yields as files: what ``pomona train apyieldnet`` writes and ``pomona export`` reads."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.yields.candidates import Candidate, Parameters
from models.yields.graphs import NoGraphError, assemble, describe, graph_of, predict_with
from models.yields.samples import Samples, samples_of
from models.yields.table import Feature, FloatArray, YieldTable
from models.yields.training_range import TrainingRange

SETTINGS = "fitted.json"
_FORMAT = "pomona-fitted-yields/1"
_RANGE = ("mean", "std", "precision")


class FittedError(ValueError):
    """A folder that holds no fitted model of yields."""

    exit_code = 2


@dataclass(frozen=True, eq=False)
class FittedSeason:
    """A model for a season, or for its first months.

    Attributes:
        months: that it takes.
        candidate: name of the model.
        parameters: that it was fitted with.
        graph: the network.
        half_width_kg_per_ha: of its 90 % intervals, from years that were left out.
        metrics: figures by name, on rows that were left out.
        training_range: of the rows fitted to.
        month_mean: (months, features) of the rows fitted to.
        month_std: likewise.
    """

    months: tuple[int, ...]
    candidate: str
    parameters: Parameters
    graph: nn.Module
    half_width_kg_per_ha: float
    metrics: Mapping[str, float]
    training_range: TrainingRange
    month_mean: FloatArray
    month_std: FloatArray


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A model for whole seasons, and others for those that have only begun, fitted to one table.

    Attributes:
        crop: of the table.
        region: of the table.
        features: of each month, in order.
        counties: known ones; the first has index 1, any other place 0.
        years: that were fitted to.
        rows: that were fitted to.
        training_data: what the rows are, in words.
        simulated: whether they are.
        licence: SPDX, of the weights.
        attribution: whom the licences of the data ask to name.
        commit: of the code that fitted it.
        seasons: the whole season first, then shorter ones, the longest of them first.
    """

    crop: str
    region: str
    features: tuple[Feature, ...]
    counties: tuple[str, ...]
    years: tuple[int, ...]
    rows: int
    training_data: str
    simulated: bool
    licence: str
    attribution: tuple[str, ...]
    commit: str
    seasons: tuple[FittedSeason, ...]

    def __post_init__(self) -> None:
        whole = self.seasons[0].months if self.seasons else ()
        if not whole:
            raise FittedError("a fitted model needs a season; fit one with fit_season")
        for before, after in zip(self.seasons, self.seasons[1:], strict=False):
            if len(after.months) >= len(before.months) or whole[: len(after.months)] != after.months:
                raise FittedError(
                    f"months {after.months} after {before.months}: give the whole season first, then its beginnings, "
                    "the longest first"
                )

    def predict(self, samples: Samples) -> FloatArray:
        """(n,) kg/ha, by the model for as many months as the samples have.

        Raises:
            FittedError: there is none.
        """
        months = samples.season.shape[1]
        for season in self.seasons:
            if len(season.months) == months:
                return predict_with(season.graph, self.counties, samples)
        known = ", ".join(str(len(season.months)) for season in self.seasons)
        raise FittedError(f"no model for seasons of {months} months; there are some for {known}")


def fit_season(
    candidate: Candidate,
    table: YieldTable,
    parameters: Parameters,
    *,
    half_width_kg_per_ha: float,
    metrics: Mapping[str, float],
    seed: int = 0,
) -> FittedSeason:
    """Fit a model to all rows of a table, which :meth:`YieldTable.months_until` may have cut.

    Args:
        candidate: the model.
        table: the rows.
        parameters: of the fit.
        half_width_kg_per_ha: of the intervals, from :func:`models.yields.conformal.half_width`.
        metrics: figures by name, on rows that were left out.
        seed: of the fit.

    Raises:
        NoGraphError: the model cannot be given as a network.
    """
    rows = samples_of(table)
    predictor = graph_of(candidate.fit_members(rows, parameters, seed), candidate.name)
    if predictor.counties != table.counties:
        raise NoGraphError(f"{candidate.name} knows other counties than the table; fit it to the table's own rows")
    return FittedSeason(
        months=table.months,
        candidate=candidate.name,
        parameters=dict(parameters),
        graph=predictor.graph,
        half_width_kg_per_ha=half_width_kg_per_ha,
        metrics=dict(metrics),
        training_range=TrainingRange.fit(rows),
        month_mean=rows.season.mean(axis=0),
        month_std=rows.season.std(axis=0),
    )


def fitted_model(
    table: YieldTable,
    seasons: Sequence[FittedSeason],
    *,
    training_data: str,
    simulated: bool,
    licence: str,
    attribution: Sequence[str],
    commit: str,
) -> FittedModel:
    """Join what was fitted to one table and its beginnings; see :class:`FittedModel`."""
    return FittedModel(
        crop=table.crop,
        region=table.region,
        features=table.features,
        counties=table.counties,
        years=table.years,
        rows=len(table),
        training_data=training_data,
        simulated=simulated,
        licence=licence,
        attribution=tuple(attribution),
        commit=commit,
        seasons=tuple(sorted(seasons, key=lambda season: -len(season.months))),
    )


def save_fitted(folder: Path, fitted: FittedModel) -> None:
    """Write ``fitted.json`` and the arrays of each season, ``until-10.npz`` for one that ends in October.

    Raises:
        OSError: it cannot be written.
        NoGraphError: a network cannot be described.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seasons = []
    for season in fitted.seasons:
        name = f"until-{season.months[-1]:02d}.npz"
        state = {f"graph.{key}": value.cpu().numpy() for key, value in season.graph.state_dict().items()}
        own = {f"range.{key}": getattr(season.training_range, key) for key in _RANGE}
        months = {"month_mean": season.month_mean, "month_std": season.month_std}
        np.savez(folder / name, **state, **own, **months)  # type: ignore[arg-type]
        seasons.append(
            {
                "months": season.months,
                "candidate": season.candidate,
                "parameters": dict(season.parameters),
                "graph": describe(season.graph),
                "half_width_kg_per_ha": season.half_width_kg_per_ha,
                "metrics": dict(season.metrics),
                "range_limit": season.training_range.limit,
                "area_ha": [season.training_range.least_area_ha, season.training_range.most_area_ha],
                "arrays": name,
            }
        )
    plain = {name: getattr(fitted, name) for name in _PLAIN} | {"features": [asdict(f) for f in fitted.features]}
    text = json.dumps({"format": _FORMAT, **plain, "seasons": seasons}, ensure_ascii=False, indent=2, allow_nan=False)
    # last, so that a folder that was left half written is none
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")


_PLAIN = (
    "crop",
    "region",
    "counties",
    "years",
    "rows",
    "training_data",
    "simulated",
    "licence",
    "attribution",
    "commit",
)


def load_fitted(folder: Path) -> FittedModel:
    """Read what :func:`save_fitted` wrote; nothing in it is executed.

    Raises:
        FittedError: a file is missing, damaged or of another format.
    """
    path = folder / SETTINGS
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise FittedError(f"{path} is not of format {_FORMAT}; train again with this Pomona")
        plain: dict[str, Any] = {name: values[name] for name in _PLAIN}
        plain |= {name: tuple(plain[name]) for name in ("counties", "years", "attribution")}
        return FittedModel(
            features=tuple(Feature(**feature) for feature in values["features"]),
            seasons=tuple(_season(folder, season) for season in values["seasons"]),
            **plain,
        )
    except OSError as error:
        raise FittedError(
            f"{error.filename} cannot be read ({error.strerror}); name a folder that pomona train apyieldnet wrote"
        ) from error
    except (KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, FittedError):
            raise
        raise FittedError(f"the fitted model in {folder} is damaged ({error}); train it again") from error


def _season(folder: Path, values: Mapping[str, Any]) -> FittedSeason:
    with (folder / Path(values["arrays"]).name).open("rb") as file, np.load(file, allow_pickle=False) as held:
        arrays = dict(held)
    graph = assemble(values["graph"])
    prefix = "graph."
    graph.load_state_dict(
        {key[len(prefix) :]: torch.tensor(array) for key, array in arrays.items() if key.startswith(prefix)}
    )
    least, most = values["area_ha"]
    return FittedSeason(
        months=tuple(values["months"]),
        candidate=values["candidate"],
        parameters=values["parameters"],
        graph=graph.eval(),
        half_width_kg_per_ha=values["half_width_kg_per_ha"],
        metrics=values["metrics"],
        training_range=TrainingRange(
            arrays["range.mean"], arrays["range.std"], arrays["range.precision"], values["range_limit"], least, most
        ),
        month_mean=arrays["month_mean"],
        month_std=arrays["month_std"],
    )
