"""Rasters of features: bands of one grid, known by their descriptions, read window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.transform import Affine, rowcol
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from models.maps.errors import MapError

_CACHE_MB = 64


def bounded_cache() -> rasterio.Env:
    """GDAL with little memory for blocks it has read; by itself it takes a share of the machine's and fills it.

    GDAL looks at it once in a process, when it first reads, so every reading and writing here is done in it.
    """
    return rasterio.Env(GDAL_CACHEMAX=_CACHE_MB)


@dataclass(frozen=True)
class Grid:
    """Where pixels lie.

    Attributes:
        crs: as text, so that a grid can be compared and sent.
        transform: the six numbers of the affine transform.
        width: columns.
        height: rows.
    """

    crs: str
    transform: tuple[float, ...]
    width: int
    height: int

    @property
    def affine(self) -> Affine:
        """The transform from columns and rows to coordinates."""
        return Affine(*self.transform)


@dataclass(frozen=True)
class FeatureRasters:
    """Bands of one or more rasters on one grid; opened anew for each window, so that it can be sent to a worker.

    Attributes:
        grid: of all bands.
        names: of the bands in their order.
        bands: the raster and band number of each.
    """

    grid: Grid
    names: tuple[str, ...]
    bands: tuple[tuple[str, int], ...]

    def select(self, names: Sequence[str]) -> FeatureRasters:
        """Some of the bands, in the given order."""
        at = dict(zip(self.names, self.bands, strict=True))
        return FeatureRasters(self.grid, tuple(names), tuple(at[name] for name in names))

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read a window.

        Returns:
            (bands, rows, columns); NaN where a band holds its no-data value or no number.

        Raises:
            MapError: a raster that cannot be read, by its name.
        """
        values = np.empty((len(self.bands), int(window.height), int(window.width)), np.float32)
        for path in dict.fromkeys(path for path, _ in self.bands):
            at = [position for position, (where, _) in enumerate(self.bands) if where == path]
            try:
                with bounded_cache(), rasterio.open(path) as raster:
                    for position in at:
                        values[position] = _read_band(raster, self.bands[position][1], window)
            except RasterioIOError as error:
                raise MapError(f"{path} cannot be read: {error}") from error
        return values

    def at_points(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
        """Values of the pixels that points lie in.

        Args:
            lon: (n,) degrees east.
            lat: (n,) degrees north.

        Returns:
            (n, bands); NaN outside the rasters.
        """
        x, y = transform_points(CRS.from_epsg(4326), CRS.from_string(self.grid.crs), lon.tolist(), lat.tolist())
        found = rowcol(self.grid.affine, x, y)
        rows, columns = (np.asarray(where, dtype=np.int64) for where in found)
        values = np.full((len(lon), len(self.bands)), np.nan, np.float32)
        inside = (columns >= 0) & (columns < self.grid.width) & (rows >= 0) & (rows < self.grid.height)
        # points side by side are read together
        side = 256
        cells = np.stack([rows // side, columns // side], 1)
        for row, column in np.unique(cells[inside], axis=0).tolist():
            here = np.flatnonzero(inside & (cells == (row, column)).all(1))
            window = Window(
                column * side,
                row * side,
                min(side, self.grid.width - column * side),
                min(side, self.grid.height - row * side),
            )
            values[here] = self.read(window)[:, rows[here] - row * side, columns[here] - column * side].T
        return values


def _read_band(raster: Any, number: int, window: Window) -> NDArray[np.float32]:
    band = raster.read(number, window=window)
    nodata = raster.nodatavals[number - 1]
    values: NDArray[np.float32] = band.astype(np.float32)
    scale, offset = raster.scales[number - 1], raster.offsets[number - 1]
    if (scale, offset) != (1.0, 0.0):
        values = values * np.float32(scale) + np.float32(offset)
    values[~np.isfinite(values)] = np.nan
    if nodata is not None and np.isfinite(nodata):
        values[band == nodata] = np.nan
    return values


def open_features(paths: Sequence[Path]) -> FeatureRasters:
    """Look at rasters of features.

    Args:
        paths: on one grid, every band described by the name of its feature.

    Raises:
        MapError: a file that is none, a band without a name, a name twice, grids that differ.
    """
    grid: Grid | None = None
    names: list[str] = []
    bands: list[tuple[str, int]] = []
    for path in paths:
        try:
            with bounded_cache(), rasterio.open(path) as raster:
                its_grid, descriptions = grid_of(raster), raster.descriptions
        except RasterioIOError as error:
            raise MapError(f"{path} cannot be read as a raster: {error}") from error
        if grid is not None and its_grid != grid:
            raise MapError(f"{path} does not lie on the grid of {paths[0]}; resample it to that grid first")
        grid = its_grid
        for number, name in enumerate(descriptions, 1):
            if not name:
                raise MapError(f"band {number} of {path} has no description; describe it by its feature's name")
            if name in names:
                raise MapError(f"{path}: feature {name!r} is there twice; name each band once")
            names.append(name)
            bands.append((str(path.absolute()), number))
    if grid is None:
        raise MapError("no raster of features was given")
    return FeatureRasters(grid, tuple(names), tuple(bands))


def grid_of(raster: Any) -> Grid:
    """Where the pixels of an opened raster lie.

    Raises:
        MapError: it does not say so.
    """
    if raster.crs is None:
        raise MapError(f"{raster.name} does not say its coordinate reference system; write it with one")
    return Grid(raster.crs.to_wkt(), tuple(raster.transform)[:6], raster.width, raster.height)


@dataclass(frozen=True)
class BaseMask:
    """Land cover that an orchard can stand on, any grid; pixels are looked up by the nearest.

    Attributes:
        path: a raster of land cover.
        classes: its values that are kept, such as 40, cropland in ESA WorldCover.
    """

    path: str
    classes: tuple[int, ...]

    def read(self, grid: Grid, window: Window) -> NDArray[np.bool_]:
        """Which pixels of a window may be orchards: (rows, columns).

        Raises:
            MapError: a mask that cannot be read.
        """
        try:
            with (
                bounded_cache(),
                rasterio.open(self.path) as cover,
                WarpedVRT(
                    cover,
                    crs=CRS.from_string(grid.crs),
                    transform=grid.affine,
                    width=grid.width,
                    height=grid.height,
                    resampling=Resampling.nearest,
                ) as here,
            ):
                return np.isin(here.read(1, window=window), self.classes)
        except RasterioIOError as error:
            raise MapError(f"the base mask {self.path} cannot be read: {error}") from error
