"""Every model that is compared, with the settings a search may try: the paper's seven, ours, and a sceptic's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Trial
from torch import nn

from models.yields import linear
from models.yields.apyieldnet import APYieldNet, NetworkSettings
from models.yields.encoding import Encoding
from models.yields.graphs import weighted_sum
from models.yields.linear import Predictor
from models.yields.recurrent import Cell, RecurrentNetwork, RecurrentSettings
from models.yields.samples import Samples
from models.yields.table import FloatArray, YieldTable
from models.yields.training import TrainingSettings, train_networks
from models.yields.wide_and_deep import WideAndDeep, fit_wide_and_deep, settle_shares

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
        fit_parts: as ``fit``, on several parts at once with a seed for each, where that is quicker.
        settle: settings that follow from what fits without each year predict, and those predictions; from rows, for
            each row the number of the fit that does not know its year, and the fits.
    """

    name: str
    suggest: Callable[[Trial], dict[str, Any]]
    default: Parameters
    fit: Callable[[Samples, Parameters, int], Predictor]
    tunable: bool = True
    members: int = 1
    fit_parts: Callable[[Sequence[Samples], Parameters, Sequence[int]], Sequence[Predictor]] | None = None
    settle: Callable[[Samples, NDArray[np.intp], Sequence[Any]], tuple[dict[str, Any], FloatArray]] | None = None

    def fit_each(self, parts: Sequence[Samples], parameters: Parameters, seeds: Sequence[int]) -> Sequence[Predictor]:
        """A predictor for each part."""
        if self.fit_parts is not None:
            return self.fit_parts(parts, parameters, seeds)
        return [self.fit(part, parameters, seed) for part, seed in zip(parts, seeds, strict=True)]

    def fit_members(self, rows: Samples, parameters: Parameters, seed: int) -> Predictor:
        """The mean of as many fits as the model has members."""
        seeds = range(seed, seed + self.members)
        predictors = self.fit_each([rows] * self.members, parameters, seeds)
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
    return [_network(name, partial(_recurrent, cell, len(table.features)), None, members) for name, cell in cells]


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
    return _network(name, partial(_apyieldnet, graph), augment, members)


def on_county_effects(candidate: Candidate, name: str) -> Candidate:
    """A network that explains what random county effects leave.

    How well the effects do is judged on years they were not fitted to, so what is left for the network is what will be
    left in a new year. A share of what the network then finds is added; a share of 0 is the effects alone.
    """

    def suggest(trial: Trial) -> dict[str, Any]:
        own = {"shrink": trial.suggest_float("shrink", 0.01, 30, log=True), "share": trial.suggest_float("share", 0, 1)}
        return candidate.suggest(trial) | own

    def fit_parts(parts: Sequence[Samples], parameters: Parameters, seeds: Sequence[int]) -> list[Predictor]:
        own = dict(parameters)
        shrink, share = own.pop("shrink"), own.pop("share")
        left = []
        for rows in parts:
            expected = np.empty(len(rows))
            for year in rows.years:
                of_year = rows.year == year
                others = rows.take(~of_year) if not of_year.all() else rows
                expected[of_year] = linear.fit_county_effects(others, shrink=shrink)(rows.take(of_year))
            left.append(replace(rows, yields=rows.yields - expected))
        networks = candidate.fit_each(left, own, seeds)
        return [
            weighted_sum([linear.fit_county_effects(rows, shrink=shrink), network], [1.0, share])
            for rows, network in zip(parts, networks, strict=True)
        ]

    return Candidate(
        name,
        suggest,
        {**candidate.default, "shrink": 0.5, "share": 0.5},
        lambda rows, parameters, seed: fit_parts([rows], parameters, [seed])[0],
        members=candidate.members,
        fit_parts=fit_parts,
    )


def wide_and_deep(candidate: Candidate, name: str) -> Candidate:
    """A network beside a line, for what effects of places leave; see :mod:`models.yields.wide_and_deep`.

    The search tries the network's own settings and how far the line is drawn in; how much of each is taken follows
    from the years that a trial leaves out.
    """
    return _wide(name, candidate.suggest, candidate.default, candidate.fit_each, candidate.members)


def wide_alone(name: str) -> Candidate:
    """The effects and the line without a network: what the network is worth beside them."""
    return _wide(name, lambda _trial: {}, {}, lambda parts, _parameters, _seeds: [None] * len(parts), 1)


