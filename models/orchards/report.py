"""What comparisons and yearly areas look like as tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from models.maps.resampling import Interval
from models.orchards.area import MU_PER_HA
from models.orchards.comparison import Compared
from models.orchards.tiles import ORCHARD
from models.orchards.yearly import STRATA, YearOfOrchards

_AT = STRATA.index(ORCHARD)
_MU = 10_000.0


def compared_rows(compared: Sequence[Compared], reference_ha: float | None) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a comparison."""
    head = ["", "OA", "kappa", "UA", "PA", "less the first"]
    mapped = any(one.mapped_ha is not None for one in compared)
    if mapped:
        head += ["mapped ha", *(["difference"] if reference_ha is not None else [])]
    rows = []
    for one in compared:
        accuracy = one.evaluation.accuracy
        row = [one.run.name, *(_figure(accuracy[name]) for name in ("overall", "kappa", "users", "producers"))]
        row.append("" if one.less is None else _figure(one.less, signed=True))
        if mapped and one.mapped_ha is not None:
            row.append(f"{one.mapped_ha:,.1f}")
            if reference_ha is not None:
                row.append(f"{one.mapped_ha - reference_ha:+,.1f}")
        rows.append(row)
    return head, rows


def _figure(interval: Interval, *, signed: bool = False) -> str:
    """A figure above its interval; no leading zeros, so that a table fits a terminal."""
    sign = "+" if signed else ""
    value, low, high = (
        f"{number:{sign}.3f}".replace("0.", ".", 1) if abs(number) < 1 else f"{number:{sign}.3f}"
        for number in (interval.value, interval.low, interval.high)
    )
    return f"{value}\n{low} {high}" if isfinite(interval.low) else value


def year_rows(years: Sequence[YearOfOrchards]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of areas by year, in 10,000 mu as in the paper's Table 8."""
    head = ["year", "reference", "mapped", "difference", "points", "estimated", "difference"]
    return head, [
        [
            year.year,
            _mu(year.reference_ha),
            _mu(year.mapped_ha),
            _mu(_less(year.mapped_ha, year.reference_ha), signed=True),
            str(year.points or ""),
            _with_half_width(_estimated_ha(year), _half_width_ha(year)),
            _mu(_less(_estimated_ha(year), year.reference_ha), signed=True),
        ]
        for year in years
    ]


def year_json(year: YearOfOrchards) -> dict[str, Any]:
    """A year as JSON, areas in ha; None where nothing is known."""
    told = {
        "year": year.year,
        "reference_ha": year.reference_ha,
        "mapped_ha": year.mapped_ha,
        "points": year.points,
        "estimated_ha": _estimated_ha(year),
        "half_width_ha": _half_width_ha(year),
        "mapped_less_reference_ha": _less(year.mapped_ha, year.reference_ha),
        "estimated_less_reference_ha": _less(_estimated_ha(year), year.reference_ha),
    }
    if year.estimate is not None:
        told |= finite(
            {
                "overall": float(year.estimate.overall.value[0]),
                "users": float(year.estimate.users.value[_AT]),
                "producers": float(year.estimate.producers.value[_AT]),
            }
        )
    return told


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Values as JSON can hold them: None for what is no number."""
    return {name: value if isfinite(value) else None for name, value in values.items()}


def _estimated_ha(year: YearOfOrchards) -> float | None:
    return None if year.estimate is None else float(year.estimate.area.value[_AT])


def _half_width_ha(year: YearOfOrchards) -> float | None:
    return None if year.estimate is None else float(year.estimate.area.half_width[_AT])


def _less(area: float | None, reference: float | None) -> float | None:
    return None if area is None or reference is None else area - reference


def _mu(ha: float | None, *, signed: bool = False) -> str:
    return "" if ha is None else f"{ha * MU_PER_HA / _MU:{'+' if signed else ''},.2f}"


def _with_half_width(ha: float | None, half_width_ha: float | None) -> str:
    return "" if ha is None else f"{_mu(ha)} ± {_mu(half_width_ha)}"
