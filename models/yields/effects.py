"""What places and years are like on the whole, before any season is looked at: random effects, as a mixed model has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from models.yields.samples import Samples
from models.yields.table import FloatArray

_SHRINKS = (0.1, 0.5, 1.5, 5.0)
_YEAR_SHRINK = 1.0


@dataclass(frozen=True)
class Effects:
    """A level, what each county has above it, and a trend.

    Attributes:
        level: in the mean year, kg/ha.
        counties: what known counties have above the level.
        middle_year: mean of the training years.
        trend: kg/ha a year, of all counties.
    """

    level: float
    counties: Mapping[str, float]
    middle_year: float
    trend: float

    def __call__(self, samples: Samples) -> FloatArray:
        """(n,) expected yields; a new year has no effect of its own but the trend's."""
        own = np.array([self.counties.get(str(county), 0.0) for county in samples.county])
        return self.level + own + self.trend * (samples.year - self.middle_year)


def fit_effects(rows: Samples, *, shrink: float, trend: bool) -> Effects:
    """Random effects of counties and of years, together, so that a county is not judged by which years it has.

    Args:
        rows: to fit to.
        shrink: how many rows' worth the level counts beside a county's own.
        trend: whether yields rise or fall with the years.
    """
    counties, of_county = np.unique(rows.county, return_inverse=True)
    years, of_year = np.unique(rows.year, return_inverse=True)
    middle = float(rows.year.mean())
    columns = [np.ones((len(rows), 1)), np.eye(len(counties))[of_county], np.eye(len(years))[of_year]]
    penalties = [0.0] + [shrink] * len(counties) + [_YEAR_SHRINK] * len(years)
    if trend:
        columns.append(np.asarray(rows.year - middle, dtype=np.float64)[:, None])
        penalties.append(1e-9)  # free, but defined where there is one year only
    known = np.hstack(columns)
    weighted = known * rows.weight[:, None]
    found = np.linalg.solve(weighted.T @ known + np.diag(penalties), weighted.T @ rows.yields)
    own = dict(zip(map(str, counties), found[1 : 1 + len(counties)].tolist(), strict=True))
    return Effects(float(found[0]), own, middle, float(found[-1]) if trend else 0.0)


def best_effects(rows: Samples) -> tuple[Effects, FloatArray]:
    """The effects whose drawing in, and trend or none, predict years best that are left out.

    Returns:
        The effects, and (n,) what they expect of each row's year when it is left out: how far they are off in a year
        that they know tells nothing of a new one. Of rows of one year only, what they expect of the known.
    """
    if len(rows.years) < 2:
        effects = fit_effects(rows, shrink=_SHRINKS[1], trend=False)
        return effects, effects(rows)
    settings = list(product((False, True), _SHRINKS))
    left_out = np.empty((len(settings), len(rows)))
    for year in rows.years:
        of_year = rows.year == year
        others, own = rows.take(~of_year), rows.take(of_year)
        for number, (trend, shrink) in enumerate(settings):
            # two years give no trend that could be told from chance
            usable = trend and len(others.years) > 2
            left_out[number, of_year] = fit_effects(others, shrink=shrink, trend=usable)(own)
    errors = np.average((left_out - rows.yields) ** 2, axis=1, weights=rows.weight)
    best = int(errors.argmin())
    trend, shrink = settings[best]
    return fit_effects(rows, shrink=shrink, trend=trend), left_out[best]
