"""Sentinel-1: terrain-corrected backscatter of scenes on a grid, in power."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox, GeoboxTiles

from models.earth.cache import BlockCache
from models.earth.errors import EarthInputError, SceneError
from models.earth.reading import read_layer
from models.earth.scenes import Scene
from models.earth.stack import CHUNK_PX, by_day, placed, tile_at, try_each

POLARISATIONS = ("VV", "VH")
# power of land is between about -35 and +5 dB; digital numbers of uncalibrated products are in the hundreds
_MOST_POWER = 100.0


@dataclass(frozen=True)
class RadarStacking:
    """How scenes of Sentinel-1 are put on a grid.

    Attributes:
        grid: where to.
        polarisations: in the order wanted.
        chunk_px: side of the blocks that are read and worked on at a time.
        cache: what was read is kept there.
    """

    grid: GeoBox
    polarisations: tuple[str, ...] = POLARISATIONS
    chunk_px: int = CHUNK_PX
    cache: BlockCache | None = None

    @property
    def tiles(self) -> GeoboxTiles:
        """The blocks."""
        return GeoboxTiles(self.grid, (self.chunk_px, self.chunk_px))


def fetch_backscatter(
    scenes: Sequence[Scene], stacking: RadarStacking, advance: Callable[[int], object] = int
) -> tuple[list[Scene], list[SceneError]]:
    """Read all of some scenes, as :func:`models.earth.stack.fetch` does."""
    return try_each(scenes, lambda scene: _try_scene(scene, stacking), advance)


def _try_scene(scene: Scene, stacking: RadarStacking) -> SceneError | None:
    tiles = stacking.tiles
    seen = False
    try:
        for place in np.ndindex(*tiles.shape.yx):
            for name in stacking.polarisations:
                power = _read_day([scene], name, tile_at(tiles, place), stacking.cache)
                seen |= bool(np.isfinite(power).any())
    except SceneError as error:
        return error
    return None if seen else SceneError(f"scene {scene.id} has no data here; its footprint reaches further")


def stack_backscatter(scenes: Iterable[Scene], stacking: RadarStacking) -> xr.Dataset:
    """Backscatter of scenes as power, those of one day as one; speckle filters work on power.

    Args:
        scenes: see :func:`models.earth.scenes.sentinel1_scene`; gamma nought or sigma nought, not in dB.
        stacking: see there.

    Returns:
        Lazy: each polarisation by (time, y, x) as float32, NaN where there is no data. Computing it raises SceneError
        where a scene cannot be read or holds no power.

    Raises:
        EarthInputError: there is no scene.
    """
    days = by_day(scenes)
    if not days:
        raise EarthInputError("there is no scene to read; widen the dates")
    tiles = stacking.tiles
    rows, columns = tiles.shape.yx
    read = delayed(_read_day, pure=True)
    variables: dict[str, Any] = {}
    for name in stacking.polarisations:
        blocks = [
            [
                [
                    da.from_delayed(
                        read(tuple(day), name, tiles[row, column], stacking.cache),
                        shape=tiles[row, column].shape.yx,
                        dtype=np.float32,
                    )[None]
                    for column in range(columns)
                ]
                for row in range(rows)
            ]
            for day in days
        ]
        variables[name] = (("time", *stacking.grid.dimensions), da.block(blocks), {"units": "1"})
    return placed(variables, days, stacking.grid)


def _read_day(
    scenes: Sequence[Scene], polarisation: str, grid: GeoBox, cache: BlockCache | None
) -> NDArray[np.float32]:
    """Power of one day; of scenes that overlap, the first with data."""
    merged = np.full(grid.shape.yx, np.nan, dtype=np.float32)
    for scene in scenes:
        power = read_layer(scene, polarisation, grid, cache)
        known = power[np.isfinite(power)]
        if power.dtype.kind != "f" or (known.size and (np.median(known) > _MOST_POWER or np.median(known) < 0)):
            raise SceneError(
                f"scene {scene.id}: {polarisation} holds {'digital numbers' if power.dtype.kind != 'f' else 'dB'}, not "
                "power; take calibrated, terrain-corrected backscatter in linear power (a sentinel-1-rtc collection)"
            )
        empty = np.isnan(merged)
        merged[empty] = power[empty]
    return merged
