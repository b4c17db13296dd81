"""The season file: a small grid over the orchard, so that any sampling area chosen on site can be predicted offline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError
from calibration.units import yield_to_kg_per_ha
from device.errors import InputError

SCHEMA = "pomona-season/1"
YIELD = "predicted_yield"


@dataclass(frozen=True)
class SeasonFile:
    """Predicted yield in grid cells.

    Attributes:
        source: the file and the season.
        north: latitude of the grid's upper edge.
        west: longitude of its left edge.
        cell_height_deg: height of a cell in degrees of latitude.
        cell_width_deg: width of a cell in degrees of longitude.
        kg_per_ha: (rows, columns) predicted yield, first row north; NaN where there is none.
        others: the other variables that have one figure a cell, (rows, columns) each.
    """

    source: str
    north: float
    west: float
    cell_height_deg: float
    cell_width_deg: float
    kg_per_ha: NDArray[np.float64]
    others: dict[str, NDArray[np.float64]]

    def orchard_kg_per_ha(self) -> float:
        """Mean over all cells that have a prediction."""
        return float(np.nanmean(self.kg_per_ha))

    def at_trees_kg_per_ha(
        self, block: str, trees: Mapping[str, tuple[float | None, float | None]]
    ) -> NDArray[np.float64]:
        """Prediction of the cell each sampled tree stands in.

        Args:
            block: name of the block, for messages.
            trees: latitude and longitude of each sampled tree by its code.

        Raises:
            InputError: a tree without a place, outside the grid, or in a cell without a prediction.
        """
        values = self.kg_per_ha[self._cells(block, trees)]
        if np.isnan(values).any():
            raise InputError(f"{self.source} has no prediction where some trees of block {block} stand; fetch it again")
        return values

    def features(
        self, block: str, trees: Mapping[str, tuple[float | None, float | None]]
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """By name of the variable, its value in the cell of each sampled tree, and in all cells of the orchard."""
        orchard = {"predicted yield": self.kg_per_ha, **self.others}
        cells = self._cells(block, trees)
        known = np.isfinite(self.kg_per_ha)
        return (
            {name: grid[cells] for name, grid in orchard.items()},
            {name: grid[known] for name, grid in orchard.items()},
        )

    def _cells(
        self, block: str, trees: Mapping[str, tuple[float | None, float | None]]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        cells = []
        for tree, (latitude, longitude) in trees.items():
            if latitude is None or longitude is None:
                raise InputError(
                    f"tree {tree} of block {block} has no place, so its cell in {self.source} is unknown; "
                    "photograph with GPS on, or give predictions as a table"
                )
            row = math.floor((self.north - latitude) / self.cell_height_deg)
            column = math.floor((longitude - self.west) / self.cell_width_deg)
            rows, columns = self.kg_per_ha.shape
            if not (0 <= row < rows and 0 <= column < columns):
                raise InputError(
                    f"tree {tree} of block {block} at {latitude:.5f}, {longitude:.5f} lies outside the grid "
                    f"of {self.source}; fetch the season file of this orchard"
                )
            cells.append((row, column))
        indices = np.array(cells, dtype=np.intp).reshape(-1, 2)
        return indices[:, 0], indices[:, 1]


def parse_season_file(content: dict[str, Any], name: str, trees_per_ha: float | None = None) -> SeasonFile:
    """Check a season file.

    Args:
        content: the parsed JSON.
        name: the file, for messages.
        trees_per_ha: planting density, needed where the unit is kg/tree.

    Raises:
        InputError: another schema, a field that is missing or wrong, or a variable without unit.
    """
    if content.get("schema") != SCHEMA:
        raise InputError(
            f"season file {name} is of schema {content.get('schema')!r} and this Pomona reads {SCHEMA!r}; "
            "upgrade Pomona, or fetch the file again from the server"
        )
    grid = content.get("grid")
    places = {}
    for field in ("north", "west", "cell_height_deg", "cell_width_deg"):
        value = grid.get(field) if isinstance(grid, dict) else None
        if not isinstance(value, int | float) or not math.isfinite(value) or (field.startswith("cell") and value <= 0):
            raise InputError(
                f"season file {name}: grid.{field} is {value!r}, no number of degrees; fetch it again from the server"
            )
        places[field] = float(value)
    variables = content.get("variables")
    if not isinstance(variables, dict) or YIELD not in variables:
        raise InputError(f"season file {name} has no variable {YIELD!r}; fetch it again from the server")
    for variable, entry in variables.items():
        if not isinstance(entry, dict) or not entry.get("unit"):
            raise InputError(
                f"season file {name}: variable {variable!r} has no unit, and a number without one is not used; "
                "fetch it again from the server"
            )
    values = _grid_values(variables[YIELD].get("values"), name)
    try:
        factor = yield_to_kg_per_ha(1.0, str(variables[YIELD]["unit"]), trees_per_ha)
    except CalibrationError as error:
        raise InputError(f"season file {name}: variable {YIELD!r}: {error}") from error
    return SeasonFile(
        source=f"{name}, season {content.get('season', 'unknown')}",
        kg_per_ha=values * factor,
        others={
            variable: grid
            for variable, entry in variables.items()
            if variable != YIELD and (grid := _one_figure_a_cell(entry.get("values"), values.shape)) is not None
        },
        **places,
    )


def _one_figure_a_cell(rows: object, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """A variable of the grid's shape; None where it is something else, such as a series."""
    try:
        values = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return values if values.shape == shape and np.isfinite(values).any() else None


def _grid_values(rows: object, name: str) -> NDArray[np.float64]:
    try:
        values = np.array(rows, dtype=np.float64)  # null becomes NaN
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 2 or not values.size:
        raise InputError(f"season file {name}: {YIELD}.values is no table of numbers with rows of one length")
    if np.isnan(values).all() or np.isinf(values).any() or (values <= 0).any():
        raise InputError(f"season file {name}: {YIELD}.values must be above 0, or null where there is no prediction")
    return values
