"""A season file, a yield bundle and an orchard that fit each other, small enough to make in a test."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.orchard_places import OrchardPlace
from device.orchards import Block
from device.store import Store
from export.runtime.bundle import YieldBundle
from export.runtime.counter import Counter
from models.yields.table import Feature, YieldTable
from tests.device.visiting import DAY, bring_in, photograph
from tests.drawing import exif
from tests.export.fitted_models import drawn_bundle
from tests.models.yields.tables import drawn_table

FEATURES = (
    Feature("B04", "spectral"),
    Feature("B08", "spectral"),
    Feature("Rainf_f_tavg", "environmental", "mm"),
    Feature("NDVI", "index"),
)
GANSU = OrchardPlace("Gansu", "county 2", 1200.0)
YEAR = DAY.year
ROWS, COLUMNS = 3, 4
NORTH, WEST, HIGH, WIDE = 34.6, 105.7, 0.0001, 0.0002
_STEP = 0.001


def gansu_table() -> YieldTable:
    """The drawn table under names that season files have."""
    return replace(drawn_table(), features=FEATURES, region="Gansu")


def gansu_bundle(folder: Path, *last_months: int) -> YieldBundle:
    """A ridge regression of it, for whole seasons and those that end in these months."""
    return drawn_bundle(folder, "Ridge", *last_months, table=gansu_table())


def days_of(months: Sequence[int], year: int = YEAR) -> list[str]:
    """Two days with pictures in each month."""
    return [f"{year}-{month:02}-{day:02}" for month in months for day in (6, 24)]


def season_file(
    months: Sequence[int] = (4, 5, 6, 7, 8), rain: float = 50.0, days: Sequence[str] | None = None, **changes: Any
) -> dict[str, Any]:
    """Greener from west to east, the same in each month; every cell always clear."""
    days = days_of(months) if days is None else days
    east = np.broadcast_to(np.arange(COLUMNS) / 10, (len(months), ROWS, COLUMNS))
    flags = _packed(np.packbits(np.ones((len(days), ROWS, COLUMNS), np.uint8)).tobytes())
    content = {
        "schema": "pomona-season/1",
        "season": YEAR,
        "grid": {"north": NORTH, "west": WEST, "cell_height_deg": HIGH, "cell_width_deg": WIDE}
        | {"rows": ROWS, "columns": COLUMNS},
        "months": list(months),
        "variables": {
            "B04": _series(0.1 - east),
            "B08": _series(0.2 + east),
            "NDVI": _series(0.5 + east),
            "Rainf_f_tavg": {"unit": "mm", "values": [rain] * len(months)},
        },
        "orchard_cells": _packed(np.packbits(np.ones((ROWS, COLUMNS), np.uint8)).tobytes()),
        "acquisitions": [{"day": day} for day in days],
        "clear": flags,
    }
    return content | changes


def unseen(content: dict[str, Any], month: int) -> dict[str, Any]:
    """The file with a month in which no cell was clear."""
    steps = np.full((len(content["months"]), ROWS, COLUMNS), 500, np.int64)
    steps[content["months"].index(month)] = np.iinfo(np.int16).min
    return content | {"variables": content["variables"] | {"NDVI": _packed_steps(steps)}}


def write_season(path: Path, content: dict[str, Any]) -> Path:
    """Write a season file."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def photograph_west(store: Store, counter: Counter, block: Block, folder: Path) -> None:
    """Four trees in the two western columns, five apples each, photographed with a place."""
    places = [(NORTH - (n % ROWS + 0.5) * HIGH, WEST + (n % 2 + 0.5) * WIDE) for n in range(4)]
    photos = [photograph(folder, f"T{n}", 5, said=exif(place=place)) for n, place in enumerate(places)]
    bring_in(store, counter, block, *photos)


def _series(values: NDArray[np.float64]) -> dict[str, Any]:
    return _packed_steps(np.rint(values / _STEP).astype(np.int64))


def _packed_steps(steps: NDArray[np.int64]) -> dict[str, Any]:
    wrapped = np.diff(steps, axis=-1, prepend=0) % 65536
    differences = wrapped.astype(np.uint16).reshape(-1)
    low, high = (differences & 255).astype(np.uint8), (differences >> 8).astype(np.uint8)
    return {"unit": "1", "step": _STEP, "packed": _packed(low.tobytes() + high.tobytes())}


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()
