"""The even grid under a raster: which cell a place lies in, which window a polygon needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import rioxarray  # noqa: F401  (gives rasters their .rio)
import xarray as xr
from numpy.typing import NDArray

from models.earth.errors import EarthInputError

_WINDOW_PX = 2048


@dataclass(frozen=True)
class RasterGrid:
    """Rows from north to south, columns from west to east.

    Attributes:
        west: edge of the first column, in the unit of the reference system.
        north: edge of the first row.
        width: of a cell.
        height: of a cell.
        columns: how many.
        rows: how many.
        crs: reference system.
    """

    west: float
    north: float
    width: float
    height: float
    columns: int
    rows: int
    crs: Any

    def cells(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Column and row of places, also beyond the raster."""
        return (
            np.floor((x - self.west) / self.width).astype(np.int64),
            np.floor((self.north - y) / self.height).astype(np.int64),
        )

    def bounds(self, window: dict[str, slice] | None = None) -> tuple[float, float, float, float]:
        """West, south, east and north of a window, or of all."""
        rows, columns = (window["y"], window["x"]) if window else (slice(0, self.rows), slice(0, self.columns))
        return (
            self.west + columns.start * self.width,
            self.north - rows.stop * self.height,
            self.west + columns.stop * self.width,
            self.north - rows.start * self.height,
        )

    def windows(self, polygons: geopandas.GeoDataFrame) -> Iterator[tuple[NDArray[np.int64], dict[str, slice]]]:
        """Places of polygons in their table, and the window they need together, for those that meet the raster.

        Neighbours share a window, so that memory does not grow with the raster.
        """
        west, south, east, north = polygons.bounds.to_numpy().T
        first_column, first_row = self.cells(west, north)
        last_column, last_row = self.cells(east, south)
        limits = np.stack([first_row, last_row + 1, first_column, last_column + 1]).clip(
            0, np.array([[self.rows, self.rows, self.columns, self.columns]]).T
        )
        meets = np.flatnonzero((limits[0] < limits[1]) & (limits[2] < limits[3]))
        part_of = limits[0] // _WINDOW_PX * (self.columns // _WINDOW_PX + 1) + limits[2] // _WINDOW_PX
        for part in np.unique(part_of[meets]):
            members = meets[part_of[meets] == part]
            rows, columns = limits[:2, members], limits[2:, members]
            window = {"y": (rows[0].min(), rows[1].max()), "x": (columns[0].min(), columns[1].max())}
            yield members, {name: slice(int(first), int(end)) for name, (first, end) in window.items()}


def grid_of(raster: xr.Dataset) -> RasterGrid:
    """The grid of a raster whose rows run from north to south.

    Raises:
        EarthInputError: it has no reference system, or its coordinates are no even steps.
    """
    if raster.rio.crs is None:
        raise EarthInputError("the raster has no reference system; write one with rio.write_crs")
    x, y = (raster[name].to_numpy().astype(np.float64) for name in ("x", "y"))
    steps = np.diff(x), -np.diff(y)
    for name, step in zip(("x", "y"), steps, strict=True):
        if not step.size or step[0] <= 0 or not np.allclose(step, step[0], rtol=1e-3, atol=0):
            raise EarthInputError(f"the raster's coordinates {name} are no even steps; resample it to a grid")
    width, height = steps[0].mean(), steps[1].mean()
    return RasterGrid(x[0] - width / 2, y[0] + height / 2, width, height, len(x), len(y), raster.rio.crs)


def north_up(raster: xr.Dataset) -> xr.Dataset:
    """The raster with rows from north to south and columns from west to east."""
    turned: xr.Dataset = raster.sortby("x").sortby("y", ascending=False).transpose(..., "y", "x")
    return turned
