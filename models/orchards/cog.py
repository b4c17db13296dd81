"""The finished orchard map, and its areas counted while its tiles are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rasterio.windows import Window

from models.maps.cog import Layers, join_tiles
from models.maps.rasters import Grid
from models.maps.surface import row_areas_m2
from models.maps.tiles import Tile, TileStore
from models.orchards.tiles import ORCHARD, OTHER, OUTSIDE, UNKNOWN

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
    areas_m2 = dict.fromkeys((ORCHARD, OTHER, OUTSIDE, UNKNOWN), 0.0)

    def count(window: Window, tile: Tile) -> None:
        pixel_m2 = row_areas_m2(grid, window)
        for kind in areas_m2:
            areas_m2[kind] += float((tile[0] == kind).sum(1) @ pixel_m2)

    # a class has no average, and the confidence shown has to be that of the class shown
    join_tiles(path, grid, tiles, windows, Layers(_BANDS, "uint8", UNKNOWN, tags, overviews="nearest"), count)
    return MappedAreas(areas_m2[ORCHARD], areas_m2[OTHER], areas_m2[OUTSIDE], areas_m2[UNKNOWN])
