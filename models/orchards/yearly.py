"""Areas by year beside a reference, as the paper's Table 8, with intervals where reference points are given."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from models.maps.errors import MapError
from models.maps.rasters import FeatureRasters, grid_of
from models.maps.surface import row_areas_m2
from models.maps.tiles import windows
from models.orchards.area import M2_PER_HA, AreaEstimate, stratified_area
from models.orchards.cog import CLASS_BAND
from models.orchards.points import LabelledPoints
from models.orchards.tiles import ORCHARD, OTHER, OUTSIDE

_WINDOW_PX = 2048
# what is mapped as no orchard, whether it was looked at or lies outside the base mask, is one stratum each
STRATA = (OTHER, ORCHARD, OUTSIDE)


@dataclass(frozen=True, eq=False)
class YearOfOrchards:
    """The orchards of one year.

    Attributes:
        year: as it was given.
        mapped_ha: counted from the map.
        estimate: by reference points, in ha and in the order of :data:`STRATA`; None without points. Without points
            outside the base mask it is of the land inside.
        points: reference points that were used.
        reference_ha: what a statistic says; None where it says nothing.
    """

    year: str
    mapped_ha: float
    estimate: AreaEstimate | None
    points: int
    reference_ha: float | None


def orchards_of_year(
    year: str, map_path: Path, points: LabelledPoints | None, reference_ha: float | None
) -> YearOfOrchards:
    """Count a map's orchards and, with reference points, estimate their true area.

    Args:
        year: of the map.
        map_path: a map of ``pomona map orchards``.
        points: drawn at random within each class of this map, and looked at; not those it was trained on.
        reference_ha: area by a statistic.

    Raises:
        MapError: no map, or too few points in one of its classes.
    """
    strata_ha = _areas_ha(map_path)
    estimate, used = None, 0
    if points is not None:
        counts = _counts(map_path, points)
        used = int(counts.sum())
        estimate = _estimate(counts, strata_ha)
    return YearOfOrchards(year, float(strata_ha[STRATA.index(ORCHARD)]), estimate, used, reference_ha)


def _areas_ha(map_path: Path) -> NDArray[np.float64]:
    try:
        with rasterio.open(map_path) as raster:
            grid = grid_of(raster)
            areas = np.zeros(len(STRATA))
            for window in windows(grid, _WINDOW_PX):
                classes = raster.read(CLASS_BAND, window=window)
                pixel_m2 = row_areas_m2(grid, window)
                areas += [(classes == stratum).sum(1) @ pixel_m2 for stratum in STRATA]
            return areas / M2_PER_HA
    except RasterioIOError as error:
        raise MapError(f"{map_path} cannot be read as a map: {error}") from error


def _counts(map_path: Path, points: LabelledPoints) -> NDArray[np.int64]:
    """(strata, 2): points by what the map says and whether an orchard is there."""
    with rasterio.open(map_path) as raster:
        band = FeatureRasters(grid_of(raster), ("class",), ((str(map_path), CLASS_BAND),))
    said = band.at_points(points.lon, points.lat)[:, 0]
    return np.array([[((said == stratum) & (points.orchard == there)).sum() for there in (0, 1)] for stratum in STRATA])


def _estimate(counts: NDArray[np.int64], strata_ha: NDArray[np.float64]) -> AreaEstimate:
    """Of orchards and others; what lies outside the base mask is left out where no point was drawn there."""
    looked_at = counts.sum(1) > 0
    looked_at[[STRATA.index(OTHER), STRATA.index(ORCHARD)]] = True
    square = np.zeros((len(STRATA), len(STRATA)))
    square[:, :2] = counts
    return stratified_area(square, np.where(looked_at, strata_ha, 0.0))


def read_reference(path: Path) -> dict[str, float]:
    """Areas by year from a CSV with the columns ``year`` and ``area_ha`` or ``area_mu``.

    Raises:
        MapError: no such file or columns, or a number that is none.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise MapError(f"{path} cannot be read: {error}") from error
    unit = next((unit for unit in ("area_ha", "area_mu") if rows and unit in rows[0]), None)
    if unit is None or "year" not in rows[0]:
        raise MapError(f"{path} needs the columns year and area_ha or area_mu")
    try:
        return {row["year"].strip(): float(row[unit]) / (15 if unit == "area_mu" else 1) for row in rows}
    except ValueError as error:
        raise MapError(f"{path}: {error}") from error
