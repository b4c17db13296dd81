"""Seasons as models take them: rows of a table, and rows drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.yields.table import FloatArray, Texts, YieldTable


@dataclass(frozen=True, eq=False)
class Samples:
    """Seasons, their places and yields; unlike a table's, a place may have many in one year.

    Attributes:
        season: (n, months, features).
        county: (n,).
        year: (n,).
        area_ha: (n,).
        yields: (n,) kg/ha.
        weight: (n,).
    """

    season: FloatArray
    county: Texts
    year: NDArray[np.int64]
    area_ha: FloatArray
    yields: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.county)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Samples:
        """The rows with these numbers, or where this is true."""
        return Samples(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def years(self) -> tuple[int, ...]:
        """Years of the rows, each once, in order."""
        return tuple(int(year) for year in np.unique(self.year))


def samples_of(table: YieldTable) -> Samples:
    """All rows of a table."""
    return Samples(table.season, table.county, table.year, table.area_ha, table.yield_kg_per_ha, table.weight)


def together(parts: Sequence[Samples]) -> Samples:
    """The rows of all parts, one part below the other."""
    return Samples(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Samples)))
