"""Tables of seasons that were drawn by a rule, so that what a model should find is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.yields.table import MONTHS, Feature, YieldTable

FEATURES = (
    Feature("B4", "spectral"),
    Feature("B8", "spectral"),
    Feature("rain", "environmental", "mm"),
    Feature("NDVI", "index"),
)


def drawn_table(
    counties: int = 6, years: Sequence[int] = (2019, 2020, 2021, 2022, 2023), *, seed: int = 0, noise: float = 300.0
) -> YieldTable:
    """A table in which yields in kg/ha rise with the county, with June's NDVI and with rain, and have an error.

    Args:
        counties: number of counties.
        years: of the table.
        seed: of the draw.
        noise: standard deviation of what no feature tells.
    """
    random = np.random.default_rng(seed)
    rows = counties * len(years)
    county = np.repeat(np.arange(counties), len(years))
    season = random.normal(size=(rows, len(MONTHS), len(FEATURES)))
    season[..., 2] = 50 + 10 * season[..., 2]
    season[..., 3] = 0.6 + 0.1 * season[..., 3]
    level = random.normal(20000, 3000, counties)
    yields = (
        level[county]
        + 1500 * (season[:, 2, 3] - 0.6) / 0.1
        + 300 * (season[..., 2].mean(axis=1) - 50)
        + noise * random.normal(size=rows)
    )
    return YieldTable(
        crop="apple",
        region="drawn",
        months=MONTHS,
        features=FEATURES,
        county=np.array([f"county {number}" for number in county]),
        orchard=np.full(rows, "", dtype=np.str_),
        year=np.tile(np.array(years, dtype=np.int64), counties),
        season=season,
        area_ha=1000 + 100 * county.astype(np.float64),
        yield_kg_per_ha=yields,
        source=np.full(rows, "drawn"),
        weight=np.ones(rows),
        lon_lat=np.stack([105 + 0.1 * county, 34 + 0.1 * county], axis=1),
    )
