"""Stretches of time that composites are made of: calendar months, and months in three parts."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from models.earth.errors import EarthInputError


@dataclass(frozen=True)
class Period:
    """Days from first to last, both included.

    Attributes:
        name: ``2026-04``, or ``2026-04-11`` by its first day.
        first: its first day.
        last: its last day.
    """

    name: str
    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        """Whether a day lies in it."""
        return self.first <= day <= self.last


def months(first: str, last: str) -> list[Period]:
    """Calendar months, both ends included.

    Args:
        first: such as ``2026-04``.
        last: such as ``2026-10``.

    Raises:
        EarthInputError: no month, or the last lies before the first.
    """
    return [
        Period(f"{year}-{month:02d}", date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))
        for year, month in _walk(first, last)
    ]


def ten_days(first: str, last: str) -> list[Period]:
    """Thirds of months: days 1 to 10, 11 to 20, 21 to the end; arguments as for :func:`months`."""
    found = []
    for month in months(first, last):
        year, number = month.first.year, month.first.month
        ends = (date(year, number, 10), date(year, number, 20), month.last)
        starts = (date(year, number, 1), date(year, number, 11), date(year, number, 21))
        found += [Period(start.isoformat(), start, end) for start, end in zip(starts, ends, strict=True)]
    return found


def _walk(first: str, last: str) -> Iterator[tuple[int, int]]:
    start, end = _index(first), _index(last)
    if end < start:
        raise EarthInputError(f"the months {first} to {last} run backwards; give the earlier one first")
    for index in range(start, end + 1):
        yield index // 12, index % 12 + 1


def _index(month: str) -> int:
    try:
        day = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise EarthInputError(f"{month!r} is no month; write it as 2026-04") from None
    return day.year * 12 + day.month - 1
