"""The grid of a season file: which cell a place lies in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.errors import InputError

Place = tuple[float | None, float | None]
Cells = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class SeasonGrid:
    """Cells in rows from north to south, each from west to east.

    Attributes:
        source: the file and the season, for messages.
        north: latitude of the upper edge.
        west: longitude of the left edge.
        cell_height_deg: height of a cell in degrees of latitude.
        cell_width_deg: width of a cell in degrees of longitude.
        rows: number of rows.
        columns: number of columns.
    """

    source: str
    north: float
    west: float
    cell_height_deg: float
    cell_width_deg: float
    rows: int
    columns: int

    def cells(self, block: str, trees: Mapping[str, Place]) -> Cells:
        """Rows and columns of the cells in which trees stand.

        Args:
            block: name of the block, for messages.
            trees: latitude and longitude of each tree by its code.

        Raises:
            InputError: a tree without a place or outside the grid.
        """
        cells = []
        for tree, (latitude, longitude) in trees.items():
            if latitude is None or longitude is None:
                raise InputError(
                    f"tree {tree} of block {block} has no place, so its cell in {self.source} is unknown; "
                    "photograph with GPS on, or give predictions as a table"
                )
            row = math.floor((self.north - latitude) / self.cell_height_deg)
            column = math.floor((longitude - self.west) / self.cell_width_deg)
            if not (0 <= row < self.rows and 0 <= column < self.columns):
                raise InputError(
                    f"tree {tree} of block {block} at {latitude:.5f}, {longitude:.5f} lies outside the grid "
                    f"of {self.source}; fetch the season file of this orchard"
                )
            cells.append((row, column))
        indices = np.array(cells, dtype=np.intp).reshape(-1, 2)
        return indices[:, 0], indices[:, 1]

    def cells_inside(self, polygon: NDArray[np.float64]) -> Cells:
        """Rows and columns of the cells whose middle lies in a polygon.

        Args:
            polygon: (corners, 2) latitude and longitude of its corners, in order.
        """
        latitude = (self.north - (np.arange(self.rows) + 0.5) * self.cell_height_deg)[:, None]
        longitude = self.west + (np.arange(self.columns) + 0.5) * self.cell_width_deg
        inside = np.zeros((self.rows, self.columns), dtype=np.bool_)
        for (lat_a, lon_a), (lat_b, lon_b) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if lat_a != lat_b:  # a ray to the west crosses no edge that runs its way
                crossing = lon_a + (latitude - lat_a) / (lat_b - lat_a) * (lon_b - lon_a)
                inside ^= ((lat_a > latitude) != (lat_b > latitude)) & (longitude > crossing)
        rows, columns = np.nonzero(inside)
        return rows, columns


def parse_grid(content: Mapping[str, Any], name: str, shape: tuple[int, int]) -> SeasonGrid:
    """Check the grid of a season file.

    Args:
        content: the parsed JSON.
        name: the file, for messages.
        shape: its rows and columns.

    Raises:
        InputError: a field is missing or no number of degrees.
    """
    grid = content.get("grid")
    places = {}
    for field in ("north", "west", "cell_height_deg", "cell_width_deg"):
        value = grid.get(field) if isinstance(grid, dict) else None
        if not isinstance(value, int | float) or not math.isfinite(value) or (field.startswith("cell") and value <= 0):
            raise InputError(
                f"season file {name}: grid.{field} is {value!r}, no number of degrees; fetch it again from the server"
            )
        places[field] = float(value)
    source = f"{name}, season {content.get('season') or 'unknown'}"
    return SeasonGrid(source=source, rows=shape[0], columns=shape[1], **places)
