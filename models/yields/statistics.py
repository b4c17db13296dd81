"""A yield table from an owner's own files: a statistics table in CSV, and what each county's seasons were like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.errors import CalibrationError
from calibration.units import M2_PER_HA, area_to_m2, yield_to_kg_per_ha
from models.yields.season_features import SEASON_FEATURES
from models.yields.table import GROUPS, MONTHS, Feature, TableError, YieldTable

# what a column of the statistics may be; the first three must be there
COLUMNS = ("county", "year", "yield", "area", "orchard", "source")
_HEADER = re.compile(r"(?P<name>.+?) ?\[(?P<unit>[^\]]+)\]")
_BY_MONTH = re.compile(r"(?P<name>.+)_(?P<month>0[1-9]|1[0-2])")
_KNOWN = {feature.name: feature for feature in SEASON_FEATURES}


@dataclass(frozen=True)
class Statistics:
    """An owner's files and what is to be known of them.

    Attributes:
        yields: CSV with a row a county and year.
        seasons: CSV files with a row a county and month, such as ``pomona earth weather`` writes; a column is a
            feature, with its unit in brackets.
        features: by year, a Parquet file with a row a county and a column a feature and month (``NDVI_06``), such as
            ``pomona earth features --by-month --at`` writes.
        unit: of the yields, such as ``kg/mu``.
        crop: such as ``apple``.
        region: such as ``Gansu``.
        area_unit: of planted areas.
        months: of the season, all of one calendar year.
        columns: what a column is called in ``yields``, where that is not its name in :data:`COLUMNS`; that of the
            county is its name in the other files too.
    """

    yields: Path
    seasons: Sequence[Path]
    features: Mapping[int, Path]
    unit: str
    crop: str
    region: str
    area_unit: str = "ha"
    months: tuple[int, ...] = MONTHS
    columns: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> str:
        """What a column is called in the files."""
        return self.columns.get(name, name)


def table_of(statistics: Statistics) -> tuple[YieldTable, list[str]]:
    """Join yields and seasons.

    Returns:
        The table, and the places and years that were left out because a feature of theirs is missing in some month.

    Raises:
        TableError: a file or a column is missing or no numbers, a unit is not known, or nothing fits together.
    """
    yields = _yields(statistics)
    season, units = _season(statistics)
    features = _ordered(season.columns.get_level_values(0).unique(), units)
    wanted = pd.MultiIndex.from_product([[feature.name for feature in features], statistics.months])
    keys = pd.MultiIndex.from_arrays([yields["county"], yields["year"]])
    values = season.reindex(columns=wanted).reindex(keys)
    complete = values.notna().all(axis=1).to_numpy()
    if not complete.any():
        raise _nothing_fits(yields, season, values)
    left_out = [f"{county} {year}" for county, year in keys[~complete]]
    kept = yields[complete].reset_index(drop=True)
    rows = len(kept)
    stacked = values[complete].to_numpy(dtype=np.float64).reshape(rows, len(features), len(statistics.months))
    table = YieldTable(
        crop=statistics.crop,
        region=statistics.region,
        months=statistics.months,
        features=features,
        county=kept["county"].to_numpy(dtype=np.str_),
        orchard=kept["orchard"].to_numpy(dtype=np.str_),
        year=kept["year"].to_numpy(dtype=np.int64),
        season=stacked.transpose(0, 2, 1),
        area_ha=kept["area"].to_numpy(dtype=np.float64),
        yield_kg_per_ha=kept["yield"].to_numpy(dtype=np.float64),
        source=kept["source"].to_numpy(dtype=np.str_),
        weight=np.ones(rows),
        lon_lat=np.full((rows, 2), np.nan),
    )
    return table, left_out


def _yields(statistics: Statistics) -> pd.DataFrame:
    path = statistics.yields
    if unknown := sorted(set(statistics.columns) - set(COLUMNS)):
        raise TableError(f"there is no column {unknown[0]!r} to name; there are {', '.join(COLUMNS)}")
    given = _read(path, statistics.column("county"))
    frame = pd.DataFrame({"county": _texts(given, statistics.column("county"), path)})
    frame["year"] = _numbers(given, statistics.column("year"), path)
    frame["yield"] = _numbers(given, statistics.column("yield"), path, may_be_empty=True)
    if not np.array_equal(frame["year"], frame["year"].round()):
        raise TableError(f"{path}: column {statistics.column('year')} has values that are no whole years; mend them")
    frame["year"] = frame["year"].astype(np.int64)
    try:
        frame["yield"] *= yield_to_kg_per_ha(1.0, statistics.unit)
        ha = area_to_m2(1.0, statistics.area_unit) / M2_PER_HA
    except CalibrationError as error:
        raise TableError(f"{path}: {error}") from error
    area = statistics.column("area")
    # 1 ha in every row says nothing of the areas
    frame["area"] = _numbers(given, area, path) * ha if area in given else 1.0
    for name, without in (("orchard", ""), ("source", path.stem)):
        column = statistics.column(name)
        frame[name] = _texts(given, column, path) if column in given else without
    return frame


def _season(statistics: Statistics) -> tuple[pd.DataFrame, dict[str, str]]:
    """Values by (county, year) and (feature, month), and units by feature."""
    if not statistics.seasons and not statistics.features:
        raise TableError("yields alone teach nothing of a season; give --season or --features files too")
    units: dict[str, str] = {}
    county = statistics.column("county")
    parts: list[pd.DataFrame] = [_long(path, county, units) for path in statistics.seasons]
    if statistics.features:
        wide = [_wide(path, year, county) for year, path in sorted(statistics.features.items())]
        parts.append(pd.concat(wide))
    return reduce(_joined, parts), units


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Values of two files: the same features of other seasons or counties, or other features."""
    first, second = first.align(second, join="outer")
    twice = first.notna() & second.notna()
    if twice.any(axis=None):
        features = sorted(set(twice.columns[twice.any()].get_level_values(0)))
        county, year = twice.index[twice.any(axis=1)][0]
        raise TableError(f"{', '.join(features)} of {county} in {year} is in two files; leave it out of one")
    return first.where(first.notna(), second)


