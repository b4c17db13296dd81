"""Combine-harvester points that say nothing of the crop: each filter by its name, with what it found.

A yield monitor weighs grain seconds after it was cut, and divides by a width and a speed that it only believes. The
filters are those on which the literature agrees (Blackmore and Moore 1999, doi:10.1023/A:1009968601968; Simbahan et al.
2004, doi:10.2134/agronj2004.1091; Sudduth and Drummond 2007, Yield Editor, doi:10.2134/agronj2006.0326; Vega et al.
2019, doi:10.1007/s11119-018-9632-8). Each is applied where the columns it needs are there, and says so where not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.maps.errors import MapError

Kept = NDArray[np.bool_]


@dataclass(frozen=True)
class CleaningSettings:
    """Limits of the filters.

    Attributes:
        delay_points: points after which a pass's first grain arrives; yields are moved back by them. Monitors mostly
            have done so already.
        start_points: points at each end of a pass that are left out: the thresher fills and empties.
        pass_gap_s: a longer pause between points ends a pass, where there is a clock.
        turn_degrees: a sharper turn between points ends a pass.
        speed_kmh: lowest and highest speed.
        speed_change: largest change of speed between points, as a share.
        swath: least width that is cut, as a share of the field's usual one.
        moisture: lowest and highest moisture in per cent.
        deviations: a yield further from its field's median is an outlier, in robust deviations.
        local_deviations: a yield further from the median of its neighbours is one.
        local_m: how far neighbours are.
        headland_m: points nearer to the field's edge are left out; 0 for none.
    """

    delay_points: int = 0
    start_points: int = 4
    pass_gap_s: float = 10.0
    turn_degrees: float = 60.0
    speed_kmh: tuple[float, float] = (2.0, 9.0)
    speed_change: float = 0.2
    swath: float = 0.8
    moisture: tuple[float, float] = (8.0, 25.0)
    deviations: float = 3.0
    local_deviations: float = 3.0
    local_m: float = 15.0
    headland_m: float = 0.0


@dataclass(frozen=True, eq=False)
class Cleaned:
    """What is left.

    Attributes:
        points: the rows that passed every filter, yields moved back by the delay.
        dropped: filter to the rows that it would drop alone.
        skipped: filter to the column that it lacks.
    """

    points: pd.DataFrame
    dropped: Mapping[str, int]
    skipped: Mapping[str, str]


def clean(points: pd.DataFrame, settings: CleaningSettings | None = None) -> Cleaned:
    """Leave out points that say nothing of the crop.

    Args:
        points: of one or more fields in the order of harvest: ``field``, ``x_m`` and ``y_m`` (projected), ``yield``;
            ``speed_kmh``, ``swath_m``, ``moisture_pct`` and ``time_s`` where there are.
        settings: limits.

    Raises:
        MapError: a column that cannot be done without.
    """
    limits = settings or CleaningSettings()
    for column in ("field", "x_m", "y_m", "yield"):
        if column not in points.columns:
            raise MapError(f"harvester points lack the column {column!r}; they have {', '.join(map(str, points))}")
    parts, dropped, skipped = [], dict.fromkeys(_FILTERS, 0), {}
    for _, field in points.groupby("field", sort=False):
        own = _moved_back(field.reset_index(drop=True), limits)
        kept = np.isfinite(own["yield"].to_numpy())
        for name, (needs, passes) in _FILTERS.items():
            if needs in own.columns:
                passed = passes(own, limits)
                dropped[name] += int((~passed).sum())
                kept &= passed
            else:
                skipped[name] = needs
        parts.append(own[kept])
    return Cleaned(pd.concat(parts, ignore_index=True), dropped, skipped)


def passes_of(field: pd.DataFrame, settings: CleaningSettings) -> NDArray[np.int64]:
    """(n,) number of the pass of each point of one field: a turn or a pause begins a new one."""
    x, y = field["x_m"].to_numpy(), field["y_m"].to_numpy()
    heading = np.arctan2(np.diff(y, prepend=y[:1]), np.diff(x, prepend=x[:1]))
    turn = np.abs(np.angle(np.exp(1j * np.diff(heading, prepend=heading[:1]))))
    begins = np.degrees(turn) > settings.turn_degrees
    # the first point has no heading, so what it seems to turn by is nothing
    begins[:2] = False
    if "time_s" in field.columns:
        begins |= np.diff(field["time_s"].to_numpy(), prepend=field["time_s"].iloc[0]) > settings.pass_gap_s
    return np.cumsum(begins)


def _moved_back(field: pd.DataFrame, settings: CleaningSettings) -> pd.DataFrame:
    """Yields of each pass moved back by the delay; the last points of a pass then have none."""
    numbers = passes_of(field, settings)
    if not settings.delay_points:
        return field.assign(_pass=numbers)
    moved = field["yield"].groupby(numbers).shift(-settings.delay_points)
    return field.assign(_pass=numbers, **{"yield": moved})


def _of_pass(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    place = field.groupby("_pass").cumcount().to_numpy()
    length = field.groupby("_pass")["_pass"].transform("size").to_numpy()
    return np.asarray((place >= limits.start_points) & (length - 1 - place >= limits.start_points))


def _speed(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    return np.asarray(field["speed_kmh"].between(*limits.speed_kmh))


def _steady(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    change = field.groupby("_pass")["speed_kmh"].pct_change().abs().fillna(0.0)
    return np.asarray(change.to_numpy() <= limits.speed_change)


def _swath(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    return np.asarray(field["swath_m"].to_numpy() >= limits.swath * field["swath_m"].median())


def _moisture(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    return np.asarray(field["moisture_pct"].between(*limits.moisture))


def _usual(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    yields = field["yield"].to_numpy()
    median = np.nanmedian(yields)
    away = np.abs(yields - median)
    return np.asarray((yields > 0) & (away <= limits.deviations * _spread(away, median)))


def _like_neighbours(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    known = np.flatnonzero(np.isfinite(field["yield"].to_numpy()))
    yields, places = field["yield"].to_numpy()[known], field[["x_m", "y_m"]].to_numpy()[known]
    kept = np.zeros(len(field), bool)
    if not len(known):
        return kept
    near = cKDTree(places).query_ball_point(places, limits.local_m)
    away = np.abs(yields - np.array([np.median(yields[there]) for there in near]))
    kept[known] = away <= limits.local_deviations * _spread(away, float(np.median(yields)))
    return kept


def _spread(away: NDArray[np.float64], median: float) -> float:
    """Robust deviation of distances; two per cent of the usual yield at least, no monitor weighs better."""
    # 1.4826 times the median distance is the standard deviation where yields are normal
    return max(1.4826 * float(np.nanmedian(away)), 0.02 * abs(median))


def _inner(field: pd.DataFrame, limits: CleaningSettings) -> Kept:
    import shapely  # noqa: PLC0415  (GEOS is only needed for this)

    if limits.headland_m <= 0:
        return np.ones(len(field), bool)
    places = shapely.points(field[["x_m", "y_m"]].to_numpy())
    # the field is what lies between its points: passes lie closer than neighbours may be
    ground = shapely.unary_union(shapely.buffer(places, limits.local_m)).buffer(-limits.local_m)
    return np.asarray(shapely.distance(ground.boundary, places) >= limits.headland_m)


_FILTERS: Mapping[str, tuple[str, Callable[[pd.DataFrame, CleaningSettings], Kept]]] = MappingProxyType(
    {
        "ends of passes": ("yield", _of_pass),
        "speed": ("speed_kmh", _speed),
        "change of speed": ("speed_kmh", _steady),
        "narrow swath": ("swath_m", _swath),
        "moisture": ("moisture_pct", _moisture),
        "field outlier": ("yield", _usual),
        "local outlier": ("yield", _like_neighbours),
        "headland": ("yield", _inner),
    }
)
