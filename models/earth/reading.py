"""Reading one layer of one scene on a grid."""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import pystac
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from models.earth.bands import QUALITY
from models.earth.bicubic import enlarge
from models.earth.cache import BlockCache
from models.earth.errors import SceneError
from models.earth.scenes import Scene

# one file is asked for, not its folder's list; a service that is busy is asked again
_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": 5,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_TIMEOUT": 60,
}
_EDGE_PX = 2  # cubic convolution looks this far beyond a window
# rasterio warps through arrays in memory, which have no place of their own, and silences its warning in a way that is
# not safe with threads; files without a place are refused below
warnings.filterwarnings("ignore", message="Dataset has no geotransform")
# what is wrong reaches the user in our words; odc-loader would say it a second time
logging.getLogger("odc.loader").setLevel(logging.CRITICAL)
logging.getLogger("rasterio").setLevel(logging.CRITICAL)


def read_layer(scene: Scene, layer: str, grid: GeoBox, cache: BlockCache | None = None) -> NDArray[Any]:
    """One layer of a scene on a grid: cubic convolution to finer cells, mean to coarser, nearest for quality layers.

    Args:
        scene: see :func:`models.earth.scenes.sentinel2_scene`.
        layer: name of a band or of a quality layer.
        grid: where to; any reference system.
        cache: where it is kept, and taken from where it is there already.

    Returns:
        (rows, columns) Digital numbers as uint16, 0 where there is no data; backscatter as float32, NaN there.

    Raises:
        SceneError: its file is missing, broken, without a reference system or in another one than the scene says.
    """
    name = _name(scene, layer, grid)
    if cache is not None and (kept := cache.get(name)) is not None:
        return kept
    with _named(scene, layer), rasterio.Env(**_GDAL):
        read = _read(scene, layer, grid)
    if cache is not None:
        cache.put(name, read)
    return read


def _name(scene: Scene, layer: str, grid: GeoBox) -> str:
    """All that decides what is read; what stands behind ? in an address is a key to the door, not the room."""
    href = scene.hrefs[layer]
    path = Path(href)
    stamp = [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else []
    where = [str(grid.crs), list(grid.transform)[:6], list(grid.shape)]
    return json.dumps([1, scene.id, scene.version, layer, href.split("?")[0], stamp, where])


@contextmanager
def _named(scene: Scene, layer: str) -> Iterator[None]:
    """Let GDAL's errors say which scene they are about."""
    try:
        yield
    except RasterioError as error:
        cause = error.__cause__ or error
        raise SceneError(
            f"scene {scene.id}: {layer} at {scene.hrefs[layer].split('?')[0]} cannot be read ({cause}); fetch the file "
            "again if it is yours, else try later or leave the scene out"
        ) from error


def _read(scene: Scene, layer: str, grid: GeoBox) -> NDArray[Any]:
    with rasterio.open(scene.hrefs[layer]) as file:
        _check_system(scene, layer, file)
        quality = layer in QUALITY
        number = np.dtype(file.dtypes[0])
        if number.kind == "u":
            factor = _whole_factor(file, grid)
            if factor is not None:
                return _aligned(file, grid, factor, nearest=quality)
        resampling = "nearest" if quality else ("cubic" if _finer(file, grid) else "average")
        unsigned = number.kind == "u"
        nothing = 0.0 if unsigned else math.nan if file.nodata is None else file.nodata
    item = pystac.Item(
        scene.id, grid.footprint("EPSG:4326").geom.__geo_interface__, None, datetime.now(timezone.utc), {}
    )
    item.add_asset(layer, pystac.Asset(scene.hrefs[layer]))
    loaded = odc.stac.load(
        [item],
        bands=[layer],
        geobox=grid,
        resampling=resampling,
        dtype="uint16" if unsigned else "float32",
        nodata=nothing,
    )
    values: NDArray[Any] = loaded[layer].values[0]
    return values if unsigned else np.where(values == nothing, np.float32(np.nan), values)


def _check_system(scene: Scene, layer: str, file: Any) -> None:
    if file.crs is None or file.transform.is_identity:
        raise SceneError(f"scene {scene.id}: {layer} at {file.name} has no place on Earth; fetch the file again")
    found = file.crs.to_epsg()
    if scene.epsg is not None and found != scene.epsg:
        raise SceneError(
            f"scene {scene.id}: its catalogue says EPSG:{scene.epsg} and {layer} at {file.name} is in "
            f"{f'EPSG:{found}' if found else 'another reference system'}; mend the item's proj:code, or leave it out"
        )


def _whole_factor(file: Any, grid: GeoBox) -> int | None:
    """How many cells go into a side of a pixel where both grids fall together; None where they do not."""
    source, target = file.transform, grid.transform
    if file.crs != grid.crs or source.b or source.d or target.b or target.d:
        return None
    factor = source.a / target.a
    shifts = ((target.c - source.c) / target.a, (target.f - source.f) / target.e)
    whole = all(abs(value - round(value)) < 1e-6 for value in (factor, *shifts))
    return round(factor) if whole and factor >= 1 and math.isclose(source.e / target.e, factor) else None


def _aligned(file: Any, grid: GeoBox, factor: int, *, nearest: bool) -> NDArray[np.uint16]:
    """Read exactly the pixels under the grid."""
    rows, columns = grid.shape
    left = round((grid.transform.c - file.transform.c) / grid.transform.a)
    top = round((grid.transform.f - file.transform.f) / grid.transform.e)
    edge = 0 if factor == 1 or nearest else _EDGE_PX
    first_row, last_row = top // factor - edge, -(-(top + rows) // factor) + edge
    first_column, last_column = left // factor - edge, -(-(left + columns) // factor) + edge
    inside = _inside(first_row, last_row, file.height), _inside(first_column, last_column, file.width)
    values = np.zeros((last_row - first_row, last_column - first_column), dtype=np.uint16)
    (r0, r1), (c0, c1) = inside
    if r1 > r0 and c1 > c0:
        read = file.read(1, window=Window(c0, r0, c1 - c0, r1 - r0))
        values[r0 - first_row : r1 - first_row, c0 - first_column : c1 - first_column] = read
    if factor == 1:
        return values
    top, left = top - first_row * factor, left - first_column * factor
    if nearest:
        repeated = values.repeat(factor, axis=0).repeat(factor, axis=1)
        return repeated[top : top + rows, left : left + columns]
    return enlarge(values, factor, top, left, (rows, columns))


def _inside(first: int, last: int, size: int) -> tuple[int, int]:
    return max(first, 0), min(last, size)


def _finer(file: Any, grid: GeoBox) -> bool:
    """Whether the grid's cells are about as fine as the file's pixels or finer."""
    area = abs(file.transform.a * file.transform.e)
    cells = grid.to_crs(file.crs, resolution="fit")
    return bool(abs(cells.resolution.x * cells.resolution.y) <= 2 * area)
