"""The monthly weather and soil of FLDAS and GLDAS, as means over polygons, in units that were checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from models.earth.area_means import area_means
from models.earth.errors import EarthInputError, MissingMonthError
from models.earth.periods import Period
from models.earth.variables import VARIABLES, Variable

_AXES = {"X": "x", "lon": "x", "longitude": "x", "Y": "y", "lat": "y", "latitude": "y"}
_WATER = {"kg m-2 s-1", "mm s-1"}  # a millimetre on a square metre is a kilogram


def monthly_weather(files: Sequence[Path], months: Sequence[Period], boundaries: Any) -> NDArray[np.float64]:
    """Means of the eleven variables over polygons.

    Args:
        files: monthly NetCDF files of FLDAS (NOAH01_C_GL_M) or GLDAS (NOAH025_M), one month or more each.
        months: which months are wanted.
        boundaries: GeoDataFrame in degrees.

    Returns:
        (polygons, months, variables), in the order and the units of :data:`VARIABLES`.

    Raises:
        EarthInputError: a file cannot be read, lacks a variable, or has one in an unknown unit or out of all bounds.
        MissingMonthError: no file has a month, or a polygon lies where there are no values.
    """
    found: dict[str, NDArray[np.float64]] = {}
    wanted = {month.name for month in months}
    for path in files:
        found.update(_of_file(path, wanted, boundaries))
    missing = [month.name for month in months if month.name not in found]
    if missing:
        raise MissingMonthError(
            f"there is no weather of {', '.join(missing)} in {len(files)} files; add the monthly files of FLDAS or "
            "GLDAS of these months"
        )
    table = np.stack([found[month.name] for month in months], axis=1)
    for polygon, month, variable in np.argwhere(np.isnan(table))[:1]:
        raise MissingMonthError(
            f"polygon {polygon + 1} meets no cell with {VARIABLES[variable].name} in {months[month].name}; these files "
            "do not reach there (FLDAS ends at 60° north, and the sea has no values): give GLDAS, or mend the boundary"
        )
    return table


def weather_files(given: Iterable[Path]) -> list[Path]:
    """NetCDF files that are named, and those in folders that are.

    Raises:
        EarthInputError: there is none in a folder, or no such file.
    """
    files: list[Path] = []
    for path in given:
        inside = sorted(file for kind in ("*.nc", "*.nc4") for file in path.glob(kind)) if path.is_dir() else [path]
        if not inside or not inside[0].is_file():
            raise EarthInputError(f"there is no NetCDF file (.nc, .nc4) at {path}; fetch FLDAS or GLDAS there")
        files += inside
    return files


def weather_table(means: NDArray[np.float64], months: Sequence[Period], boundaries: Any) -> pd.DataFrame:
    """A row a polygon and month: the polygon's own columns, the month, and a column a variable with its unit.

    Args:
        means: see :func:`monthly_weather`.
        months: as there.
        boundaries: as there.
    """
    polygons = boundaries.drop(columns=boundaries.geometry.name).reset_index(drop=True)
    if not len(polygons.columns):
        polygons["polygon"] = range(1, len(polygons) + 1)
    table = polygons.loc[polygons.index.repeat(len(months))].reset_index(drop=True)
    table["month"] = [month.name for month in months] * len(polygons)
    for number, variable in enumerate(VARIABLES):
        table[f"{variable.name} [{variable.unit}]"] = means[:, :, number].reshape(-1)
    return table


def _of_file(path: Path, wanted: set[str], boundaries: Any) -> Iterable[tuple[str, NDArray[np.float64]]]:
    """By month of a file, (polygons, variables)."""
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            months = [str(pd.Timestamp(moment).strftime("%Y-%m")) for moment in opened["time"].values]
            chosen = [index for index, name in enumerate(months) if name in wanted]
            if not chosen:
                return
            window = _around(_regular(opened.isel(time=chosen), path), boundaries, path)
            means = [area_means(_checked(window, variable, path), boundaries) for variable in VARIABLES]
    except (OSError, KeyError, ValueError, AttributeError) as error:
        if isinstance(error, EarthInputError):
            raise
        raise EarthInputError(
            f"{path} cannot be read as monthly NetCDF ({error}); fetch it again from NASA's GES DISC"
        ) from error
    for place, index in enumerate(chosen):
        yield months[index], np.stack([mean[:, place] for mean in means], axis=1)


def _regular(opened: xr.Dataset, path: Path) -> xr.Dataset:
    """With dimensions x and y, rows from north to south."""
    renamed = opened.rename({name: _AXES[str(name)] for name in opened.dims if name in _AXES})
    if not {"x", "y"} <= set(renamed.dims):
        raise EarthInputError(f"{path} has no longitudes and latitudes; fetch it again from NASA's GES DISC")
    ordered: xr.Dataset = renamed.sortby("y", ascending=False)
    return ordered


def _around(data: xr.Dataset, boundaries: Any, path: Path) -> xr.Dataset:
    """The cells round the polygons alone: a world of eleven variables need not be read for an orchard."""
    west, south, east, north = boundaries.total_bounds
    x, y = data["x"], data["y"]
    step = float(abs(x[1] - x[0]))
    columns = np.flatnonzero((x > west - 2 * step) & (x < east + 2 * step))
    rows = np.flatnonzero((y > south - 2 * step) & (y < north + 2 * step))
    if min(len(columns), len(rows)) < 2:
        raise EarthInputError(f"{path} does not reach the boundary; give a file of all the world, or of that region")
    window: xr.Dataset = data.isel(x=columns, y=rows)
    return window


def _checked(data: xr.Dataset, variable: Variable, path: Path) -> xr.DataArray:
    """A variable in its unit."""
    name = next((name for name in (variable.name, variable.gldas) if name in data), None)
    if name is None:
        raise EarthInputError(
            f"{path} has neither {variable.name} (FLDAS) nor {variable.gldas} (GLDAS); fetch the product whole"
        )
    values: xr.DataArray = data[name].load()
    told = str(values.attrs.get("units", ""))
    factor = _factor(_plain(told), variable)
    if factor is None:
        raise EarthInputError(
            f"{path}: {name} is in {told or 'no unit'!r}, and {variable.unit} is wanted; fetch it again"
        )
    values *= factor
    low, high = float(values.min()), float(values.max())
    if low < variable.lowest or high > variable.highest:
        raise EarthInputError(
            f"{path}: {name} runs from {low:g} to {high:g} {variable.unit}, and on Earth it stays between "
            f"{variable.lowest:g} and {variable.highest:g}: its unit is not what it says"
        )
    return values


def _factor(unit: str, variable: Variable) -> float | None:
    """What to multiply with to come to the variable's unit; None where that is unknown."""
    if unit == variable.unit or {unit, variable.unit} <= _WATER:
        return 1.0
    if variable.layer_mm is not None and unit == "kg m-2":
        return 1 / variable.layer_mm
    return {("hPa", "Pa"): 100.0}.get((unit, variable.unit))


def _plain(unit: str) -> str:
    """``m^3 m-3``, ``m**3 m**-3``, ``m3/m3`` and ``m3 m^-3`` are one unit."""
    plain = re.sub(r"\^|\*\*", "", unit).strip()
    return re.sub(r"\s*/\s*([a-z]+)(\d?)", lambda match: f" {match[1]}-{match[2] or 1}", plain)
