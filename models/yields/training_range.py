"""How far a season is from those that a model was fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

from models.yields.samples import Samples
from models.yields.table import FloatArray, TableError

_PERCENTILE = 99.0
_LEAST_VARIANCE = 1e-6  # of a standardised feature, where all seasons lie on a plane


@dataclass(frozen=True, eq=False)
class TrainingRange:
    """Where the season means of the rows lie that a model was fitted to.

    The distance of a season is Mahalanobis' of its mean over the months, over the root of the number of features: the
    seasons fitted to are at 1 on the average of squares. The covariance is drawn to that of independent features
    (Ledoit and Wolf, Journal of Multivariate Analysis 2004, 88, 365).

    Attributes:
        mean: (C,) of each feature's season mean.
        std: (C,) likewise, above 0.
        precision: (C, C) inverse covariance of the season means after taking both out.
        limit: 99th percentile of the distances of the rows fitted to, each from the others.
        least_area_ha: of the rows.
        most_area_ha: of the rows.
    """

    mean: FloatArray
    std: FloatArray
    precision: FloatArray
    limit: float
    least_area_ha: float
    most_area_ha: float

    @classmethod
    def fit(cls, rows: Samples) -> TrainingRange:
        """The range of these rows.

        Raises:
            TableError: fewer than three rows.
        """
        if len(rows) < 3:
            raise TableError(f"{len(rows)} rows have no range; fit to three at least")
        means = rows.season.mean(axis=1)
        centre, std = means.mean(axis=0), means.std(axis=0)
        std = np.where(std > 1e-9 * np.abs(centre), std, np.maximum(1.0, np.abs(centre)))
        apart = (means - centre) / std
        distances, precision = _from_the_others(apart)
        limit = float(np.percentile(distances, _PERCENTILE))
        return cls(centre, std, precision, limit, float(rows.area_ha.min()), float(rows.area_ha.max()))

    def distance(self, season: FloatArray) -> FloatArray:
        """(n,) distances of seasons (n, months, features)."""
        apart = (season.mean(axis=1) - self.mean) / self.std
        squared = np.einsum("nc,cd,nd->n", apart, self.precision, apart)
        return np.asarray(np.sqrt(squared / apart.shape[1]))


def _from_the_others(apart: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(n,) distance of each row from mean and covariance of all others, and the inverse covariance of all rows.

    The covariance without a row differs by a matrix of rank one, whose effect on the inverse is known (Sherman and
    Morrison); how strongly it is drawn in is that of all rows.
    """
    count, features = apart.shape
    _, shrinkage = ledoit_wolf(apart, assume_centered=True)
    covariance = apart.T @ apart / count
    drawn_in = (shrinkage * np.trace(covariance) / features + _LEAST_VARIANCE) * np.eye(features)
    own = (1 - shrinkage) * covariance
    precision = np.linalg.inv(own + drawn_in)
    without = np.linalg.inv(own * count / (count - 1) + drawn_in)
    squared = np.einsum("nc,cd,nd->n", apart, without, apart)
    weight = (1 - shrinkage) * count / (count - 1) ** 2
    squared = (count / (count - 1)) ** 2 * squared / (1 - weight * squared)
    return np.sqrt(squared / features), precision
