"""Many scenes on one grid as an xarray data set: lazy, each block of it read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import dask.array as da
import dask.config
import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox, GeoboxTiles
from odc.geo.xr import xr_coords

from models.earth.cache import BlockCache
from models.earth.clear import clear_of_qa60, clear_of_scl
from models.earth.composites import CLEAR
from models.earth.errors import CloudedSceneError, EarthInputError, SceneError
from models.earth.reading import read_layer
from models.earth.reflectance import check_offset, to_reflectance
from models.earth.scenes import Scene

CHUNK_PX = 1024
# where numbers with an offset taken out twice fall below zero first
_DARKEST = "B04"
_AT_ONCE = 8


@dataclass(frozen=True)
class Stacking:
    """How scenes are put on a grid.

    Attributes:
        grid: where to.
        bands: of Sentinel-2, in the order wanted.
        quality: the layer that tells clouds, ``SCL`` or ``QA60``.
        chunk_px: side of the blocks that are read and worked on at a time.
        cache: what was read is kept there.
    """

    grid: GeoBox
    bands: tuple[str, ...]
    quality: str = "SCL"
    chunk_px: int = CHUNK_PX
    cache: BlockCache | None = None

    @property
    def tiles(self) -> GeoboxTiles:
        """The blocks."""
        return GeoboxTiles(self.grid, (self.chunk_px, self.chunk_px))


def stack_scenes(scenes: Iterable[Scene], stacking: Stacking) -> xr.Dataset:
    """Surface reflectance of scenes, those of one day as one.

    Args:
        scenes: in any order.
        stacking: see there.

    Returns:
        Lazy: each band by (time, y, x), reflectance as float32, NaN where there is no data; and ``clear``, whether a
        pixel has data and no cloud. Computing it raises SceneError where a scene cannot be read.

    Raises:
        EarthInputError: there is no scene.
    """
    days = by_day(scenes)
    if not days:
        raise EarthInputError("there is no scene to read; widen the dates or the share of clouds allowed")
    blocks = _lazy_blocks(days, stacking)
    names = (*stacking.bands, CLEAR)
    variables: dict[str, Any] = {}
    for number, name in enumerate(names):
        kind: type = np.bool_ if name == CLEAR else np.float32
        rows = [[[_part(block, number, shape, kind) for block, shape in row] for row in of_day] for of_day in blocks]
        variables[name] = (("time", *stacking.grid.dimensions), da.block(rows), {"units": "1"})
    return placed(variables, days, stacking.grid)


def placed(variables: Mapping[str, Any], days: Sequence[Sequence[Scene]], grid: GeoBox) -> xr.Dataset:
    """Arrays with their days and places.

    Args:
        variables: by name, dimensions (time and those of the grid), array and attributes.
        days: scenes of each day.
        grid: of the arrays.
    """
    moments = np.array([day[0].day.isoformat() for day in days], dtype="datetime64[ns]")
    stacked = xr.Dataset(variables, coords={"time": moments, **xr_coords(grid)})
    renamed: xr.Dataset = stacked.rename(dict(zip(grid.dimensions, ("y", "x"), strict=True)))
    return renamed


def fetch(
    scenes: Sequence[Scene], stacking: Stacking, advance: Callable[[int], object] = int
) -> tuple[list[Scene], list[SceneError]]:
    """Read all of some scenes into the cache, so that what cannot be read is known before anything is computed.

    It may be stopped at any time: what was read is there when it is called again.

    Args:
        scenes: what to read.
        stacking: see there; with a cache.
        advance: called with the number of scenes that were dealt with since the last call.

    Returns:
        The scenes that were read whole; and what is wrong with the others, and with those of which nothing is clear.
    """
    return try_each(scenes, lambda scene: _try_scene(scene, stacking), advance)


def try_each(
    scenes: Sequence[Scene], attempt: Callable[[Scene], SceneError | None], advance: Callable[[int], object] = int
) -> tuple[list[Scene], list[SceneError]]:
    """Try several scenes at a time; those that can be used, and what is wrong; see :func:`fetch`."""
    lazy_attempt = delayed(attempt, pure=False)
    outcomes: list[SceneError | None] = []
    with dask.config.set(num_workers=_AT_ONCE):  # they wait for the network, not for the processor
        for start in range(0, len(scenes), _AT_ONCE):
            some = scenes[start : start + _AT_ONCE]
            outcomes += compute(*(lazy_attempt(scene) for scene in some))
            advance(len(some))
    usable = [outcome is None or isinstance(outcome, CloudedSceneError) for outcome in outcomes]
    good = [scene for scene, use in zip(scenes, usable, strict=True) if use]
    return good, [outcome for outcome in outcomes if outcome is not None]


def by_day(scenes: Iterable[Scene]) -> list[list[Scene]]:
    """The scenes of each day, by day and name."""
    ordered = sorted(scenes, key=lambda scene: (scene.day, scene.id))
    return [list(group) for _, group in groupby(ordered, key=lambda scene: scene.day)]


def tile_at(tiles: GeoboxTiles, place: tuple[int, ...]) -> GeoBox:
    """One of the blocks."""
    tile = tiles[place[0], place[1]]
    assert isinstance(tile, GeoBox)  # a part of a regular grid is one
    return tile


_LazyBlock = tuple[Any, tuple[int, int]]


def _lazy_blocks(days: list[list[Scene]], stacking: Stacking) -> list[list[list[_LazyBlock]]]:
    """By day, row and column of blocks: what reads the block, and the block's shape."""
    tiles = stacking.tiles
    rows, columns = tiles.shape.yx
    read = delayed(_read_day, pure=True)
    return [
        [
            [(read(tuple(day), tiles[row, column], stacking), tiles[row, column].shape.yx) for column in range(columns)]
            for row in range(rows)
        ]
        for day in days
    ]


