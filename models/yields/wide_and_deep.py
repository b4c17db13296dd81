"""APYieldNet, wide and deep: effects of places first, then a line and the network for what they leave in new years."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.linear_model import LinearRegression, Ridge

from models.standardise import Standardise
from models.yields.effects import Effects, best_effects
from models.yields.graphs import GraphPredictor, LinearSeason, graph_of, weighted_sum
from models.yields.samples import Samples
from models.yields.table import FloatArray

Predictor = Callable[[Samples], FloatArray]
Shares = tuple[float, float]

# of the line and the network; in the order in which equally good ones are taken
_CHOICES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))


@dataclass(frozen=True)
class Line:
    """A straight line in every month of every feature.

    Attributes:
        mean: (months, features) of the training rows.
        slope: (months, features), kg/ha for one unit of the feature.
    """

    mean: FloatArray
    slope: FloatArray

    def __call__(self, samples: Samples) -> FloatArray:
        """(n,) what the season adds."""
        return np.asarray(((samples.season - self.mean) * self.slope).sum(axis=(1, 2)))


@dataclass(frozen=True, eq=False)
class WideAndDeep(GraphPredictor):
    """Effects, and the shares of what a line and a network find beside them.

    Attributes:
        effects: of places.
        line: of the season.
        network: yields above the effects, kg/ha.
    """

    effects: Effects
    line: Line
    network: Predictor

    @classmethod
    def of(cls, effects: Effects, line: Line, network: Predictor | None, shares: Shares) -> WideAndDeep:
        """Join them; without a network, effects and line alone.

        Args:
            effects: of places.
            line: of the season.
            network: yields above the effects.
            shares: of the line and of the network that are taken.
        """

        def wide(samples: Samples) -> FloatArray:
            return effects(samples) + shares[0] * line(samples)

        counties = tuple(sorted(effects.counties))
        months = line.mean.size
        columns = np.concatenate([line.mean.ravel(), [effects.middle_year, 0.0]])
        graph = LinearSeason(months + 2, len(counties), monthly=True)
        graph.scale = Standardise(columns.tolist(), [1.0] * len(columns))
        slopes = np.concatenate([shares[0] * line.slope.ravel(), [effects.trend, 0.0]])
        graph.weight = torch.tensor(slopes, dtype=torch.float32)
        levels = [effects.level + own for own in (0.0, *(effects.counties[county] for county in counties))]
        graph.by_county = torch.tensor(levels, dtype=torch.float32)
        whole: Predictor = GraphPredictor(wide, graph, counties)
        if network is not None:
            whole = weighted_sum([whole, network], [1.0, shares[1]])
        joined = graph_of(whole)
        return cls(joined.predict, joined.graph, joined.counties, effects, line, network or _nothing)

    def found(self, samples: Samples) -> FloatArray:
        """(2, n) what line and network find, whole."""
        return np.stack([self.line(samples), self.network(samples)])


def _nothing(samples: Samples) -> FloatArray:
    return np.zeros(len(samples))


def fit_wide_and_deep(
    parts: Sequence[Samples],
    fit_networks: Callable[[Sequence[Samples]], Sequence[Predictor | None]],
    penalty: float,
    shares: Shares,
) -> list[WideAndDeep]:
    """One model for each part.

    Line and network learn what effects leave in a year that they were not fitted to, less that year's mean: a year's
    mean is one number, and features tell five years apart in any number of ways.

    Args:
        parts: rows for each.
        fit_networks: trains a network for each part on its rows, or none.
        penalty: on the line's squared slopes.
        shares: of the line and of the network that are taken.
    """
    effects, left = [], []
    for part in parts:
        own, expected = best_effects(part)
        effects.append(own)
        left.append(replace(part, yields=_less_years_mean(part, part.yields - expected)))
    networks = fit_networks(left)
    return [
        WideAndDeep.of(own, fit_line(rows, penalty), network, shares)
        for own, rows, network in zip(effects, left, networks, strict=True)
    ]


def fit_line(rows: Samples, penalty: float) -> Line:
    """Slopes by what differs within years; of all columns together as large as one."""
    season = rows.season.reshape(len(rows), -1)
    spread = season.std(axis=0)
    scale = np.where(spread > 0, spread, 1) * np.sqrt(season.shape[1])
    within = np.column_stack([_less_years_mean(rows, column) for column in (season / scale).T])
    model = Ridge(alpha=penalty, fit_intercept=False)
    model.fit(within, rows.yields, sample_weight=rows.weight)
    shape = rows.season.shape[1:]
    return Line(season.mean(axis=0).reshape(shape), (model.coef_ / scale).reshape(shape))


def settle_shares(rows: Samples, expected: FloatArray, found: FloatArray) -> tuple[Shares, FloatArray]:
    """Shares by years that were left out, and the predictions with shares that do not know the year either.

    Neither, one or both are taken, whichever predicts best with shares from the other years.

    Args:
        rows: all of them.
        expected: (n,) by effects that do not know the row's year.
        found: (2, n) by line and network that do not know it.
    """
    remainder = rows.yields - expected
    best, best_error = ((0.0, 0.0), expected), np.inf
    for chosen in _CHOICES:
        predicted = expected.copy()
        for year in rows.years:
            own = rows.year == year
            predicted[own] += _shares(chosen, found[:, ~own], remainder[~own], rows.weight[~own]) @ found[:, own]
        error = float(np.average((predicted - rows.yields) ** 2, weights=rows.weight))
        if error < best_error:
            line, network = _shares(chosen, found, remainder, rows.weight).tolist()
            best, best_error = ((line, network), predicted), error
    return best


def _shares(chosen: tuple[int, ...], found: FloatArray, remainder: FloatArray, weight: FloatArray) -> FloatArray:
    """(2,) shares from 0 to 1 with the least squared error; 0 of what is not chosen."""
    shares = np.zeros(len(found))
    if chosen:
        model = LinearRegression(fit_intercept=False, positive=True)
        model.fit(found[list(chosen)].T, remainder, sample_weight=weight)
        shares[list(chosen)] = np.clip(model.coef_, 0, 1)
    return shares


def _less_years_mean(rows: Samples, values: FloatArray) -> FloatArray:
    less: FloatArray = values.copy()
    for year in rows.years:
        of_year = rows.year == year
        less[of_year] -= np.average(values[of_year], weights=rows.weight[of_year])
    return less
