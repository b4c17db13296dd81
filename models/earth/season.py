"""The season file of an orchard: what a device needs to know of a season's satellite scenes and weather, offline.

The format is written down in docs/reference/predictions.md; ``device/season_cells.py`` reads it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from models.earth.composites import CLEAR, median_composites
from models.earth.errors import MissingMonthError
from models.earth.indices import indices
from models.earth.periods import Period
from models.earth.variables import BANDS, INDICES, VARIABLES

SCHEMA = "pomona-season/1"
MARGIN_M = 50.0
# finer than the satellite measures: 0.0005 of reflectance, 0.001 of an index
_STEPS = dict.fromkeys(BANDS, 0.0005) | dict.fromkeys(INDICES, 0.001)
_MISSING = np.iinfo(np.int16).min
# a month that was seen in less than half of the orchard does not speak for it
LEAST_SEEN = 0.5


@dataclass(frozen=True)
class SeasonRequest:
    """What a season file is made of.

    Attributes:
        orchard: its name.
        year: of the harvest.
        months: what it holds, calendar months in order.
        grid: cells, in degrees.
        inside: (rows, columns) which of them are the orchard's.
    """

    orchard: str
    year: int
    months: Sequence[Period]
    grid: GeoBox
    inside: NDArray[np.bool_]


def season_document(
    request: SeasonRequest, scenes: xr.Dataset, scene_ids: Sequence[Sequence[str]], weather: NDArray[np.float64]
) -> bytes:
    """A season file.

    Args:
        request: see there.
        scenes: the bands of :data:`BANDS` and ``clear`` by (time, y, x), on the request's grid.
        scene_ids: by time, the scenes' names.
        weather: (months, 11) see :data:`models.earth.variables.VARIABLES`.

    Returns:
        JSON.

    Raises:
        MissingMonthError: in one of the months less than half of the orchard was clear; names the month, says what was
            there and what to do.
    """
    scenes = scenes.compute()
    composites = median_composites(scenes, request.months)
    _check_months(request, scenes, composites)
    series = {name: composites[name].values for name in BANDS} | _indices(composites)
    affine = request.grid.transform
    touched = np.flatnonzero(~np.isnan(scenes[BANDS[0]].values).all(axis=(1, 2)))
    clear = scenes[CLEAR].values[touched]
    days = [str(moment)[:10] for moment in scenes["time"].values[touched]]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "season": request.year,
        "orchard": request.orchard,
        "grid": {
            "north": affine.f,
            "west": affine.c,
            "cell_height_deg": -affine.e,
            "cell_width_deg": affine.a,
            "rows": request.grid.shape.y,
            "columns": request.grid.shape.x,
        },
        "months": [month.first.month for month in request.months],
        "variables": {
            **{name: _packed(values, _STEPS[name]) for name, values in series.items()},
            **{
                variable.name: {"unit": variable.unit, "values": [float(f"{value:.6g}") for value in of_months]}
                for variable, of_months in zip(VARIABLES, weather.T, strict=True)
            },
        },
        "orchard_cells": pack_bits(request.inside),
        "acquisitions": [
            {"day": day, "scenes": list(names), "clear_share": round(float(seen[request.inside].mean()), 3)}
            for day, names, seen in zip(days, [scene_ids[place] for place in touched.tolist()], clear, strict=True)
        ],
        "clear": pack_bits(clear),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _packed(values: NDArray[np.float32], step: float) -> dict[str, object]:
    return {"unit": "1", "step": step, "packed": pack_series(values, step)}


def pack_series(values: NDArray[np.float32], step: float) -> str:
    """(months, rows, columns) as text: 16-bit steps, differences along rows, low bytes first, zlib, base64."""
    steps = np.full(values.shape, _MISSING, dtype=np.int16)
    known = np.isfinite(values)
    steps[known] = np.rint(values[known] / step).clip(_MISSING + 1, np.iinfo(np.int16).max)
    differences = np.diff(steps.view(np.uint16), axis=-1, prepend=np.uint16(0)).astype("<u2")
    planes = differences.reshape(-1, 1).view(np.uint8).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()


def pack_bits(flags: NDArray[np.bool_]) -> str:
    """Flags in C order as text: eight a byte, the first in the highest bit, zlib, base64."""
    return base64.b64encode(zlib.compress(np.packbits(flags).tobytes(), 9)).decode()


def _indices(composites: xr.Dataset) -> dict[str, NDArray[np.float32]]:
    """Of the composites, held within -1 to 1, which NDVI leaves where reflectance is below zero."""
    return {str(name): np.clip(values.values, -1, 1) for name, values in indices(composites, INDICES).items()}


def _check_months(request: SeasonRequest, scenes: xr.Dataset, composites: xr.Dataset) -> None:
    days = scenes.indexes["time"].date
    said = []
    for number, month in enumerate(request.months):
        known = ~np.isnan(composites[BANDS[0]].values[number])
        seen = float(known[request.inside].mean())
        if seen < LEAST_SEEN:
            taken = sum(day in month for day in days)
            said.append(f"{month.name} (scenes: {taken}, clear somewhere in {seen:.0%} of the orchard)")
    if said:
        raise MissingMonthError(
            f"the season of {request.orchard} lacks {', '.join(said)}: allow cloudier scenes (--most-cloud), take "
            "another catalogue, wait for more scenes, or end the file before (--last); nothing is put in a missing "
            "month's place"
        )