def _long(path: Path, county: str, units: dict[str, str]) -> pd.DataFrame:
    """A row a county and month."""
    given = _read(path, county)
    month = _texts(given, "month", path).str.extract(r"^(\d{4})-(\d{2})$")
    if month.isna().any(axis=None):
        raise TableError(f"{path}: column month has values that are no months; write them as 2023-04")
    values = {}
    for column in given.columns:
        if column in {county, "month"} or not pd.api.types.is_numeric_dtype(given[column]):
            continue
        match = _HEADER.fullmatch(column)
        name = match["name"] if match else column
        _check_unit(path, name, match["unit"] if match else None)
        unit = match["unit"] if match else _KNOWN[name].unit if name in _KNOWN else "1"
        if units.setdefault(name, unit) != unit:
            raise TableError(
                f"{path}: {name} is in {unit}, and in {units[name]} in an earlier file; convert one of them"
            )
        values[name] = given[column].to_numpy(dtype=np.float64)
    if not values:
        raise TableError(f"{path} has no column of numbers; give a feature a column, with its unit in brackets")
    keys = [_texts(given, county, path), month[0].astype(np.int64), month[1].astype(np.int64)]
    frame = pd.DataFrame(values).set_index(pd.MultiIndex.from_arrays(keys, names=["county", "year", "month"]))
    if frame.index.has_duplicates:
        where = frame.index[frame.index.duplicated()][0]
        raise TableError(f"{path} has {where[0]} {where[1]}-{where[2]:02d} twice; keep one row a county and month")
    return frame.unstack("month")