def _wide(
    name: str,
    suggest: Callable[[Trial], dict[str, Any]],
    default: Parameters,
    fit_networks: Callable[[Sequence[Samples], Parameters, Sequence[int]], Sequence[Predictor | None]],
    members: int,
) -> Candidate:
    def fit_parts(parts: Sequence[Samples], parameters: Parameters, seeds: Sequence[int]) -> list[WideAndDeep]:
        own = dict(parameters)
        penalty, shares = own.pop("penalty"), (own.pop("line_share"), own.pop("network_share"))
        return fit_wide_and_deep(parts, lambda left: fit_networks(left, own, seeds), penalty, shares)

    def settle(
        rows: Samples, fit_of: NDArray[np.intp], fits: Sequence[WideAndDeep]
    ) -> tuple[dict[str, Any], FloatArray]:
        expected, found = np.empty(len(rows)), np.empty((2, len(rows)))
        for number, fitted in enumerate(fits):
            own = rows.take(fit_of == number)
            expected[fit_of == number] = fitted.effects(own)
            found[:, fit_of == number] = fitted.found(own)
        (line, network), left_out = settle_shares(rows, expected, found)
        return {"line_share": line, "network_share": network}, left_out

    return Candidate(
        name,
        lambda trial: {**suggest(trial), "penalty": trial.suggest_float("penalty", 0.3, 100, log=True), **_SHARES},
        {**default, "penalty": 3.0, **_SHARES},
        lambda rows, parameters, seed: fit_parts([rows], parameters, [seed])[0],
        members=members,
        fit_parts=fit_parts,
        settle=settle,
    )


# until they are settled
_SHARES: Mapping[str, float] = {"line_share": 0.5, "network_share": 0.5}
_NETWORK_DEFAULT: Parameters = {
    "width": 16,
    "dropout": 0.2,
    "epochs": 25,
    "learning_rate": 5e-3,
    "weight_decay": 0.05,
}
# rows a step, and steps an epoch at most
_BATCH, _STEPS = 64, 6


def _network_parameters(trial: Trial) -> dict[str, Any]:
    return {
        "width": trial.suggest_categorical("width", [16, 32]),
        "dropout": trial.suggest_float("dropout", 0, 0.5),
        "epochs": trial.suggest_int("epochs", 10, 40),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 1, log=True),
    }


def _columns(trial: Trial) -> dict[str, Any]:
    return {
        "monthly": trial.suggest_categorical("monthly", [True, False]),
        "county": trial.suggest_categorical("county", [0.0, 1.0, 5.0, 25.0, 100.0]),
    }


def _network(
    name: str,
    build: Callable[[Parameters, Encoding], nn.Module],
    augment: Augment | None,
    members: int,
) -> Candidate:
    def fit_parts(parts: Sequence[Samples], parameters: Parameters, seeds: Sequence[int]) -> Sequence[Predictor]:
        fitted = list(parts)
        if augment is not None:
            fitted = [augment(p, np.random.default_rng(seed)) for p, seed in zip(parts, seeds, strict=True)]
        added = sum(map(len, fitted)) / sum(map(len, parts))
        rows = max(map(len, parts))
        settings = TrainingSettings(
            # as many steps with added rows as without: what is compared is the rows, not the time
            epochs=max(1, round(parameters["epochs"] / added)),
            batch=max(_BATCH, math.ceil(rows / _STEPS)),
            learning_rate=parameters["learning_rate"],
            weight_decay=parameters["weight_decay"],
        )
        return train_networks(partial(build, parameters), fitted, settings, seeds)

    return Candidate(
        name,
        _network_parameters,
        _NETWORK_DEFAULT,
        lambda rows, parameters, seed: fit_parts([rows], parameters, [seed])[0],
        members=members,
        fit_parts=fit_parts,
    )


def _apyieldnet(graph: NetworkSettings, parameters: Parameters, encoding: Encoding) -> nn.Module:
    own = {"width": parameters["width"], "dropout": parameters["dropout"], "counties": len(encoding.counties)}
    return APYieldNet(replace(graph, **own), encoding.scales)


def _recurrent(cell: Cell, features: int, parameters: Parameters, encoding: Encoding) -> nn.Module:
    width, dropout = parameters["width"], parameters["dropout"]
    settings = RecurrentSettings(cell, features, len(encoding.counties), width=width, dropout=dropout)
    return RecurrentNetwork(settings, encoding.scales)


def _untuned(name: str, fit: Callable[[Samples], Predictor]) -> Candidate:
    return Candidate(name, lambda _trial: {}, {}, lambda rows, _parameters, _seed: fit(rows), tunable=False)
