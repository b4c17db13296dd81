"""The linear models that APYieldNet is compared with, boosted trees, and what needs no season at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from models.yields.encoding import Columns
from models.yields.graphs import GraphPredictor, county_table, linear_season
from models.yields.samples import Samples
from models.yields.table import FloatArray

Predictor = Callable[[Samples], FloatArray]


def fit_lasso(rows: Samples, *, alpha: float, monthly: bool, county: float) -> GraphPredictor:
    """Least squares with the absolute size of coefficients; ``alpha`` in standard deviations of the yield."""
    columns = Columns.fit(rows, monthly=monthly, county=county)
    scale = float(rows.yields.std()) or 1.0
    model = Lasso(alpha=alpha, max_iter=20000, tol=1e-3)
    model.fit(columns.of(rows), rows.yields / scale, sample_weight=rows.weight)
    return linear_season(columns, lambda known: np.asarray(scale * model.predict(known)))


def fit_ridge(rows: Samples, *, alpha: float, monthly: bool, county: float) -> GraphPredictor:
    """Least squares with the squared size of coefficients.

    With columns of counties this is a model of random county effects beside the seasons': the larger ``county``, the
    less an effect is drawn to zero.
    """
    columns = Columns.fit(rows, monthly=monthly, county=county)
    model = Ridge(alpha=alpha)
    model.fit(columns.of(rows), rows.yields, sample_weight=rows.weight)
    return linear_season(columns, lambda known: np.asarray(model.predict(known)))


def fit_multiple_linear(rows: Samples, *, monthly: bool, county: float) -> GraphPredictor:
    """Plain least squares; of equally good coefficients the smallest."""
    columns = Columns.fit(rows, monthly=monthly, county=county)
    model = LinearRegression()
    model.fit(columns.of(rows), rows.yields, sample_weight=rows.weight)
    return linear_season(columns, lambda known: np.asarray(model.predict(known)))


def fit_pls(rows: Samples, *, components: int, monthly: bool, county: float) -> GraphPredictor:
    """Partial least squares; it knows no weights of rows."""
    columns = Columns.fit(rows, monthly=monthly, county=county)
    known = columns.of(rows)
    model = PLSRegression(n_components=min(components, *known.shape), scale=False)
    model.fit(known, rows.yields)
    return linear_season(columns, lambda some: np.asarray(model.predict(some)).reshape(-1))


def fit_trees(
    rows: Samples, *, trees: int, learning_rate: float, leaves: int, least: int, monthly: bool, seed: int
) -> Predictor:
    """Gradient boosting of regression trees; the county's mean yield is a column of its own."""
    columns = Columns.fit(rows, monthly=monthly, county=0)
    means = _county_means(rows)
    everywhere = float(np.average(rows.yields, weights=rows.weight))

    def known(samples: Samples, own: FloatArray) -> FloatArray:
        return np.column_stack([columns.of(samples), own])

    model = HistGradientBoostingRegressor(
        max_iter=trees,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        min_samples_leaf=least,
        random_state=seed,
        early_stopping=False,
    )
    # a row's own yield must not be in the mean that explains it
    model.fit(known(rows, _means_of_other_years(rows, everywhere)), rows.yields, sample_weight=rows.weight)

    def predict(samples: Samples) -> FloatArray:
        own = np.array([means.get(str(county), everywhere) for county in samples.county])
        return np.asarray(model.predict(known(samples, own)))

    return predict


def fit_county_mean(rows: Samples) -> GraphPredictor:
    """The mean of the county's other years; of all counties where it is not known."""
    return fit_county_effects(rows, shrink=0.0)


def fit_county_effects(rows: Samples, *, shrink: float) -> GraphPredictor:
    """Random county effects: the county's mean, drawn to the mean of all.

    Args:
        rows: to fit to.
        shrink: how many rows' worth the mean of all counts beside the county's own.
    """
    everywhere = float(np.average(rows.yields, weights=rows.weight))
    known = {
        str(county): everywhere + _effect(rows.take(rows.county == county), everywhere, shrink)
        for county in np.unique(rows.county)
    }
    return county_table(known, everywhere)


def fit_last_year(rows: Samples) -> Predictor:
    """The county's yield of the nearest year before, or after where none is before; else the mean of all."""
    everywhere = float(np.average(rows.yields, weights=rows.weight))

    def of(county: Any, year: Any) -> float:
        own = np.flatnonzero(rows.county == county)
        if not len(own):
            return everywhere
        before = own[rows.year[own] < year]
        chosen = before[rows.year[before].argmax()] if len(before) else own[rows.year[own].argmin()]
        return float(rows.yields[chosen])

    return lambda samples: np.array([of(c, y) for c, y in zip(samples.county, samples.year, strict=True)])


def _effect(own: Samples, everywhere: float, shrink: float) -> float:
    return float((own.weight * (own.yields - everywhere)).sum() / (own.weight.sum() + shrink))


def _county_means(rows: Samples) -> Mapping[str, float]:
    return {str(county): float(rows.yields[rows.county == county].mean()) for county in np.unique(rows.county)}


def _means_of_other_years(rows: Samples, everywhere: float) -> FloatArray:
    """(n,) mean of the county's yields in other years than the row's."""
    means = np.full(len(rows), everywhere)
    for year in rows.years:
        of_year = rows.year == year
        others = _county_means(rows.take(~of_year))
        means[of_year] = [others.get(str(county), everywhere) for county in rows.county[of_year]]
    return means
