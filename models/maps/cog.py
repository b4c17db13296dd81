"""The finished map: tiles joined into one Cloud-Optimised GeoTIFF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.windows import Window

from models.maps.errors import MapError
from models.maps.rasters import Grid, bounded_cache
from models.maps.tiles import BLOCK_PX, Tile, TileStore


@dataclass(frozen=True)
class Layers:
    """What a map's bands are.

    Attributes:
        names: of the bands.
        dtype: of all of them.
        nodata: where nothing is known.
        tags: what the file says of itself; equal tiles and tags make equal bytes.
        overviews: how they are resampled.
    """

    names: tuple[str, ...]
    dtype: str
    nodata: float
    tags: Mapping[str, str] = field(default_factory=dict)
    overviews: str = "nearest"


def join_tiles(
    path: Path,
    grid: Grid,
    tiles: TileStore,
    windows: Sequence[Window],
    layers: Layers,
    each: Callable[[Window, Tile], None] = lambda _window, _tile: None,
) -> None:
    """Join tiles into a map with overviews.

    Args:
        path: of the map; it is there whole or not at all.
        grid: of the map.
        tiles: finished ones.
        windows: of all tiles.
        layers: what the bands are.
        each: is given every tile as it is joined.

    Raises:
        MapError: a tile that is not there.
    """
    joined, partial = path.with_suffix(".joined.tif"), path.with_suffix(".partial.tif")
    profile = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": len(layers.names),
        "dtype": layers.dtype,
        "nodata": layers.nodata,
        "crs": CRS.from_string(grid.crs),
        "transform": grid.affine,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }
    with bounded_cache(), rasterio.open(joined, "w", **profile) as raster:
        for window in windows:
            tile = tiles.read(window)
            if tile is None:
                raise MapError(f"tile {window} is missing from {tiles.folder}; run the same command again")
            raster.write(tile, window=window)
            each(window, tile)
        for number, name in enumerate(layers.names, 1):
            raster.set_band_description(number, name)
        raster.update_tags(**layers.tags)
    with bounded_cache():
        rasterio.shutil.copy(
            joined,
            partial,
            driver="COG",
            compress="deflate",
            predictor="no",
            blocksize=2 * BLOCK_PX,
            overview_resampling=layers.overviews,
            bigtiff="if_safer",
        )
    joined.unlink()
    partial.replace(path)


def read_overview(path: Path, longest_px: int) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    """A small picture of a map: (bands, rows, columns), read from its overviews."""
    with rasterio.open(path) as raster:
        shrink = max(1.0, max(raster.width, raster.height) / longest_px)
        shape = (raster.count, max(1, round(raster.height / shrink)), max(1, round(raster.width / shrink)))
        picture: np.ndarray[tuple[int, ...], np.dtype[Any]] = raster.read(out_shape=shape)
    return picture
