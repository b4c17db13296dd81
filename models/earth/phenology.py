"""Surrogates for the orchard phenology indices, from the course of greenness over a year's months.

The paper names an Orchard Phenological Accumulation Index (OPAI) and an Orchard Greenness Difference Index (OGDI) and
cites Chen et al. 2024 (Computers and Electronics in Agriculture 226) for them; their formulas are not public. What
stands here is inferred from that article's abstract: orchards turn green earlier, yellow later and stay green between,
and the mapping index is a ratio with a small denominator. The results therefore carry the names ``OPAI_s``,
``OGDI_s`` and ``OMI_s``, s for surrogate, and must not be shown without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import xarray as xr

from models.earth.errors import EarthInputError
from models.earth.gaps import fill_gaps

SURROGATES: Mapping[str, str] = MappingProxyType(
    {
        "OPAI_s": "Σ greenness of the early months + Σ greenness of the late months",
        "OGDI_s": "largest greenness of the season − smallest greenness of the months that hold",
        "OMI_s": "OPAI_s / max(OGDI_s, least difference)",
    }
)
_NOTE = "surrogate inferred from an abstract; not the published index"


@dataclass(frozen=True)
class PhenologyWindows:
    """Months, 1 to 12, that the surrogates look at.

    Attributes:
        early: orchards are green before others.
        late: orchards are green after others.
        season: in which greenness is largest.
        hold: in which an orchard stays green.
        least_difference: below which OGDI_s is not divided by.
    """

    early: tuple[int, ...] = (4, 5)
    late: tuple[int, ...] = (9, 10)
    season: tuple[int, ...] = (4, 5, 6, 7, 8, 9, 10)
    hold: tuple[int, ...] = (5, 6, 7, 8, 9)
    least_difference: float = 0.02

    @property
    def months(self) -> tuple[int, ...]:
        """All of them, in order."""
        return tuple(sorted({*self.early, *self.late, *self.season, *self.hold}))


def surrogates(ndvi: xr.DataArray, windows: PhenologyWindows | None = None) -> xr.Dataset:
    """The three surrogates, lazily where the course is lazy.

    Args:
        ndvi: NDVI of monthly composites with a dimension ``month`` (1 to 12); NaN where missing. A gap is filled
            linearly from the months round it.
        windows: which months count.

    Returns:
        ``OPAI_s``, ``OGDI_s`` and ``OMI_s``; NaN where a month that counts is missing and has no month on one side.

    Raises:
        EarthInputError: the course lacks a month that counts.
    """
    chosen = windows or PhenologyWindows()
    if "month" not in ndvi.dims:
        raise EarthInputError("the course of NDVI has no dimension month; make monthly composites first")
    if missing := [month for month in chosen.months if month not in ndvi["month"]]:
        raise EarthInputError(f"the course of NDVI lacks the months {', '.join(map(str, missing))}; composite them too")
    greenness = fill_gaps(ndvi.sortby("month"), "month").clip(0, 1)

    def of(months: tuple[int, ...]) -> xr.DataArray:
        chosen_months: xr.DataArray = greenness.sel(month=list(months))
        return chosen_months

    opai = of(chosen.early).sum("month", skipna=False) + of(chosen.late).sum("month", skipna=False)
    ogdi = of(chosen.season).max("month", skipna=False) - of(chosen.hold).min("month", skipna=False)
    omi = opai / np.maximum(ogdi, chosen.least_difference)
    found = {"OPAI_s": opai, "OGDI_s": ogdi, "OMI_s": omi}
    return xr.Dataset(
        {name: values.assign_attrs(formula=SURROGATES[name], note=_NOTE) for name, values in found.items()}
    )
