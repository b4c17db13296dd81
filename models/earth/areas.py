"""Boundaries of orchards, and the grids laid over them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Geod
from rasterio.features import geometry_mask
from shapely.geometry.base import BaseGeometry

from models.earth.errors import EarthInputError

_DEGREES = "EPSG:4326"
CELL_M = 10.0


def read_boundaries(path: Path) -> Any:
    """Polygons of a vector file.

    Args:
        path: GeoJSON, GeoPackage, Shapefile, GeoParquet or what else GDAL reads.

    Returns:
        A GeoDataFrame in degrees (EPSG:4326), its polygons valid, its other columns as they are.

    Raises:
        EarthInputError: it cannot be read, has no reference system or no polygons.
    """
    try:
        frame = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise EarthInputError(f"boundary {path} cannot be read: {error}; give polygons as GeoJSON") from error
    if frame.crs is None:
        raise EarthInputError(f"boundary {path} has no reference system, so its place is unknown; save it with one")
    frame = frame.to_crs(_DEGREES)
    frame.geometry = frame.geometry.make_valid()
    kinds = set(frame.geometry.geom_type)
    if not len(frame) or frame.geometry.is_empty.any() or not kinds <= {"Polygon", "MultiPolygon"}:
        raise EarthInputError(
            f"boundary {path} holds {', '.join(sorted(str(kind) for kind in kinds)) or 'nothing'}; give polygons"
        )
    return frame


def one_area(path: Path) -> BaseGeometry:
    """All polygons of a file as one, in degrees; errors as for :func:`read_boundaries`."""
    merged: BaseGeometry = read_boundaries(path).geometry.union_all()
    return merged


def metric_grid(area: BaseGeometry, margin_m: float = 0.0, cell_m: float = CELL_M) -> GeoBox:
    """A grid in the UTM zone of an area, on whole multiples of the cell, so that Sentinel-2's pixels are its cells.

    Args:
        area: in degrees.
        margin_m: how far beyond the area it reaches.
        cell_m: side of a cell.
    """
    series = geopandas.GeoSeries([area], crs=_DEGREES)
    zone = series.estimate_utm_crs()
    west, south, east, north = series.to_crs(zone).total_bounds
    lowest = (math.floor((value - margin_m) / cell_m) * cell_m for value in (west, south))
    highest = (math.ceil((value + margin_m) / cell_m) * cell_m for value in (east, north))
    return GeoBox.from_bbox((*lowest, *highest), crs=f"EPSG:{zone.to_epsg()}", resolution=cell_m)


def degree_grid(area: BaseGeometry, margin_m: float = 0.0, cell_m: float = CELL_M) -> GeoBox:
    """A grid in degrees whose cells are about square on the ground: a device finds a place's cell without projecting.

    Arguments as for :func:`metric_grid`.
    """
    west, south, east, north = area.bounds
    latitude, longitude = (south + north) / 2, (west + east) / 2
    geod = Geod(ellps="WGS84")
    per_degree = 0.001  # far enough for the ellipsoid to be flat, small enough to stay on it near the poles
    _, _, high_m = geod.inv(longitude, latitude, longitude, latitude + per_degree)
    _, _, wide_m = geod.inv(longitude, latitude, longitude + per_degree, latitude)
    height, width = cell_m * per_degree / high_m, cell_m * per_degree / wide_m
    rows = math.ceil((north - south) / height + 2 * margin_m / cell_m)
    columns = math.ceil((east - west) / width + 2 * margin_m / cell_m)
    top, left = latitude + rows * height / 2, longitude - columns * width / 2
    return GeoBox.from_bbox(
        (left, top - rows * height, left + columns * width, top), crs=_DEGREES, shape=(rows, columns)
    )


def cells_of(area: BaseGeometry, grid: GeoBox) -> NDArray[np.bool_]:
    """(rows, columns) Cells of a grid whose middle lies in an area, which is in degrees."""
    shape = geopandas.GeoSeries([area], crs=_DEGREES).to_crs(str(grid.crs)).iloc[0]
    inside: NDArray[np.bool_] = geometry_mask([shape], grid.shape.yx, grid.transform, invert=True)
    return inside
