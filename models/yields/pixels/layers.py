"""Scenes as files: dated rasters with described bands, brought to one grid of 10 m and read window by window."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from models.maps.errors import MapError
from models.maps.rasters import Grid, bounded_cache
from models.yields.pixels.scenes import NO_FIELD, UNLABELLED, Points, Scene
from models.yields.pixels.vegetation import YIELD_INDICES, with_indices

PIXEL_M = 10.0
_DATED = re.compile(r"^(radar-)?(\d{4}-\d{2}-\d{2})\.tiff?$")
# what no surface reflects
_TOO_BRIGHT = 5.0


@dataclass(frozen=True)
class SceneFiles:
    """Rasters of one scene; opened anew for each window, so that it can be sent to a worker.

    Attributes:
        name: of the scene.
        grid: of 10 m, that all are brought to.
        bands: names of the bands, indices not among them.
        images: file of each date, in order.
        days: of the year of each.
        radar: file of each radar date.
        radar_days: of the year of each.
        indices: whether vegetation indices are put behind the bands.
    """

    name: str
    grid: Grid
    bands: tuple[str, ...]
    images: tuple[str, ...]
    days: tuple[int, ...]
    radar: tuple[str, ...] = ()
    radar_days: tuple[int, ...] = ()
    indices: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.grid.height, self.grid.width

    @property
    def names(self) -> tuple[str, ...]:
        """Bands of its images, indices among them."""
        return (*self.bands, *(YIELD_INDICES if self.indices else ()))

    def read(self, row: int, column: int, side: int) -> Scene:
        """A square of the scene without labels; what lies beyond it was not seen.

        A pixel is clear on a date where every band of it is known.

        Args:
            row: first one.
            column: first one.
            side: in px.

        Raises:
            MapError: a file that cannot be read, or values that are no reflectance.
        """
        images = np.stack([self._layers(path, self.bands, row, column, side) for path in self.images])
        clear = np.asarray(np.isfinite(images).all(1))
        if clear.any() and float(np.nanmax(images)) > _TOO_BRIGHT:
            raise MapError(
                f"scene {self.name} holds {np.nanmax(images):g}, which is no reflectance from 0 to 1; set its scale, "
                "such as: gdal_edit.py -scale 0.0001 FILE"
            )
        images = np.where(clear[:, None], images, np.float32(0))
        radar = None
        if self.radar:
            series = [self._layers(path, ("VV", "VH"), row, column, side) for path in self.radar]
            radar = np.nan_to_num(np.stack(series))
        return Scene(
            self.name,
            with_indices(images, self.bands) if self.indices else images,
            clear,
            np.array(self.days, np.float32),
            np.full((side, side), UNLABELLED, np.uint8),
            np.full((side, side), NO_FIELD, np.int32),
            Points.none(),
            radar,
            np.array(self.radar_days, np.float32) if self.radar else None,
        )

    def _layers(self, path: str, bands: Sequence[str], row: int, column: int, side: int) -> NDArray[np.float32]:
        """(bands, side, side) values; NaN where unknown. Coarser bands by cubic convolution, as in the paper."""
        values = np.full((len(bands), side, side), np.nan, np.float32)
        height, width = min(side, self.grid.height - row), min(side, self.grid.width - column)
        try:
            with bounded_cache(), rasterio.open(path) as file:
                at = {name: number for number, name in enumerate(file.descriptions, 1)}
                with WarpedVRT(
                    file,
                    crs=CRS.from_string(self.grid.crs),
                    transform=self.grid.affine,
                    width=self.grid.width,
                    height=self.grid.height,
                    resampling=Resampling.cubic,
                    nodata=file.nodata,
                ) as here:
                    for number, band in enumerate(bands):
                        read = here.read(at[band], window=Window(column, row, width, height), masked=True)
                        scale, offset = file.scales[at[band] - 1], file.offsets[at[band] - 1]
                        scaled = read.astype(np.float32) * np.float32(scale) + np.float32(offset)
                        values[number, :height, :width] = scaled.filled(np.nan)
        except RasterioIOError as error:
            raise MapError(f"{path} cannot be read: {error}") from error
        return values


def open_scene(folder: Path, *, indices: bool = False) -> SceneFiles:
    """Look at the rasters of a scene: a file for each date, named such as ``2023-08-20.tif`` (``radar-….tif``).

    The grid is that of the first file's ground, in pixels of 10 m.

    Args:
        folder: of the files; a folder's other files are left alone.
        indices: whether vegetation indices are put behind the bands.

    Raises:
        MapError: no dated file, bands without names or others than in the first file, degrees for metres.
    """
    dated = sorted(
        (match[2], bool(match[1]), path) for path in folder.glob("*.tif*") if (match := _DATED.match(path.name))
    )
    images = [(day, path) for day, radar, path in dated if not radar]
    if not images:
        raise MapError(f"{folder} holds no image named by its date, such as 2023-08-20.tif")
    bands: tuple[str, ...] | None = None
    for _, path in images:
        names = _described(path)
        if bands is not None and set(names) != set(bands):
            raise MapError(f"{path} has the bands {', '.join(names)} and {images[0][1]} has {', '.join(bands)}")
        bands = bands or names
    radars = [(day, path) for day, radar, path in dated if radar]
    for _, path in radars:
        if not {"VV", "VH"} <= set(_described(path)):
            raise MapError(f"{path} lacks bands described VV and VH; describe them")
    return SceneFiles(
        folder.name,
        _grid_of_10_m(images[0][1]),
        bands or (),
        tuple(str(path.absolute()) for _, path in images),
        tuple(_day(day) for day, _ in images),
        tuple(str(path.absolute()) for _, path in radars),
        tuple(_day(day) for day, _ in radars),
        indices,
    )


def _day(text: str) -> int:
    try:
        return date.fromisoformat(text).timetuple().tm_yday
    except ValueError as error:
        raise MapError(f"{text} is no day; name images such as 2023-08-20.tif") from error


def _described(path: Path) -> tuple[str, ...]:
    try:
        with bounded_cache(), rasterio.open(path) as file:
            names: tuple[Any, ...] = file.descriptions
    except RasterioIOError as error:
        raise MapError(f"{path} cannot be read as a raster: {error}") from error
    if not all(names):
        raise MapError(f"{path} has bands without a description; describe each by its name, such as B08")
    return tuple(str(name) for name in names)


def _grid_of_10_m(path: Path) -> Grid:
    with bounded_cache(), rasterio.open(path) as file:
        if file.crs is None or not file.crs.is_projected:
            raise MapError(f"{path} is not in metres; write it in a projected system, such as its UTM zone")
        if file.transform.b or file.transform.d:
            raise MapError(f"{path} is turned; resample it to rows from north to south")
        factor = file.crs.linear_units_factor[1]
        side = PIXEL_M / factor
        left, bottom, right, top = file.bounds
        width, height = (math.ceil(round(length / side, 6)) for length in (right - left, top - bottom))
        transform = Affine(side, 0, left, 0, -side, top)
        return Grid(file.crs.to_wkt(), tuple(transform)[:6], width, height)
