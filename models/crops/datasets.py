"""Pixel series from what a user has: a Parquet table of points, or a Zarr store of composites with a thematic map."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from skimage.morphology import erosion

from models.crops.composing import filled
from models.crops.series import CropError, IntArray, PixelSeries
from models.crops.splits import patch_of
from models.maps.blocks import block_of

BLOCK_KM = 20.0
# a band and a month, with its year and day or without
_COLUMN = re.compile(r"([A-Za-z0-9]+)_(\d\d|\d{4}-\d\d(?:-\d\d)?)")


def read_table(path: Path, label: str = "crop", region: str | None = None) -> PixelSeries:
    """Points from a Parquet table with a column ``BAND_STEP`` for each band and step, such as ``B08_2026-04``.

    Args:
        path: of the table; it also holds ``lon`` and ``lat`` in degrees, or ``block``.
        label: column of the class, text or numbers.
        region: column of the region; one region where None.

    Returns:
        Series without gaps; points without a label, or of which a band was never seen, are left out.

    Raises:
        CropError: columns that are missing, or no point that is left.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise CropError(f"{path} cannot be read: {error}; give a Parquet table") from error
    for needed in (label, *([region] if region else [])):
        if needed not in table:
            raise CropError(f"{path} has no column {needed!r}; it has {', '.join(map(str, table.columns[:12]))}")
    pairs = [found.groups() for column in table.columns if (found := _COLUMN.fullmatch(str(column)))]
    bands = tuple(dict.fromkeys(band for band, _ in pairs))
    steps = tuple(sorted({step for _, step in pairs}))
    columns = [f"{band}_{step}" for step in steps for band in bands]
    if not columns or (missing := [column for column in columns if column not in table]):
        lacking = missing[0] if columns else "BAND_STEP"
        raise CropError(f"{path} has no column {lacking!r}; every band needs a column for every step")
    if "block" not in table and not {"lon", "lat"} <= set(table.columns):
        raise CropError(f"{path} has neither block nor lon and lat; splits need to know which points are neighbours")
    table = table[table[label].notna()]
    values = filled(table[columns].to_numpy(np.float32).reshape(len(table), len(steps), len(bands)))
    seen = np.isfinite(values).all((1, 2))
    if not seen.any():
        raise CropError(f"{path} holds no labelled point whose bands were all seen at some step")
    table, values = table[seen], values[seen]
    names, index = np.unique(table[label].astype(str).to_numpy(str), return_inverse=True)
    regions, where = np.unique(
        table[region].astype(str).to_numpy(str) if region else np.full(len(table), "all"), return_inverse=True
    )
    block = (
        np.unique(table["block"].to_numpy(), return_inverse=True)[1]
        if "block" in table
        else block_of(table["lon"].to_numpy(np.float64), table["lat"].to_numpy(np.float64), BLOCK_KM)
    )
    return _series(values, index, tuple(names.tolist()), bands, steps, block, where, tuple(regions.tolist()))


def read_store(
    path: Path, legend: Mapping[int, str], thematic: str = "crop", erode_px: int = 1, most: int | None = None
) -> PixelSeries:
    """Labelled pixels of a Zarr store, without the borders of parcels.

    Args:
        path: of a store with bands as variables (time, y, x) or (month, y, x), and a thematic map (y, x).
        legend: number in the thematic map to class; several numbers may be one class, others are left out.
        thematic: variable of the thematic map.
        erode_px: how far from another number a pixel has to be.
        most: pixels of a class to keep, chosen evenly along the tile; all where None.

    Returns:
        Series without gaps; a block is one of the tile's 100 patches.

    Raises:
        CropError: a store that does not hold that, or no pixel that is left.
    """
    try:
        store = xr.open_zarr(path)
    except (OSError, ValueError, KeyError) as error:
        raise CropError(f"{path} cannot be read: {error}; give a Zarr store") from error
    return series_of(store, legend, thematic, erode_px, most)


def series_of(
    store: xr.Dataset, legend: Mapping[int, str], thematic: str = "crop", erode_px: int = 1, most: int | None = None
) -> PixelSeries:
    """Labelled pixels of a dataset; see :func:`read_store`."""
    if thematic not in store:
        raise CropError(f"there is no variable {thematic!r}; the thematic map has to lie beside the bands")
    along = "month" if "month" in store.dims else "time"
    bands = tuple(str(name) for name, values in store.items() if along in values.dims)
    if not bands:
        raise CropError("no variable has a dimension time or month; give bands as variables")
    codes = store[thematic].to_numpy().astype(np.int64)
    names = tuple(dict.fromkeys(legend.values()))
    label = thematic_labels(codes, legend, names, erode_px)
    chosen = np.flatnonzero(label.reshape(-1) >= 0)
    if most is not None:
        of = label.reshape(-1)[chosen]
        kept = [_evenly(chosen[of == index], most) for index in range(len(names))]
        chosen = np.sort(np.concatenate(kept))
    rows, columns = np.divmod(chosen, codes.shape[1])
    steps = tuple(str(value)[:10] for value in store[along].to_numpy())
    values = np.empty((len(chosen), len(steps), len(bands)), np.float32)
    for position, band in enumerate(bands):
        for step in range(len(steps)):  # one image at a time is in memory
            image = store[band].isel({along: step}).transpose("y", "x").to_numpy()
            values[:, step, position] = image[rows, columns]
    values = filled(values)
    seen = np.isfinite(values).all((1, 2))
    if not seen.any():
        raise CropError("no labelled pixel was seen in every band; give more dates, or a smaller erosion")
    block = patch_of(rows, columns, *codes.shape)
    where = np.zeros(int(seen.sum()), np.int64)
    index = label.reshape(-1)[chosen][seen]
    return _series(values[seen], index, names, bands, steps, block[seen], where, ("all",))


def thematic_labels(
    codes: IntArray, legend: Mapping[int, str], names: Sequence[str], erode_px: int
) -> NDArray[np.int64]:
    """Step 2 of the weighted LSTM: merge the map's legend, and leave out the borders of parcels.

    Args:
        codes: (rows, columns) numbers of the thematic map.
        legend: number to class.
        names: of the classes in order.
        erode_px: a pixel stays when all pixels at most so far away, diagonals included, are of its class.

    Returns:
        (rows, columns) index of the class; -1 where none or near a border.
    """
    label = np.full(codes.shape, -1, np.int64)
    for code, name in legend.items():
        label[codes == code] = names.index(name)
    if not erode_px:
        return label
    square = np.ones((2 * erode_px + 1, 2 * erode_px + 1), bool)
    inside = np.zeros(codes.shape, bool)
    for index in range(len(names)):
        inside |= erosion(label == index, square)
    return np.where(inside, label, -1)


def _evenly(positions: IntArray, most: int) -> IntArray:
    if len(positions) <= most:
        return positions
    even: IntArray = positions[np.linspace(0, len(positions) - 1, most).round().astype(np.int64)]
    return even


def _series(
    values: NDArray[np.float32],
    label: NDArray[np.int64],
    legend: tuple[str, ...],
    bands: tuple[str, ...],
    steps: tuple[str, ...],
    block: NDArray[np.int64],
    region: NDArray[np.int64],
    regions: tuple[str, ...],
) -> PixelSeries:
    number = len(label)
    return PixelSeries(
        values,
        label.astype(np.int64),
        legend,
        bands,
        steps,
        block.astype(np.int64),
        region.astype(np.int64),
        regions,
        np.zeros(number, np.int64),
        np.ones(number, np.float32),
    )
