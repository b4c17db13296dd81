"""Yields that devices have observed in orchards, as rows to learn from: checked, weighed, and never of a test year."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from models.earth.variables import BANDS, INDICES, VARIABLES
from models.yields.table import FloatArray, TableError, YieldTable, joined, weight_of

SOURCE = "devices"
_LOWEST_KG_PER_HA, _HIGHEST_KG_PER_HA = 500.0, 150_000.0
_MOST_TIMES = 5.0  # an orchard yields at most so many times the table's median, and at least that part of it
_MOST_RELATIVE_ERROR = 1.0
_MOST_AREA_HA = 2e6
_FIRST_YEAR = 2015  # of Sentinel-2
_BOUNDS = {
    **{variable.name: (variable.lowest, variable.highest) for variable in VARIABLES},
    **dict.fromkeys(BANDS, (-0.1, 1.6)),
    **dict.fromkeys(INDICES, (-1.0, 1.0)),
}


@dataclass(frozen=True, eq=False)
class Label:
    """An observed yield with the season that a model was given for it.

    Attributes:
        key: what it is known by: device, record and revision.
        orchard: orchard and block.
        county: the orchard's; empty where nobody has said.
        year: of the harvest.
        months: of the season.
        features: of each month.
        season: (months, features).
        area_ha: planted area of the county.
        kg_per_ha: the yield.
        standard_error_kg_per_ha: its error.
    """

    key: tuple[str, str, int]
    orchard: str
    county: str
    year: int
    months: tuple[int, ...]
    features: tuple[str, ...]
    season: FloatArray
    area_ha: float
    kg_per_ha: float
    standard_error_kg_per_ha: float


def unusable(label: Label, table: YieldTable) -> str | None:
    """Why a label says nothing a model of this table can learn; None where it does. Nothing is wrong with such a label.

    Args:
        label: from a device.
        table: that it would stand in.
    """
    if not label.county:
        return "its county is not known"
    if label.months != table.months:
        return (
            f"its season has months {label.months[0]} to {label.months[-1]}, the table's {table.months[-1]} is the last"
        )
    lacking = [feature.name for feature in table.features if feature.name not in label.features]
    return f"its season has no {', '.join(lacking[:3])}" if lacking else None


def implausible(label: Label, table: YieldTable, newest_year: int) -> str | None:
    """Why a label cannot be true; None where it can.

    Args:
        label: one that is not unusable.
        table: of statistics.
        newest_year: that a harvest may be of.
    """
    median = float(np.median(table.yield_kg_per_ha))
    low, high = max(_LOWEST_KG_PER_HA, median / _MOST_TIMES), min(_HIGHEST_KG_PER_HA, median * _MOST_TIMES)
    if not low <= label.kg_per_ha <= high:
        return f"a yield of {label.kg_per_ha:.6g} kg/ha is not within {low:.0f} to {high:.0f}"
    error = label.standard_error_kg_per_ha
    if not (math.isfinite(error) and 0 < error <= _MOST_RELATIVE_ERROR * label.kg_per_ha):
        return f"a standard error of {error:.6g} kg/ha is none of a yield of {label.kg_per_ha:.6g}"
    if not _FIRST_YEAR <= label.year <= newest_year:
        return f"a harvest of {label.year} is not within {_FIRST_YEAR} to {newest_year}"
    if not 0 < label.area_ha <= _MOST_AREA_HA:
        return f"a county with {label.area_ha:.6g} ha of orchards is none"
    for place, name in enumerate(label.features):
        least, most = _BOUNDS.get(name, (-math.inf, math.inf))
        values = label.season[:, place]
        if not (np.isfinite(values).all() and values.min() >= least and values.max() <= most):
            return f"{name} from {values.min():.6g} to {values.max():.6g} is not within {least:g} to {most:g}"
    return None


def rows_of(labels: Sequence[Label], table: YieldTable, spread_kg_per_ha: float) -> YieldTable:
    """Labels as rows of a table's layout.

    Args:
        labels: usable and plausible ones, one an orchard and year.
        table: whose layout.
        spread_kg_per_ha: what models leave unexplained of yields without error.
    """
    names = [feature.name for feature in table.features]
    order = [[label.features.index(name) for name in names] for label in labels]
    season = np.stack([label.season[:, places] for label, places in zip(labels, order, strict=True)])
    return YieldTable(
        crop=table.crop,
        region=table.region,
        months=table.months,
        features=table.features,
        county=np.array([label.county for label in labels]),
        orchard=np.array([label.orchard for label in labels]),
        year=np.array([label.year for label in labels], dtype=np.int64),
        season=season,
        area_ha=np.array([label.area_ha for label in labels]),
        yield_kg_per_ha=np.array([label.kg_per_ha for label in labels]),
        source=np.full(len(labels), SOURCE),
        weight=np.array([weight_of(label.standard_error_kg_per_ha, spread_kg_per_ha) for label in labels]),
        lon_lat=np.full((len(labels), 2), np.nan),
    )


def rows_to_learn_from(
    table: YieldTable, labels: YieldTable | None, evaluation: YieldTable, held_out: Collection[int]
) -> YieldTable:
    """Statistics and labels together, with nothing of the evaluation among them.

    Args:
        table: statistics; rows of the years held out are left out.
        labels: of devices.
        evaluation: frozen rows.
        held_out: years of these.

    Raises:
        TableError: a row of the evaluation would be learned from, under its own name or another.
    """
    learned = table.take(~np.isin(table.year, sorted(held_out)) & np.isfinite(table.yield_kg_per_ha))
    if labels is not None:
        learned = joined([learned, labels])
    frozen = {row.tobytes(): number for number, row in enumerate(evaluation.season)}
    names = {key: number for number, key in enumerate(row_names(evaluation))}
    for number, name in enumerate(row_names(learned)):
        same = names.get(name, frozen.get(learned.season[number].tobytes()))
        if learned.year[number] in held_out or same is not None:
            twin = "" if same is None else f", as {row_names(evaluation)[same]}"
            raise TableError(
                f"{name} is of the evaluation{twin}; what is learned from must not be judged on: leave the row out"
            )
    return learned


def row_names(table: YieldTable) -> list[str]:
    """A name for each row: county, orchard and year."""
    keys = zip(table.county, table.orchard, table.year, strict=True)
    return [" ".join(str(part) for part in key if str(part)) for key in keys]
