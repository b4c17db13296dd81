"""Seasons as tensors and as columns of numbers, by constants of the rows that are fitted to alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.yields.apyieldnet import Scales
from models.yields.samples import Samples
from models.yields.table import FloatArray

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Encoding:
    """What is known of the rows that are fitted to.

    Attributes:
        counties: known ones; the first has index 1, any other place 0.
        scales: constants for the networks.
    """

    counties: tuple[str, ...]
    scales: Scales

    @classmethod
    def fit(cls, samples: Samples) -> Encoding:
        """Counties and scales of rows."""
        area = np.log1p(samples.area_ha)
        scales = Scales(
            feature_mean=samples.season.mean(axis=(0, 1)).tolist(),
            feature_std=samples.season.std(axis=(0, 1)).tolist(),
            log_area_mean=float(area.mean()),
            log_area_std=float(area.std()),
            yield_mean=float(np.average(samples.yields, weights=samples.weight)),
            yield_std=float(samples.yields.std()),
            first_year=int(samples.year.min()),
            years=int(samples.year.max() - samples.year.min()) + 1,
        )
        return cls(tuple(str(county) for county in np.unique(samples.county)), scales)

    def county_index(self, samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """(n,) index of each row's county; 0 where it is not known."""
        index = {county: number for number, county in enumerate(self.counties, start=1)}
        return np.array([index.get(str(county), 0) for county in samples.county], dtype=np.int64)

    def inputs(self, samples: Samples) -> Inputs:
        """What the networks take: season, county, year, area."""
        return (
            torch.tensor(samples.season, dtype=torch.float32),
            torch.from_numpy(self.county_index(samples)),
            torch.tensor(samples.year, dtype=torch.float32),
            torch.tensor(samples.area_ha, dtype=torch.float32),
        )


@dataclass(frozen=True)
class Columns:
    """Seasons as columns for linear models and trees: every month of each feature or its mean, year, area, counties.

    Attributes:
        encoding: of the rows that are fitted to.
        mean: (columns,) of the columns that are not counties.
        std: likewise.
        monthly: whether each month is a column, or each feature's mean over the season.
        county: value of a known county in its own column; what shrinks coefficients shrinks counties less the larger
            it is. No such columns where it is 0.
    """

    encoding: Encoding
    mean: FloatArray
    std: FloatArray
    monthly: bool
    county: float

    @classmethod
    def fit(cls, samples: Samples, *, monthly: bool, county: float) -> Columns:
        """Means and spreads of the columns of these rows."""
        plain = _plain(samples, monthly=monthly)
        std = plain.std(axis=0)
        return cls(Encoding.fit(samples), plain.mean(axis=0), np.where(std > 0, std, 1), monthly, county)

    def of(self, samples: Samples) -> FloatArray:
        """(n, columns) of any rows."""
        plain = (_plain(samples, monthly=self.monthly) - self.mean) / self.std
        if not self.county:
            return plain
        known = self.encoding.county_index(samples)[:, None] == np.arange(1, len(self.encoding.counties) + 1)
        return np.hstack([plain, self.county * known])


def _plain(samples: Samples, *, monthly: bool) -> FloatArray:
    season = samples.season.reshape(len(samples), -1) if monthly else samples.season.mean(axis=1)
    return np.column_stack([season, samples.year, np.log1p(samples.area_ha)])
