"""What is known on the ground, brought to a scene's grid: yields and sampled blocks as points, crops as pixels."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import rowcol

from models.maps.errors import MapError
from models.maps.rasters import Grid
from models.yields.pixels.cleaning import CleaningSettings, clean
from models.yields.pixels.scenes import NO_FIELD, UNLABELLED, Points


def read_table(path: Path) -> geopandas.GeoDataFrame:
    """A table with places, by GDAL, or CSV or Parquet with columns ``lon`` and ``lat``.

    Raises:
        MapError: no such file, or none with places.
    """
    if not path.exists():
        raise MapError(f"there are no labels at {path}")
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            table = _parquet(path)
        elif suffix == ".csv":
            table = pd.read_csv(path)
        else:
            table = geopandas.read_file(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise MapError(f"{path} cannot be read as a table of places: {error}") from error
    if not isinstance(table, geopandas.GeoDataFrame):
        if not {"lon", "lat"} <= set(table.columns):
            raise MapError(
                f"{path} has neither a geometry nor columns lon and lat; it has {', '.join(map(str, table))}"
            )
        places = geopandas.points_from_xy(table["lon"], table["lat"])
        table = geopandas.GeoDataFrame(table, geometry=places, crs=4326)
    if table.crs is None:
        raise MapError(f"{path} does not say its coordinate reference system; write it with one")
    return table


def _parquet(path: Path) -> Any:
    try:
        return geopandas.read_parquet(path)
    except ValueError:  # a Parquet file without a geometry
        return pd.read_parquet(path)


def yields_on(
    grid: Grid,
    table: geopandas.GeoDataFrame,
    crops: Sequence[str],
    fields: NDArray[np.int32] | None = None,
    cleaning: CleaningSettings | None = None,
) -> Points:
    """Yields on a grid.

    A polygon is a sampled block: each pixel whose centre lies in it, one at least, is a point with the block's yield.
    Together they are as certain as the block: the variance of each is the block's times their number.

    Args:
        grid: of the scene.
        table: points or polygons with ``yield``; ``crop`` by its name where there is more than one; ``error``, the
            standard error of the yield, and ``field`` where they are known.
        crops: names by index.
        fields: (H, W) numbers of the fields, for points without one of their own.
        cleaning: with it, the table is of a combine harvester and is cleaned first.

    Raises:
        MapError: a column is missing, or a crop is none of the names.
    """
    if "yield" not in table.columns:
        raise MapError(f"yields need a column 'yield'; the table has {', '.join(map(str, table.columns))}")
    placed = table.to_crs(grid.crs)
    if cleaning is not None:
        placed = _cleaned(placed, cleaning)
    rows, columns, which, spread = [], [], [], []
    for number, shape in enumerate(placed.geometry):
        row, column = _pixels(grid, shape)
        rows.append(row)
        columns.append(column)
        which.append(np.full(len(row), number))
        spread.append(np.full(len(row), np.sqrt(len(row))))
    if not rows:
        return Points.none()
    row, column, at, times = (np.concatenate(parts) for parts in (rows, columns, which, spread))
    inside = (row >= 0) & (row < grid.height) & (column >= 0) & (column < grid.width)
    row, column, at, times = row[inside], column[inside], at[inside].astype(np.int64), times[inside]
    error = placed["error"].to_numpy(float)[at] * times if "error" in placed else np.zeros(len(at))
    own = _numbers(placed["field"]) if "field" in placed else np.full(len(placed), NO_FIELD)
    field = own[at]
    if fields is not None:
        field = np.where(field == NO_FIELD, fields[row, column], field)
    yields = placed["yield"].to_numpy(float)[at]
    known = np.isfinite(yields)
    return Points(row, column, yields, error, _crops(placed, crops)[at], field.astype(np.int64)).take(known)


def crops_on(
    grid: Grid, table: geopandas.GeoDataFrame, crops: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Crops and fields of a grid's pixels, from polygons with ``crop``; each polygon is a field unless ``field`` says.

    Raises:
        MapError: a crop is none of the names.
    """
    placed = table.to_crs(grid.crs)
    shape = grid.height, grid.width
    if not len(placed):
        return np.full(shape, UNLABELLED, np.uint8), np.full(shape, NO_FIELD, np.int32)
    index = _crops(placed, crops)
    numbers = _numbers(placed["field"]) if "field" in placed else np.arange(len(placed))

    def burnt(values: NDArray[np.int64], nothing: int, dtype: str) -> NDArray[Any]:
        shapes = zip(placed.geometry, values.tolist(), strict=True)
        drawn: NDArray[Any] = rasterize(shapes, shape, fill=nothing, transform=grid.affine, dtype=dtype)
        return drawn

    return burnt(index, UNLABELLED, "uint8"), burnt(numbers, NO_FIELD, "int32")


def _cleaned(placed: geopandas.GeoDataFrame, settings: CleaningSettings) -> geopandas.GeoDataFrame:
    points = placed.assign(x_m=placed.geometry.x, y_m=placed.geometry.y)
    if "field" not in points:
        points = points.assign(field="one")
    kept = clean(pd.DataFrame(points), settings).points
    return geopandas.GeoDataFrame(kept, geometry="geometry", crs=placed.crs)


def _pixels(grid: Grid, shape: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of a point, or of a polygon by their centres; that of its middle where it holds none."""
    if shape.geom_type not in {"Point", "MultiPoint"}:
        west, south, east, north = shape.bounds
        (top, bottom), (left, right) = rowcol(grid.affine, [west, east], [north, south])
        top, left = max(int(top), 0), max(int(left), 0)
        height, width = min(int(bottom) + 1, grid.height) - top, min(int(right) + 1, grid.width) - left
        if height > 0 and width > 0:
            here = grid.affine * grid.affine.translation(left, top)
            drawn = rasterize([shape], (height, width), transform=here, dtype="uint8")
            row, column = np.nonzero(drawn)
            if len(row):
                return row + top, column + left
    middle = shape.representative_point()
    (row,), (column,) = rowcol(grid.affine, [middle.x], [middle.y])
    return np.array([row], np.int64), np.array([column], np.int64)


def _crops(table: geopandas.GeoDataFrame, crops: Sequence[str]) -> NDArray[np.int64]:
    if "crop" not in table:
        if len(crops) == 1:
            return np.zeros(len(table), np.int64)
        raise MapError(f"labels need a column 'crop' that says which of {', '.join(crops)} it was")
    names = table["crop"].astype(str)
    unknown = sorted(set(names) - set(crops))
    if unknown:
        raise MapError(f"labels hold the crops {', '.join(unknown)}; name them with --crop or leave them out")
    return np.asarray(names.map({name: number for number, name in enumerate(crops)}), np.int64)


def _numbers(column: pd.Series) -> NDArray[np.int64]:
    """Numbers of fields: as they are where they are numbers, else one for each name, the same in every table."""
    if pd.api.types.is_integer_dtype(column):
        return np.asarray(column, np.int64)
    return np.array([_number(str(name)) for name in column], np.int64)


def _number(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF
