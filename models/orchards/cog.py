"""The finished map: tiles joined into one Cloud-Optimised GeoTIFF, and its areas counted on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.windows import Window

from models.maps.errors import MapError
from models.maps.rasters import Grid, bounded_cache
from models.orchards.surface import row_areas_m2
from models.orchards.tiles import BLOCK_PX, ORCHARD, OTHER, OUTSIDE, UNKNOWN, TileStore

CLASS_BAND, CONFIDENCE_BAND = 1, 2
_BANDS = ("class", "confidence_percent")


@dataclass(frozen=True)
class MappedAreas:
    """Ground areas of a map in m².

    Attributes:
        orchard: mapped as orchard.
        other: looked at and mapped as something else.
        outside: outside the base mask.
        unknown: a feature was missing.
    """

    orchard: float
    other: float
    outside: float
    unknown: float


def write_map(
    path: Path, grid: Grid, tiles: TileStore, windows: Sequence[Window], tags: Mapping[str, str]
) -> MappedAreas:
    """Join tiles into a map with overviews.

    Args:
        path: of the map; it is there whole or not at all.
        grid: of the map.
        tiles: finished ones.
        windows: of all tiles.
        tags: what the file says of itself; equal tiles and tags make equal bytes.

    Raises:
        MapError: a tile that is not there.
    """
    joined, partial = path.with_suffix(".joined.tif"), path.with_suffix(".partial.tif")
    profile = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": len(_BANDS),
        "dtype": "uint8",
        "nodata": UNKNOWN,
        "crs": CRS.from_string(grid.crs),
        "transform": grid.affine,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }
    areas_m2 = dict.fromkeys((ORCHARD, OTHER, OUTSIDE, UNKNOWN), 0.0)
    with bounded_cache(), rasterio.open(joined, "w", **profile) as raster:
        for window in windows:
            tile = tiles.read(window)
            if tile is None:
                raise MapError(f"tile {window} is missing from {tiles.folder}; run the same command again")
            raster.write(tile, window=window)
            pixel_m2 = row_areas_m2(grid, window)
            for kind in areas_m2:
                areas_m2[kind] += float((tile[0] == kind).sum(1) @ pixel_m2)
        for number, name in enumerate(_BANDS, 1):
            raster.set_band_description(number, name)
        raster.update_tags(**tags)
    with bounded_cache():
        rasterio.shutil.copy(
            joined,
            partial,
            driver="COG",
            compress="deflate",
            predictor="no",
            blocksize=2 * BLOCK_PX,
            # a class has no average, and the confidence shown has to be that of the class shown
            overview_resampling="nearest",
            bigtiff="if_safer",
        )
    joined.unlink()
    partial.replace(path)
    return MappedAreas(areas_m2[ORCHARD], areas_m2[OTHER], areas_m2[OUTSIDE], areas_m2[UNKNOWN])


def read_overview(path: Path, longest_px: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A small picture of a map: (2, rows, columns), read from its overviews."""
    with rasterio.open(path) as raster:
        shrink = max(1.0, max(raster.width, raster.height) / longest_px)
        shape = (raster.count, max(1, round(raster.height / shrink)), max(1, round(raster.width / shrink)))
        picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = raster.read(out_shape=shape)
    return picture