def _wide(path: Path, year: int, county: str) -> pd.DataFrame:
    """A row a county, all of one year."""
    if not path.is_file():
        raise TableError(f"{path} is not there; name the file of {year}")
    try:
        given = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise TableError(f"{path} is no Parquet file; write it with pomona earth features --at") from error
    if county not in given:
        raise TableError(f"{path} has no column {county!r}; name the polygons' column of counties so, or --column it")
    matches = {column: match for column in given.columns if (match := _BY_MONTH.fullmatch(column))}
    if not matches:
        raise TableError(f"{path} has no columns such as NDVI_06; make it with pomona earth features --by-month")
    frame = given[list(matches)].astype(np.float64)
    labels = [(match["name"], int(match["month"])) for match in matches.values()]
    frame.columns = pd.MultiIndex.from_tuples(labels, names=[None, "month"])  # as of _long
    names = [_texts(given, county, path), [year] * len(given)]
    frame.index = pd.MultiIndex.from_arrays(names, names=["county", "year"])
    if frame.index.has_duplicates:
        raise TableError(f"{path} has {frame.index[frame.index.duplicated()][0][0]} twice; keep one row a county")
    return frame


def _ordered(names: Sequence[str], units: Mapping[str, str]) -> tuple[Feature, ...]:
    """Features of season files in their order, others behind them, group by group."""
    known = [feature for feature in SEASON_FEATURES if feature.name in names]
    others = [Feature(str(name), "environmental", units.get(name, "1")) for name in names if name not in _KNOWN]
    return tuple(sorted([*known, *others], key=lambda feature: GROUPS.index(feature.group)))


def _check_unit(path: Path, name: str, unit: str | None) -> None:
    known = _KNOWN.get(name)
    if known is not None and unit is not None and unit != known.unit:
        raise TableError(
            f"{path}: {name} is in {unit} and season files have it in {known.unit}; convert it, or call it otherwise"
        )


def _nothing_fits(yields: pd.DataFrame, season: pd.DataFrame, values: pd.DataFrame) -> TableError:
    ours, theirs = set(yields["county"]), set(season.index.get_level_values(0))
    if not ours & theirs:
        return TableError(
            f"no county has both: the yields name {_few(ours)}, the seasons {_few(theirs)}; spell them alike"
        )
    known = values.notna().any()
    if not known.all():
        name, month = known[~known].index[0]
        return TableError(f"no county has {name} in month {month}; give a file with it, or other months")
    return TableError("no county has every feature in every month of a year with a yield; add the files of these years")


def _few(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:3])
    return f"{shown}, …" if len(names) > 3 else shown


def _read(path: Path, county: str) -> pd.DataFrame:
    if not path.is_file():
        raise TableError(f"{path} is not there; check the path")
    try:
        given = pd.read_csv(path, encoding="utf-8-sig", dtype={county: str})
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(f"{path} is no CSV in UTF-8 ({error}); save it as one, with commas between columns") from error
    if not isinstance(given.index, pd.RangeIndex):  # what pandas makes of lines longer than the header
        raise TableError(f"{path} has more values in a line than columns; write numbers with a point, not a comma")
    return given


def _texts(given: pd.DataFrame, column: str, path: Path) -> Any:
    if column not in given:
        raise TableError(
            f"{path} has no column {column!r}; it has {', '.join(given.columns)}. Name it so, or use --column"
        )
    return given[column].astype("string").fillna("").astype(str).str.strip()


def _numbers(given: pd.DataFrame, column: str, path: Path, *, may_be_empty: bool = False) -> Any:
    texts = _texts(given, column, path)
    numbers = pd.to_numeric(given[column], errors="coerce")
    if bad := sorted(set(texts[numbers.isna() & (texts != "")])):
        raise TableError(f"{path}: column {column} has {bad[0]!r}, which is no number; write it with a point")
    if numbers.isna().any() and not may_be_empty:
        line = int(np.flatnonzero(numbers.isna())[0]) + 2
        raise TableError(f"{path}: column {column} is empty in line {line}; fill it or leave the line out")
    return numbers
