"""Every model that is compared, with the settings a search may try: the paper's seven, ours, and a sceptic's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from optuna import Trial
from torch import nn

from models.yields import linear
from models.yields.apyieldnet import APYieldNet, NetworkSettings
from models.yields.encoding import Encoding
from models.yields.graphs import weighted_sum
from models.yields.linear import Predictor
from models.yields.recurrent import Cell, RecurrentNetwork, RecurrentSettings
from models.yields.samples import Samples
from models.yields.table import YieldTable
from models.yields.training import TrainingSettings, train_network

Parameters = Mapping[str, Any]
# changes the rows a network is fitted to; never the rows it is tested on
Augment = Callable[[Samples, np.random.Generator], Samples]


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison.

    Attributes:
        name: as tables show it.
        suggest: settings of a trial.
        default: settings that are tried first.
        fit: makes a predictor from rows, settings and a seed.
        tunable: whether there is anything to search.
        members: networks whose mean predicts in the end; each trial trains one.
    """

    name: str
    suggest: Callable[[Trial], dict[str, Any]]
    default: Parameters
    fit: Callable[[Samples, Parameters, int], Predictor]
    tunable: bool = True
    members: int = 1

    def fit_members(self, rows: Samples, parameters: Parameters, seed: int) -> Predictor:
        """The mean of as many fits as the model has members."""
        predictors = [self.fit(rows, parameters, seed + member) for member in range(self.members)]
        return weighted_sum(predictors, [1 / len(predictors)] * len(predictors))


def linear_candidates() -> list[Candidate]:
    """Lasso, ridge, multiple linear and partial least squares: the paper's models that need no training."""
    return [
        Candidate(
            "Lasso",
            lambda trial: {"alpha": trial.suggest_float("alpha", 1e-3, 1, log=True)} | _columns(trial),
            {"alpha": 0.01, "monthly": True, "county": 1.0},
            lambda rows, parameters, _seed: linear.fit_lasso(rows, **parameters),
        ),
        Candidate(
            "Ridge",
            lambda trial: {"alpha": trial.suggest_float("alpha", 1, 1e5, log=True)} | _columns(trial),
            {"alpha": 100.0, "monthly": True, "county": 1.0},
            lambda rows, parameters, _seed: linear.fit_ridge(rows, **parameters),
        ),
        Candidate(
            "Multiple linear",
            _columns,
            {"monthly": True, "county": 1.0},
            lambda rows, parameters, _seed: linear.fit_multiple_linear(rows, **parameters),
        ),
        Candidate(
            "PLSR",
            lambda trial: {"components": trial.suggest_int("components", 1, 20)} | _columns(trial),
            {"components": 5, "monthly": True, "county": 1.0},
            lambda rows, parameters, _seed: linear.fit_pls(rows, **parameters),
        ),
    ]


def sceptical_candidates() -> list[Candidate]:
    """What a sceptic would ask for: trees, and models that never see a season."""
    return [
        Candidate(
            "Boosted trees",
            lambda trial: {
                "trees": trial.suggest_int("trees", 20, 300, log=True),
                "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
                "leaves": trial.suggest_int("leaves", 2, 16),
                "least": trial.suggest_int("least", 5, 40),
                "monthly": trial.suggest_categorical("monthly", [True, False]),
            },
            {"trees": 100, "learning_rate": 0.05, "leaves": 6, "least": 10, "monthly": True},
            lambda rows, parameters, seed: linear.fit_trees(rows, **parameters, seed=seed),
        ),
        Candidate(
            "County effects",
            lambda trial: {"shrink": trial.suggest_float("shrink", 0.01, 30, log=True)},
            {"shrink": 0.5},
            lambda rows, parameters, _seed: linear.fit_county_effects(rows, **parameters),
        ),
        _untuned("County mean", linear.fit_county_mean),
        _untuned("Last year's yield", linear.fit_last_year),
    ]


def recurrent_candidates(table: YieldTable, members: int) -> list[Candidate]:
    """LSTM, GRU and bidirectional LSTM for the features of a table."""
    cells: list[tuple[str, Cell]] = [("LSTM", "lstm"), ("GRU", "gru"), ("BiLSTM", "bilstm")]
    return [
        Candidate(
            name,
            _network_parameters,
            _NETWORK_DEFAULT,
            partial(_fit_network, partial(_recurrent, cell, len(table.features)), None),
            members=members,
        )
        for name, cell in cells
    ]


