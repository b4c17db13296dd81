"""Predicted yields for the orchard and its sampling areas, from a table (CSV or JSON) or from a season file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError
from calibration.units import yield_to_kg_per_ha
from device.errors import InputError, unreadable
from device.names import clean_name
from device.prediction_told import NOTHING_TOLD, Told
from device.season_cells import SCHEMA
from device.season_file import parse_season_file

Place = tuple[float | None, float | None]
# by name, values where sampled trees stand, and values of the orchard
Features = tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]
ORCHARD, SAMPLING_AREA = "orchard", "sampling_area"


class Predictions(Protocol):
    """Where an estimate gets its predicted yields from."""

    @property
    def source(self) -> str:
        """Where they come from."""
        ...

    def orchard_kg_per_ha(self) -> float:
        """Predicted yield of the orchard."""
        ...

    def at_trees_kg_per_ha(self, block: str, trees: Mapping[str, Place]) -> NDArray[np.float64]:
        """Predicted yield where each tree of a sampling area stands; their mean is that of the area.

        Args:
            block: name of its block.
            trees: latitude and longitude of each sampled tree by its code, None where unknown.
        """
        ...

    def features(self, block: str, trees: Mapping[str, Place]) -> Features:
        """What the satellite sees of a sampling area and of the orchard."""
        ...

    def told(self, block: str, trees: Mapping[str, Place]) -> Told:
        """What the predictions of the orchard and of this sampling area say of themselves."""
        ...


@dataclass(frozen=True)
class TablePredictions:
    """Predictions by name of the area, in kg/ha.

    Attributes:
        source: where they come from.
        values: kg/ha by ``orchard``, ``sampling_area`` or the name of a block.
    """

    source: str
    values: dict[str, float]

    def orchard_kg_per_ha(self) -> float:
        """See :class:`Predictions`.

        Raises:
            InputError: the table has no line for the orchard.
        """
        return self._value(ORCHARD)

    def at_trees_kg_per_ha(self, block: str, trees: Mapping[str, Place]) -> NDArray[np.float64]:
        """See :class:`Predictions`; a line of the block's own name goes before ``sampling_area``.

        Raises:
            InputError: the table has neither.
        """
        # a table names areas, it does not place trees
        return np.full(len(trees), self._value(block if block in self.values else SAMPLING_AREA))

    def features(self, block: str, trees: Mapping[str, Place]) -> Features:
        """See :class:`Predictions`; a table has none."""
        del block, trees
        return {}, {}

    def told(self, block: str, trees: Mapping[str, Place]) -> Told:
        """See :class:`Predictions`; a table tells nothing."""
        del block, trees
        return NOTHING_TOLD

    def _value(self, area: str) -> float:
        if area not in self.values:
            raise InputError(
                f"{self.source} predicts nothing for {area!r}; it has {', '.join(self.values)}. Add a line for {area!r}"
            )
        return self.values[area]


def read_predictions(path: Path, trees_per_ha: float | None = None) -> Predictions:
    """Read predicted yields; which kind of file it is follows from its content.

    Args:
        path: a CSV with the columns ``area``, ``predicted_yield``, ``unit``; a JSON object of such entries by area; or
            a season file.
        trees_per_ha: planting density, needed where the unit is kg/tree.

    Raises:
        InputError: the file cannot be read, or a value or unit is missing or wrong; names the entry.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(f"predictions {path}", error) from error
    if path.suffix.lower() == ".csv":
        return _table(path, _csv_entries(path, text), trees_per_ha)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"predictions {path} are neither CSV (by name) nor JSON: {error}") from error
    if isinstance(content, dict) and "schema" in content:
        return parse_season_file(content, str(path), trees_per_ha)
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise InputError(
            f'{path} is no predictions file; expected {{"orchard": {{"predicted_yield": 1300, "unit": "kg/mu"}}, …}} '
            f"or a season file of schema {SCHEMA}"
        )
    return _table(path, content, trees_per_ha)


def _csv_entries(path: Path, text: str) -> dict[str, dict[str, Any]]:
    reader = csv.DictReader(text.splitlines())
    try:
        missing = [name for name in ("area", "predicted_yield", "unit") if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path} lacks the column {', '.join(missing)}; expected area,predicted_yield,unit")
        return {(row["area"] or "").strip(): _whole(path, row) for row in reader}
    except csv.Error as error:
        raise unreadable(f"predictions {path}", error) from error


def _whole(path: Path, row: dict[str | Any, Any]) -> dict[str, Any]:
    """The row, which a number with commas would have pushed out of its columns."""
    if row.pop(None, None) is not None:
        raise InputError(
            f"{path}: the line of {row['area']!r} has more values than columns; write numbers without thousands "
            "separators, with a point before decimals"
        )
    return row


def _table(path: Path, entries: dict[str, dict[str, Any]], trees_per_ha: float | None) -> TablePredictions:
    values = {}
    for area, entry in entries.items():
        unit = str(entry.get("unit") or "").strip()
        if not unit:
            raise InputError(f"{path}: the prediction for {area!r} has no unit; add one, such as kg/mu or t/ha")
        try:
            value = float(entry.get("predicted_yield"))  # type: ignore[arg-type]  # anything may stand there
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value) or value <= 0:
            told = entry.get("predicted_yield")
            hint = ": write it without thousands separators, with a point before decimals" if "," in str(told) else ""
            raise InputError(f"{path}: predicted_yield of {area!r} is {told!r}; it must be a number above 0{hint}")
        try:
            values[clean_name(area)] = yield_to_kg_per_ha(value, unit, trees_per_ha)
        except CalibrationError as error:
            raise InputError(f"{path}: {area!r}: {error}") from error
    return TablePredictions(str(path), values)
