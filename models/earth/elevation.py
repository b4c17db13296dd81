"""Elevation on a grid: Copernicus DEM from a catalogue, or GeoTIFFs of any elevation model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from models.earth.cache import BlockCache
from models.earth.catalogue import Search, find_items
from models.earth.errors import EarthInputError
from models.earth.reading import read_layer
from models.earth.scenes import Scene

COLLECTION = "cop-dem-glo-30"
_LAYER = "data"  # what catalogues call the one asset of a tile
_ALWAYS = (date(2000, 1, 1), date(2100, 1, 1))  # tiles have the day they were made, which says nothing


def elevation_tiles(source: str, bounds: tuple[float, float, float, float]) -> list[Scene]:
    """Tiles of an elevation model.

    Args:
        source: a GeoTIFF, a folder of them, or a catalogue with the collection ``cop-dem-glo-30``.
        bounds: west, south, east, north in degrees.

    Raises:
        EarthInputError: there is none here.
        CatalogueError: the catalogue is away.
    """
    path = Path(source)
    files = sorted(path.glob("*.tif")) if path.is_dir() else [path] if path.suffix in {".tif", ".tiff"} else []
    hrefs = {file.stem: str(file) for file in files}
    if not hrefs:
        items = find_items(source, Search(COLLECTION, bounds, *_ALWAYS))
        hrefs = {item.id: item.assets[_LAYER].get_absolute_href() or "" for item in items if _LAYER in item.assets}
    if not hrefs:
        raise EarthInputError(f"{source} has no elevation here; give GeoTIFFs, or a catalogue with {COLLECTION}")
    return [Scene(name, _ALWAYS[0], 0, {_LAYER: href}, None, "") for name, href in hrefs.items()]


def read_elevation(tiles: Sequence[Scene], grid: GeoBox, cache: BlockCache | None = None) -> xr.DataArray:
    """Elevation in m by (y, x), NaN where no tile has any.

    Args:
        tiles: see :func:`elevation_tiles`.
        grid: where to; finer than the model, it is interpolated by cubic convolution.
        cache: what was read is kept there.

    Raises:
        SceneError: a tile cannot be read.
    """
    merged = np.full(grid.shape.yx, np.nan, dtype=np.float32)
    for tile in tiles:
        found = read_layer(tile, _LAYER, grid, cache)
        empty = np.isnan(merged)
        merged[empty] = found[empty]
    elevation = xr.DataArray(merged, xr_coords(grid), grid.dimensions, "elevation", {"units": "m"})
    renamed: xr.DataArray = elevation.rename(dict(zip(grid.dimensions, ("y", "x"), strict=True)))
    return renamed