def apyieldnet(
    table: YieldTable,
    members: int,
    name: str = "APYieldNet",
    augment: Augment | None = None,
    **switches: Any,
) -> Candidate:
    """The paper's network for the features of a table.

    Args:
        table: its features and months.
        members: networks in the end.
        name: as tables show it.
        augment: adds rows to what is fitted to.
        **switches: of :class:`models.yields.apyieldnet.NetworkSettings`.
    """
    graph = NetworkSettings(group_sizes=table.group_sizes, steps=len(table.months), **switches)
    return Candidate(
        name,
        _network_parameters,
        _NETWORK_DEFAULT,
        partial(_fit_network, partial(_apyieldnet, graph), augment),
        members=members,
    )


def on_county_effects(candidate: Candidate, name: str) -> Candidate:
    """A network that explains what random county effects leave.

    How well the effects do is judged on years they were not fitted to, so what is left for the network is what will be
    left in a new year. A share of what the network then finds is added; a share of 0 is the effects alone.
    """

    def suggest(trial: Trial) -> dict[str, Any]:
        own = {"shrink": trial.suggest_float("shrink", 0.01, 30, log=True), "share": trial.suggest_float("share", 0, 1)}
        return candidate.suggest(trial) | own

    def fit(rows: Samples, parameters: Parameters, seed: int) -> Predictor:
        own = dict(parameters)
        shrink, share = own.pop("shrink"), own.pop("share")
        expected = np.empty(len(rows))
        for year in rows.years:
            of_year = rows.year == year
            others = rows.take(~of_year) if not of_year.all() else rows
            expected[of_year] = linear.fit_county_effects(others, shrink=shrink)(rows.take(of_year))
        effects = linear.fit_county_effects(rows, shrink=shrink)
        network = candidate.fit(replace(rows, yields=rows.yields - expected), own, seed)
        return weighted_sum([effects, network], [1.0, share])

    default = {**candidate.default, "shrink": 0.5, "share": 0.5}
    return Candidate(name, suggest, default, fit, members=candidate.members)


_NETWORK_DEFAULT: Parameters = {
    "width": 16,
    "dropout": 0.2,
    "epochs": 30,
    "learning_rate": 5e-3,
    "weight_decay": 0.05,
}
_BATCH = 64


def _network_parameters(trial: Trial) -> dict[str, Any]:
    return {
        "width": trial.suggest_categorical("width", [16, 32]),
        "dropout": trial.suggest_float("dropout", 0, 0.5),
        "epochs": trial.suggest_int("epochs", 10, 60),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 1, log=True),
    }


def _columns(trial: Trial) -> dict[str, Any]:
    return {
        "monthly": trial.suggest_categorical("monthly", [True, False]),
        "county": trial.suggest_categorical("county", [0.0, 1.0, 5.0, 25.0, 100.0]),
    }


def _fit_network(
    build: Callable[[Parameters, Encoding], nn.Module],
    augment: Augment | None,
    rows: Samples,
    parameters: Parameters,
    seed: int,
) -> Predictor:
    fitted = rows if augment is None else augment(rows, np.random.default_rng(seed))
    settings = TrainingSettings(
        # as many steps with added rows as without: what is compared is the rows, not the time
        epochs=max(1, round(parameters["epochs"] * len(rows) / len(fitted))),
        batch=_BATCH,
        learning_rate=parameters["learning_rate"],
        weight_decay=parameters["weight_decay"],
    )
    return train_network(partial(build, parameters), fitted, settings, seed)


def _apyieldnet(graph: NetworkSettings, parameters: Parameters, encoding: Encoding) -> nn.Module:
    own = {"width": parameters["width"], "dropout": parameters["dropout"], "counties": len(encoding.counties)}
    return APYieldNet(replace(graph, **own), encoding.scales)


def _recurrent(cell: Cell, features: int, parameters: Parameters, encoding: Encoding) -> nn.Module:
    width, dropout = parameters["width"], parameters["dropout"]
    settings = RecurrentSettings(cell, features, len(encoding.counties), width=width, dropout=dropout)
    return RecurrentNetwork(settings, encoding.scales)


def _untuned(name: str, fit: Callable[[Samples], Predictor]) -> Candidate:
    return Candidate(name, lambda _trial: {}, {}, lambda rows, _parameters, _seed: fit(rows), tunable=False)
