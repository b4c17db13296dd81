"""Which rows are trained on and which are kept for the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.yields.table import TableError, YieldTable

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of one division of a table.

    Attributes:
        name: what is held out, such as ``2023``.
        train: rows that may be fitted to, whatever part of them then serves for validation.
        test: rows that no fit ever sees.
    """

    name: str
    train: Rows
    test: Rows


def leave_year_out(table: YieldTable) -> Iterator[Split]:
    """Each year in turn for the test: can a season be predicted that has no like in the training?

    Raises:
        TableError: the table has one year only.
    """
    yield from _leave_out(table.year, [(str(year), year) for year in table.years], "year")


def leave_county_out(table: YieldTable) -> Iterator[Split]:
    """Each county in turn for the test, its orchards with it: can a place be predicted that is not known?

    Raises:
        TableError: the table has one county only.
    """
    yield from _leave_out(table.county, [(county, county) for county in table.counties], "county")


def hold_out_years(table: YieldTable, first: int, last: int | None = None) -> Split:
    """The years from ``first`` to ``last`` for the test and those before ``first`` to train on, as in use.

    Years after ``last`` are in neither.

    Args:
        table: the rows.
        first: first year of the test.
        last: its last year; the table's last where none is given.

    Raises:
        TableError: one side is empty.
    """
    end = max(table.years) if last is None else last
    train, test = np.flatnonzero(table.year < first), np.flatnonzero((table.year >= first) & (table.year <= end))
    if not len(train) or not len(test):
        raise TableError(
            f"testing on {first} to {end} leaves {len(train)} rows to train on and {len(test)} to test on; "
            f"the table has the years {table.years[0]} to {table.years[-1]}"
        )
    return Split(str(first) if first == end else f"{first} to {end}", train, test)


def validation_rows(table: YieldTable, train: Rows, share: float, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Part of the training rows for validation, drawn county-year by county-year: an orchard goes with its county.

    Args:
        table: the rows.
        train: those that may be fitted to.
        share: of county-years to validate on.
        random: the source of chance.

    Returns:
        Rows to fit to and rows to validate on.

    Raises:
        TableError: too few rows for both.
    """
    keys = np.char.add(np.char.add(table.county[train], "\n"), table.year[train].astype(np.str_))
    names, group = np.unique(keys, return_inverse=True)
    count = round(share * len(names))
    if not 0 < count < len(names):
        raise TableError(
            f"{share:g} of {len(names)} county-years leaves none for fitting or none for validation; give more rows"
        )
    chosen = np.isin(group, random.permutation(len(names))[:count])
    return train[~chosen], train[chosen]


def validation_years(table: YieldTable, train: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Each training year in turn for validation: rows to fit to, rows to validate on.

    Raises:
        TableError: there is one training year only.
    """
    years = np.unique(table.year[train])
    if len(years) < 2:
        raise TableError(f"all training rows are of {years.tolist()}; a year to validate on needs a second one")
    for year in years:
        held_out = table.year[train] == year
        yield train[~held_out], train[held_out]


def _leave_out(values: NDArray[np.generic], names: list[tuple[str, object]], what: str) -> Iterator[Split]:
    if len(names) < 2:
        raise TableError(f"the table has one {what} only; leaving it out leaves nothing to train on")
    for name, value in names:
        test = values == value
        yield Split(name, np.flatnonzero(~test), np.flatnonzero(test))