def _part(block: Any, number: int, shape: tuple[int, int], kind: type) -> da.Array:
    lazy: da.Array = da.from_delayed(block[number], shape=shape, dtype=kind)[None]
    return lazy


def _read_day(scenes: Sequence[Scene], grid: GeoBox, stacking: Stacking) -> list[NDArray[Any]]:
    """The bands and the mask of one day; of tiles that overlap, the first that was clear, else the first with data."""
    merged = _read_scene(scenes[0], grid, stacking)
    for scene in scenes[1:]:
        other = _read_scene(scene, grid, stacking)
        better = (other[-1] & ~merged[-1]) | (np.isnan(merged[0]) & ~np.isnan(other[0]))
        for mine, theirs in zip(merged, other, strict=True):
            mine[better] = theirs[better]
    return merged


def _try_scene(scene: Scene, stacking: Stacking) -> SceneError | None:
    """Read all blocks of a scene; what is wrong with it, as a value that also comes back from another machine."""
    tiles = stacking.tiles
    seen = clear = False
    try:
        for place in np.ndindex(*tiles.shape.yx):
            layers = _read_scene(scene, tile_at(tiles, place), stacking)
            seen |= not np.isnan(layers[0]).all()
            clear |= bool(layers[-1].any())
    except SceneError as error:
        return error
    if not seen:
        return SceneError(f"scene {scene.id} has no data here; its footprint reaches further than its pixels")
    return None if clear else CloudedSceneError(f"scene {scene.id} has no clear pixel here; only its date is used")


def _read_scene(scene: Scene, grid: GeoBox, stacking: Stacking) -> list[NDArray[Any]]:
    quality = read_layer(scene, stacking.quality, grid, stacking.cache)
    clear = clear_of_scl(quality) if stacking.quality == "SCL" else clear_of_qa60(quality)
    bands = []
    for band in stacking.bands:
        reflectance = to_reflectance(read_layer(scene, band, grid, stacking.cache), scene.offset)
        if scene.offset and band == _DARKEST:
            check_offset(scene.id, band, reflectance, clear)
        bands.append(reflectance)
    clear &= ~np.isnan(bands[0])
    return [*bands, clear]
