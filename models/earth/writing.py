"""Bands as Cloud-Optimised GeoTIFFs, and composites as one a period, made and written block by block."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rasterio
import rasterio.shutil
import rioxarray  # noqa: F401  (gives arrays their .rio)
import xarray as xr
from dask.base import compute
from distributed import get_client
from odc.geo.geobox import GeoBox, GeoboxTiles
from rasterio.windows import Window

from models.earth.composites import median_composites
from models.earth.errors import EarthInputError
from models.earth.periods import Period
from models.earth.scenes import Scene, record_of
from models.earth.stack import Stacking, stack_scenes

_Block = TypeVar("_Block")
_PLAIN = {"driver": "GTiff", "tiled": True, "BIGTIFF": "IF_SAFER"}


def write_composites(
    scenes: Sequence[Scene],
    stacking: Stacking,
    periods: Sequence[Period],
    folder: Path,
    advance: Callable[[int], object] = int,
) -> list[Path]:
    """Write each period's bands and its share of clear dates, reflectance as float32, NaN where nothing was clear.

    Each block is composed for itself, so that what is in memory is a block's and not the scene's. A file that is there
    already is kept, and one that was being written when the process died is written again. The tag ``scenes`` is JSON
    of the period's scenes, each with its ``id``, ``date`` and ``version``.

    Args:
        scenes: see :func:`models.earth.stack.stack_scenes`.
        stacking: see there.
        periods: what to make composites of; those without a scene get no file.
        folder: where to, made if need be.
        advance: called with 1 after each period.

    Returns:
        The files, by period.

    Raises:
        EarthInputError: the folder cannot be written.
        SceneError: a scene cannot be read.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for period in periods:
            members = [scene for scene in scenes if scene.day in period]
            path = folder / f"{period.name}.tif"
            if members and not path.is_file():
                _write(members, stacking, period, path)
            if members:
                written.append(path)
            advance(1)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise EarthInputError(f"{folder} cannot be written: {error}; free space or name another folder") from error
    return written


def write_bands(
    bands: xr.Dataset,
    path: Path,
    found: Callable[[int], object] = int,
    advance: Callable[[int], object] = int,
) -> None:
    """Write variables of dimensions (y, x) as bands of one file, described by their names, whole or not at all.

    Lazy ones are computed block by block, on a cluster where there is one, so that what is in memory is some blocks'.
    The data set's attributes become the file's tags; those of the variables do not.

    Args:
        bands: on one grid, in CRS and place of the data set.
        path: where to.
        found: called once with the number of blocks.
        advance: called with the number of blocks each time some are written.
    """
    stacked = bands.to_dataarray("band").data
    height, width = bands.sizes["y"], bands.sizes["x"]
    heights, widths = stacked.chunks[1:] if hasattr(stacked, "chunks") else ((height,), (width,))
    windows = [
        (slice(bottom - high, bottom), slice(right - wide, right))
        for high, bottom in zip(heights, np.cumsum(heights), strict=True)
        for wide, right in zip(widths, np.cumsum(widths), strict=True)
    ]
    found(len(windows))
    size = {"height": height, "width": width, "count": len(bands), "dtype": stacked.dtype, "nodata": np.nan}
    place = {"crs": bands.rio.crs, "transform": bands.rio.transform()}
    plain = _plain_path(path)
    with rasterio.open(plain, "w", **size, **place, **_PLAIN) as file:
        file.descriptions = [str(name) for name in bands.data_vars]
        file.update_tags(**bands.attrs)
        for some in _batches(iter(windows)):
            blocks = compute(*(stacked[:, rows, columns] for rows, columns in some))
            for window, values in zip(some, blocks, strict=True):
                file.write(values, window=Window.from_slices(*window))
            advance(len(some))
    _to_cloud_optimised(plain, path)


def _write(scenes: Sequence[Scene], stacking: Stacking, period: Period, path: Path) -> None:
    names = [*stacking.bands, "clear_share"]
    rows, columns = stacking.grid.shape.yx
    size = {"height": rows, "width": columns, "count": len(names), "dtype": "float32", "nodata": np.nan}
    place = {"crs": str(stacking.grid.crs), "transform": stacking.grid.transform}
    plain = _plain_path(path)
    with rasterio.open(plain, "w", **size, **place, **_PLAIN) as file:
        file.descriptions = names
        file.update_tags(scenes=json.dumps(record_of(scenes)))
        for some in _batches(_windows(stacking.tiles)):
            lazy = [_composed(scenes, replace(stacking, grid=grid), period) for _, grid in some]
            for (window, _), values in zip(some, compute(*lazy), strict=True):
                file.write(values, window=window)
    _to_cloud_optimised(plain, path)


def _plain_path(path: Path) -> Path:
    return path.with_suffix(".plain.part")


def _to_cloud_optimised(plain: Path, path: Path) -> None:
    part = path.with_suffix(".part")
    rasterio.shutil.copy(plain, part, driver="COG", compress="deflate", predictor=3, BIGTIFF="IF_SAFER")
    plain.unlink()
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)


def _composed(scenes: Sequence[Scene], stacking: Stacking, period: Period) -> Any:
    """(bands, rows, columns), lazy."""
    made = median_composites(stack_scenes(scenes, stacking), [period]).isel(time=0)
    return made[[*stacking.bands, "clear_share"]].to_dataarray("band").data


def _windows(tiles: GeoboxTiles) -> Iterator[tuple[Window, GeoBox]]:
    """Blocks row by row, with their place in the whole."""
    for row, column in np.ndindex(*tiles.shape.yx):
        grid = tiles[row, column]
        assert isinstance(grid, GeoBox)  # a part of a regular grid is one
        yield Window.from_slices(*tiles.roi[row, column]), grid


def _batches(blocks: Iterator[_Block]) -> Iterator[list[_Block]]:
    """One block at a time, whose dates and bands keep a machine's cores busy; on a cluster, several."""
    try:
        at_once = max(1, sum(get_client().nthreads().values()) // 4)
    except ValueError:  # no cluster
        at_once = 1
    while some := list(islice(blocks, at_once)):
        yield some
