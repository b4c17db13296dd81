"""The season file: a small grid over the orchard, so that any sampling area chosen on site can be predicted offline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError
from calibration.units import yield_to_kg_per_ha
from device.errors import InputError
from device.prediction_told import NOTHING_TOLD, Told
from device.season_cells import check_schema, has_series
from device.season_grid import SeasonGrid, parse_grid

YIELD = "predicted_yield"


@dataclass(frozen=True)
class SeasonFile:
    """Predicted yield in grid cells.

    Attributes:
        grid: which cell a place lies in.
        kg_per_ha: (rows, columns) predicted yield, first row north; NaN where there is none.
        others: the other variables that have one figure a cell, (rows, columns) each.
    """

    grid: SeasonGrid
    kg_per_ha: NDArray[np.float64]
    others: dict[str, NDArray[np.float64]]

    @property
    def source(self) -> str:
        """The file and the season."""
        return self.grid.source

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
        values = self.kg_per_ha[self.grid.cells(block, trees)]
        if np.isnan(values).any():
            raise InputError(f"{self.source} has no prediction where some trees of block {block} stand; fetch it again")
        return values

    def features(
        self, block: str, trees: Mapping[str, tuple[float | None, float | None]]
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """By name of the variable, its value in the cell of each sampled tree, and in all cells of the orchard."""
        orchard = {"predicted yield": self.kg_per_ha, **self.others}
        cells = self.grid.cells(block, trees)
        known = np.isfinite(self.kg_per_ha)
        return (
            {name: grid[cells] for name, grid in orchard.items()},
            {name: grid[known] for name, grid in orchard.items()},
        )

    def told(self, block: str, trees: Mapping[str, tuple[float | None, float | None]]) -> Told:
        """Nothing: whoever made the file knows how."""
        del block, trees
        return NOTHING_TOLD


def parse_season_file(content: dict[str, Any], name: str, trees_per_ha: float | None = None) -> SeasonFile:
    """Check a season file.

    Args:
        content: the parsed JSON.
        name: the file, for messages.
        trees_per_ha: planting density, needed where the unit is kg/tree.

    Raises:
        InputError: another schema, a field that is missing or wrong, or a variable without unit.
    """
    check_schema(content, name)
    variables = content.get("variables")
    if not isinstance(variables, dict) or YIELD not in variables:
        if has_series(content):
            raise InputError(
                f"season file {name} tells what the satellite saw and has no variable {YIELD!r}: its yields are not "
                "predicted yet; give predictions as a table"
            )
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
        grid=parse_grid(content, name, (values.shape[0], values.shape[1])),
        kg_per_ha=values * factor,
        others={
            variable: grid
            for variable, entry in variables.items()
            if variable != YIELD and (grid := _one_figure_a_cell(entry.get("values"), values.shape)) is not None
        },
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
