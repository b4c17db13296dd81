"""Tiles of a map: windows of its grid, each made alone and kept as a file of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray
from rasterio.windows import Window

from models.maps.rasters import Grid

BLOCK_PX = 256
# layers, rows and columns of any kind of number
Tile = NDArray[Any]


class TileJob(Protocol):
    """What it takes to make any tile; it can be sent to a worker that sees the same files."""

    def make(self, window: Window, threads: int = 1) -> Tile:
        """Make the tile of a window, the same whatever other tiles there are."""
        ...


def windows(grid: Grid, side: int) -> Iterator[Window]:
    """Windows that cover a grid, row by row."""
    for row in range(0, grid.height, side):
        for column in range(0, grid.width, side):
            yield Window(column, row, min(side, grid.width - column), min(side, grid.height - row))


@dataclass(frozen=True)
class TileStore:
    """Finished tiles in a folder; a tile is there whole or not at all.

    Attributes:
        folder: of the tiles of one map.
        layers: of each tile.
        dtype: of each tile.
    """

    folder: Path
    layers: int = 2
    dtype: DTypeLike = np.uint8

    def _path(self, window: Window) -> Path:
        at = f"{int(window.row_off)}-{int(window.col_off)}-{int(window.height)}-{int(window.width)}"
        return self.folder / f"{at}.npy"

    def read(self, window: Window) -> Tile | None:
        """A finished tile, or None."""
        try:
            tile: Tile = np.load(self._path(window), allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):
            return None
        shape = self.layers, int(window.height), int(window.width)
        return tile if tile.shape == shape and tile.dtype == np.dtype(self.dtype) else None

    def write(self, window: Window, tile: Tile) -> None:
        """Keep a finished tile, safe against being stopped at any moment."""
        partial = self._path(window).with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, tile, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path(window))
