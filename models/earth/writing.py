"""Composites as Cloud-Optimised GeoTIFFs, one a period, written block by block."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rioxarray  # noqa: F401  (gives arrays their .rio)
import xarray as xr
from dask.utils import SerializableLock
from distributed import Lock, get_client

from models.earth.errors import EarthInputError
from models.earth.periods import Period


def write_composites(
    composites: xr.Dataset,
    periods: Iterable[Period],
    folder: Path,
    advance: Callable[[int], object] = int,
) -> list[Path]:
    """Write each period's bands and its share of clear dates, reflectance as float32, NaN where nothing was clear.

    A file that is there already is kept, and one that was being written when the process died is written again.

    Args:
        composites: see :func:`models.earth.composites.median_composites`.
        periods: of its times.
        folder: where to, made if need be.
        advance: called with 1 after each period.

    Raises:
        EarthInputError: the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, period in enumerate(periods):
            path = folder / f"{period.name}.tif"
            if not path.is_file():
                composite = composites.isel(time=number, drop=True)
                write_bands(composite.assign_attrs(scenes=_scenes_of(composites, period)), path)
            written.append(path)
            advance(1)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise EarthInputError(f"{folder} cannot be written: {error}; free space or name another folder") from error
    return written


def _scenes_of(composites: xr.Dataset, period: Period) -> str:
    scenes = json.loads(composites.attrs.get("scenes", "[]"))
    return json.dumps([scene for scene in scenes if date.fromisoformat(scene["date"]) in period])


def _lock() -> Any:
    """Blocks are written into one file one after the other, by whichever process of a cluster made them."""
    try:
        get_client()
    except ValueError:  # no cluster
        return SerializableLock()
    return Lock("composites")


def write_bands(composite: xr.Dataset, path: Path) -> None:
    """Write variables of dimensions (y, x) as bands of one file, described by their names, whole or not at all.

    The data set's attributes become the file's tags; those of the variables do not.
    """
    names = [str(name) for name in composite.data_vars]
    plain, cloud_optimised = path.with_suffix(".plain.part"), path.with_suffix(".part")
    bands = composite.to_dataarray("band").assign_coords(band=np.arange(1, len(names) + 1))
    bands.attrs = {**composite.attrs, "long_name": tuple(names)}
    bands.rio.write_nodata(np.nan, inplace=True).rio.to_raster(
        plain, driver="GTiff", tiled=True, BIGTIFF="IF_SAFER", lock=_lock()
    )
    rasterio.shutil.copy(plain, cloud_optimised, driver="COG", compress="deflate", predictor=3, BIGTIFF="IF_SAFER")
    plain.unlink()
    with cloud_optimised.open("rb") as file:
        os.fsync(file.fileno())
    cloud_optimised.replace(path)
