"""The table that yield models are trained on: places, years, months of features, yields and their sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Texts = NDArray[np.str_]

# groups of features as the network takes them, in this order
GROUPS = ("spectral", "environmental", "index")
MONTHS = (4, 5, 6, 7, 8, 9, 10)
_ROW_COLUMNS = ("county", "orchard", "year", "season", "area_ha", "yield_kg_per_ha", "source", "weight", "lon_lat")


class TableError(ValueError):
    """A yield table that cannot be used; names the column and the remedy."""

    exit_code = 2


@dataclass(frozen=True)
class Feature:
    """One feature of every month.

    Attributes:
        name: such as ``NDVI``.
        group: one of :data:`GROUPS`.
        unit: such as ``K``; ``1`` where there is none.
    """

    name: str
    group: str
    unit: str = "1"


@dataclass(frozen=True, eq=False)
class YieldTable:
    """Seasons with their yields.

    Attributes:
        crop: such as ``apple``.
        region: such as ``Gansu``.
        months: of a season in their order; those after the harvest's year has begun follow those before it. A table
            of steps that are no months numbers them from 1.
        features: of each month, group by group in the order of :data:`GROUPS`.
        county: (n,) name or code of the county, never empty.
        orchard: (n,) name of the orchard; empty where the row is of a county.
        year: (n,) of the harvest.
        season: (n, months, features) values.
        area_ha: (n,) planted area of the county, also for an orchard in it.
        yield_kg_per_ha: (n,) yields; NaN where one is to be predicted.
        source: (n,) where the yield comes from.
        weight: (n,) in (0, 1]: how much a row counts in a fit.
        lon_lat: (n, 2) degrees on WGS 84; NaN where not known.
    """

    crop: str
    region: str
    months: tuple[int, ...]
    features: tuple[Feature, ...]
    county: Texts
    orchard: Texts
    year: NDArray[np.int64]
    season: FloatArray
    area_ha: FloatArray
    yield_kg_per_ha: FloatArray
    source: Texts
    weight: FloatArray
    lon_lat: FloatArray

    def __post_init__(self) -> None:
        _check_header(self)
        _check_shapes(self)
        _check_values(self)

    def __len__(self) -> int:
        return len(self.county)

    def take(self, rows: Sequence[int] | NDArray[np.intp] | NDArray[np.bool_]) -> YieldTable:
        """The rows with these numbers, or where this is true."""
        chosen = np.asarray(rows) if len(rows) else np.empty(0, dtype=np.intp)
        columns: dict[str, Any] = {name: getattr(self, name)[chosen] for name in _ROW_COLUMNS}
        return replace(self, **columns)

    def months_until(self, month: int) -> YieldTable:
        """The season as it is known when ``month`` has ended.

        Raises:
            TableError: the month is not one of the season.
        """
        if month not in self.months:
            raise TableError(
                f"month {month} is not in the season {', '.join(map(str, self.months))} of this table; name one of them"
            )
        count = self.months.index(month) + 1
        return replace(self, months=self.months[:count], season=self.season[:, :count])

    def with_yields(self, yield_kg_per_ha: FloatArray) -> YieldTable:
        """The same rows with other yields."""
        return replace(self, yield_kg_per_ha=yield_kg_per_ha)

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """Number of features in each group that has any."""
        counts = (sum(feature.group == group for feature in self.features) for group in GROUPS)
        return tuple(count for count in counts if count)

    @property
    def years(self) -> tuple[int, ...]:
        """Years of the table, each once, in order."""
        return tuple(int(year) for year in np.unique(self.year))

    @property
    def counties(self) -> tuple[str, ...]:
        """Counties of the table, each once, in order."""
        return tuple(str(county) for county in np.unique(self.county))


def joined(tables: Sequence[YieldTable]) -> YieldTable:
    """The rows of several tables below each other.

    Raises:
        TableError: they differ in crop, months or features.
    """
    first = tables[0]
    for other in tables[1:]:
        for name in ("crop", "months", "features"):
            if getattr(other, name) != getattr(first, name):
                raise TableError(
                    f"these tables differ in {name}: {getattr(first, name)} and {getattr(other, name)}; "
                    "join tables of one layout only"
                )
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in _ROW_COLUMNS
    }
    return replace(first, **columns)


def weight_of(standard_error_kg_per_ha: float, spread_kg_per_ha: float) -> float:
    """Weight of an orchard's yield that was measured with an error, beside a county's that was not.

    A row is as far from what a model can know as its own spread and its label's error together; weights are
    inverse to that variance.

    Args:
        standard_error_kg_per_ha: of the label.
        spread_kg_per_ha: what models leave unexplained of yields without error.

    Raises:
        TableError: the error is negative or no number, or the spread is not above zero.
    """
    if not 0 <= standard_error_kg_per_ha < math.inf:
        raise TableError(f"a standard error of {standard_error_kg_per_ha:g} kg/ha cannot be; give one from 0 up")
    if not 0 < spread_kg_per_ha < math.inf:
        raise TableError(f"a spread of {spread_kg_per_ha:g} kg/ha cannot be; give one above 0")
    return spread_kg_per_ha**2 / (spread_kg_per_ha**2 + standard_error_kg_per_ha**2)


def _check_header(table: YieldTable) -> None:
    if not table.months or len(set(table.months)) != len(table.months):
        raise TableError(f"months {table.months}: name each month of the season once")
    if not table.features:
        raise TableError("the table has no features; add columns such as NDVI_04 and name them in its header")
    names = [feature.name for feature in table.features]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise TableError(f"feature {', '.join(twice)} is named twice; name each once")
    for feature in table.features:
        if feature.group not in GROUPS:
            raise TableError(
                f"feature {feature.name} is in group {feature.group!r}; the groups are {', '.join(GROUPS)}"
            )
    order = [GROUPS.index(feature.group) for feature in table.features]
    if order != sorted(order):
        raise TableError(f"features have to stand group by group, in the order {', '.join(GROUPS)}; sort them")


def _check_shapes(table: YieldTable) -> None:
    rows = len(table.county)
    if not rows:
        raise TableError("the table has no rows; give at least one season")
    expected: dict[str, tuple[int, ...]] = dict.fromkeys(
        ("orchard", "year", "area_ha", "yield_kg_per_ha", "source", "weight"), (rows,)
    )
    expected |= {"season": (rows, len(table.months), len(table.features)), "lon_lat": (rows, 2)}
    for name, shape in expected.items():
        found = getattr(table, name).shape
        if found != shape:
            raise TableError(f"{name} has the shape {found} where the others say {shape}; give a value for every row")


def _check_values(table: YieldTable) -> None:
    _refuse(table, table.county == "", "county", "is empty", "name the county of every row, also of an orchard's")
    area, weight, yields = table.area_ha, table.weight, table.yield_kg_per_ha
    _refuse(table, ~(np.isfinite(area) & (area > 0)), "area_ha", "is not above 0", "give the county's planted area")
    _refuse(table, ~((weight > 0) & (weight <= 1)), "weight", "is not in (0, 1]", "give 1 for a statistic")
    _refuse(table, np.isinf(yields), "yield_kg_per_ha", "is infinite", "leave it empty where it is not known")
    missing = ~np.isfinite(table.season)
    for i, month in enumerate(table.months):
        for j, feature in enumerate(table.features):
            _refuse(
                table,
                missing[:, i, j],
                f"{feature.name}_{month:02d}",
                "is missing",
                "fill the month, or leave the row or the feature out; it is never taken as zero",
            )
    keys = np.char.add(np.char.add(table.county, "\n"), np.char.add(table.orchard, "\n"))
    keys = np.char.add(keys, table.year.astype(np.str_))
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    repeated = np.zeros(len(table), dtype=bool)
    repeated[first[counts > 1]] = True
    _refuse(table, repeated, "year", "occurs twice for one place", "keep one row a place and year")


def _refuse(table: YieldTable, bad: NDArray[np.bool_], column: str, what: str, remedy: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        place = table.orchard[row] or table.county[row] or "no name"
        others = f" and {int(bad.sum()) - 1} rows more" if bad.sum() > 1 else ""
        raise TableError(f"column {column} {what} in row {row} ({place}, {table.year[row]}){others}; {remedy}")
