"""The season file of a virtual orchard: a simulated county's months, and cells that differ a little."""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.season_cells import SCHEMA
from device.virtual_orchard.settings import OrchardSettings

_FILE = Path(__file__).with_name("season.json")
_BANDS = ("B02", "B04", "B08", "B11", "B12")
_CELL_M, _METRES_PER_DEGREE = 10.0, 111_320.0
_MARGIN = 2  # cells round the block
_STEP = {"NDVI": 0.001, "EVI": 0.001}
_BAND_STEP = 0.0005
_SPREAD = 0.03  # between cells, as a share
_DAYS = (5, 15, 25)  # of each month, on which the satellite passed


@dataclass(frozen=True)
class County:
    """The county that a virtual orchard is in.

    Attributes:
        region: as yield models name it.
        name: likewise.
        area_ha: planted in it.
    """

    region: str
    name: str
    area_ha: float


def county() -> County:
    """The county of every virtual orchard; it does not exist."""
    told = _season()
    return County(told["region"], told["county"], told["county_area_ha"])


def season_document(settings: OrchardSettings, orchard: str) -> bytes:
    """What a satellite would have seen of the block, as a season file.

    Args:
        settings: of the orchard; the same give the same file.
        orchard: its name.
    """
    told = _season()
    months, variables = told["months"], told["variables"]
    height, width = _CELL_M / _METRES_PER_DEGREE, _CELL_M / _metres_east(settings)
    inside = np.ones(
        (
            math.ceil(settings.rows * settings.row_spacing_m / _CELL_M),
            math.ceil(settings.trees_per_row * settings.tree_spacing_m / _CELL_M),
        ),
        dtype=np.bool_,
    )
    orchard_cells = np.pad(inside, _MARGIN)
    series = _series(settings, variables, orchard_cells.shape)
    days = [date(told["year"], month, day) for month in months for day in _DAYS]
    packed = {name: _packed(values, _STEP.get(name, _BAND_STEP)) for name, values in series.items()}
    weather = {name: entry for name, entry in variables.items() if name not in series}
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "season": told["year"],
        "orchard": orchard,
        "grid": {
            # the first tree stands in the middle of the block's first cell
            "north": settings.latitude + (_MARGIN + 0.5) * height,
            "west": settings.longitude - (_MARGIN + 0.5) * width,
            "cell_height_deg": height,
            "cell_width_deg": width,
            "rows": orchard_cells.shape[0],
            "columns": orchard_cells.shape[1],
        },
        "months": months,
        "variables": {**packed, **weather},
        "orchard_cells": _bits(orchard_cells),
        "acquisitions": [{"day": str(day), "scenes": [f"virtual {day}"], "clear_share": 1.0} for day in days],
        "clear": _bits(np.ones((len(days), *orchard_cells.shape), dtype=np.bool_)),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@lru_cache(maxsize=1)
def _season() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return told


def _series(
    settings: OrchardSettings, variables: dict[str, Any], shape: tuple[int, ...]
) -> dict[str, NDArray[np.float64]]:
    """Bands of each cell, and their indices, by (months, rows, columns)."""
    random = np.random.default_rng((settings.seed, len(variables)))
    own = 1 + _SPREAD * random.standard_normal(shape)
    bands = {name: np.array(variables[name]["values"])[:, None, None] * own for name in _BANDS}
    # leaves take red light and throw infrared back: what is greener is darker in one and brighter in the other
    bands["B08"] = np.array(variables["B08"]["values"])[:, None, None] * (2 - own)
    blue, red, near = bands["B02"], bands["B04"], bands["B08"]
    indices = {
        "NDVI": (near - red) / (near + red),
        "EVI": 2.5 * (near - red) / (near + 6 * red - 7.5 * blue + 1),
    }
    return {**bands, **indices}


def _metres_east(settings: OrchardSettings) -> float:
    return _METRES_PER_DEGREE * math.cos(math.radians(settings.latitude))


def _packed(values: NDArray[np.float64], step: float) -> dict[str, Any]:
    """Numbers as docs/reference/predictions.md packs them."""
    steps = np.rint(values / step).astype(np.int16)
    differences = np.diff(steps.view(np.uint16), axis=-1, prepend=np.uint16(0)).astype("<u2")
    planes = differences.reshape(-1, 1).view(np.uint8).T
    return {"unit": "1", "step": step, "packed": base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()}


def _bits(flags: NDArray[np.bool_]) -> str:
    return base64.b64encode(zlib.compress(np.packbits(flags).tobytes(), 9)).decode()
