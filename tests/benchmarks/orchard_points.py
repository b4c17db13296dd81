"""Labelled points of the real sets with the features they carry: monthly medians, indices, elevation, radar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from models.earth.gaps import fill_gaps
from models.earth.indices import indices
from models.earth.phenology import surrogates
from models.orchards.points import LabelledPoints

SEASON = tuple(range(4, 11))
# CDL codes of what is pruned and picked for years: stone and pome fruit, vines, nuts, citrus, olives
_VINES = 69
_WOODY = (66, 67, 68, 69, 70, 71, 72, 74, 75, 76, 77, 204, 210, 211, 212, 217, 218, 220, 223)
# WorldCereal's codes: fruit and nuts, of which vines; olives
_FRUIT_AND_NUTS, _GRAPES, _OLIVES = 1201, 1201000010, 1203000010
_MISSING = 65535


def _table(bands: dict[str, NDArray[np.float32]]) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Names and columns of April to October from (points, 12) reflectance by band, gaps filled from other months."""
    scene = xr.Dataset({name: (("point", "month"), values) for name, values in bands.items()})
    scene = scene.assign_coords(month=np.arange(1, 13)).map(fill_gaps, args=("month",))
    found = indices(scene)
    names, columns = [], []
    for name, values in {**scene.data_vars, **found.data_vars}.items():
        for month in SEASON:
            names.append(f"{name}_{month:02}")
            columns.append(values.sel(month=month).to_numpy().astype(np.float32))
    for name, values in surrogates(found["NDVI"]).data_vars.items():
        names.append(str(name))
        columns.append(values.to_numpy().astype(np.float32))
    return names, columns


def california(data: Path, *, vines_are_orchards: bool = True) -> tuple[LabelledPoints, NDArray[np.int64]]:
    """Woody perennials against all else in the Central Valley in 2021, and the zone (0 north, 1 south) of each point.

    Args:
        data: folder of the real data.
        vines_are_orchards: whether vineyards are woody perennials or something else.
    """
    folder = data / "satellite" / "mctnet_us_s2"
    points = pd.read_csv(folder / "california_points.csv.gz")
    with np.load(folder / "california_s2_10day_2021.npz") as held:
        steps, names = held["X"], [str(name) for name in held["bands"]]
    reflectance = np.where((steps == 0).all(-1, keepdims=True), np.nan, steps / np.float32(10_000)).astype(np.float32)
    monthly = _median_of_three(reflectance)
    columns_names, columns = _table({name: monthly[..., at] for at, name in enumerate(names)})
    columns_names.append("elevation")
    columns.append(points["elevation"].to_numpy(np.float32))
    orchard = points["cdl_code"].isin(_WOODY if vines_are_orchards else [c for c in _WOODY if c != _VINES])
    return _points(points, orchard.to_numpy(bool), columns_names, columns), points["zone"].to_numpy(np.int64)


def _median_of_three(reflectance: NDArray[np.float32]) -> NDArray[np.float32]:
    """(points, 36, bands) to (points, 12, bands): the median of each month's clear steps, NaN where there are none."""
    of_month = reflectance.reshape(len(reflectance), 12, 3, -1)
    ordered = np.sort(of_month, axis=2)  # NaN last
    clear = np.isfinite(of_month).sum(2)
    first, second = ordered[:, :, 0], ordered[:, :, 1]
    return np.where(clear == 2, (first + second) / 2, np.where(clear == 3, second, first)).astype(np.float32)


def corsica(data: Path) -> LabelledPoints:
    """Orchards (fruit, nuts, olives, no vines) against all else on Corsica in 2022, with slope and Sentinel-1."""
    rows = pd.read_parquet(data / "satellite" / "worldcereal_samples" / "fra_lpis_2022_month.parquet")
    rows = rows[rows["timestamp"].dt.year == 2022].sort_values(["sample_id", "timestamp"])
    points = rows.drop_duplicates("sample_id").reset_index(drop=True)

    def monthly(column: str) -> NDArray[np.float32]:
        values = rows[column].to_numpy().reshape(len(points), 12)
        return np.where(values == _MISSING, np.nan, values).astype(np.float32)

    bands = [name for name in rows if str(name).startswith("S2-L2A-") and name != "S2-L2A-B8A"]  # B8A holds no value
    names, columns = _table(
        {str(name).removeprefix("S2-L2A-"): monthly(str(name)) / np.float32(10_000) for name in bands}
    )
    for polarisation in ("VH", "VV"):
        decibels = 20 * np.log10(monthly(f"S1-SIGMA0-{polarisation}")) - 83  # WorldCereal's packing
        filled = fill_gaps(xr.DataArray(decibels, dims=("point", "month"), coords={"month": np.arange(1, 13)}), "month")
        for month in SEASON:
            names.append(f"{polarisation}_{month:02}")
            columns.append(filled.sel(month=month).to_numpy().astype(np.float32))
    for name in ("elevation", "slope"):
        names.append(name)
        columns.append(points[name].to_numpy(np.float32))
    codes = points["ewoc_code"]
    orchard = ((codes // 1_000_000 == _FRUIT_AND_NUTS) & (codes != _GRAPES)) | (codes == _OLIVES)
    return _points(points, orchard.to_numpy(bool), names, columns)


def _points(
    points: pd.DataFrame, orchard: NDArray[np.bool_], names: list[str], columns: list[NDArray[np.float32]]
) -> LabelledPoints:
    lon, lat = points["lon"].to_numpy(np.float64), points["lat"].to_numpy(np.float64)
    return LabelledPoints(lon, lat, orchard, tuple(names), np.stack(columns, 1))
