"""Composites: the median of what was clear in each month or ten days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from models.earth.median import masked_median
from models.earth.periods import Period

CLEAR = "clear"


def median_composites(scenes: xr.Dataset, periods: Sequence[Period]) -> xr.Dataset:
    """Median of the clear dates of each period, by pixel and band.

    Chunks of rows and columns stay as they are; each needs its dates and nothing else, so that what is in memory does
    not grow with the scene.

    Args:
        scenes: variables of dimensions (time, y, x), among them the mask ``clear``; lazy (Dask) or in memory.
        periods: what to make composites of.

    Returns:
        The bands by (time, y, x), time being the first day of each period, NaN where no date was clear; and
        ``clear_share`` of the same dimensions, the share of the period's dates that were clear, NaN without any date.
        Lazy where ``scenes`` is.
    """
    days = scenes.indexes["time"].date
    members = [np.flatnonzero([day in period for day in days]) for period in periods]
    clear = scenes[CLEAR]
    made = {
        name: (("time", "y", "x"), _stacked([_median(band, clear, of) for of in members]), band.attrs)
        for name, band in scenes.data_vars.items()
        if name != CLEAR
    }
    made["clear_share"] = (("time", "y", "x"), _stacked([_share(clear, of) for of in members]), {"units": "1"})
    starts = np.array([period.first.isoformat() for period in periods], dtype="datetime64[ns]")
    space = {name: scenes.coords[name] for name in scenes.coords if "time" not in scenes.coords[name].dims}
    return xr.Dataset(made, coords={"time": starts, **space}, attrs=scenes.attrs)


_Block: TypeAlias = NDArray[np.float32] | da.Array  # eager or lazy


def _median(band: xr.DataArray, clear: xr.DataArray, members: NDArray[np.intp]) -> _Block:
    if not len(members):
        return _nothing(band)
    values, mask = band.data[members], clear.data[members]
    if not isinstance(values, da.Array):
        return masked_median(values, mask)
    values, mask = values.rechunk({0: -1}), mask.rechunk({0: -1})
    blocks: da.Array = da.map_blocks(masked_median, values, mask, dtype=np.float32, drop_axis=0)
    return blocks


def _share(clear: xr.DataArray, members: NDArray[np.intp]) -> _Block:
    if not len(members):
        return _nothing(clear)
    seen: Any = clear.data[members]
    share: _Block = seen.mean(axis=0, dtype=np.float32)
    return share


def _nothing(like: xr.DataArray) -> _Block:
    first = like.data[0]
    if isinstance(first, da.Array):
        lazy: da.Array = da.full(first.shape, np.nan, dtype=np.float32, chunks=first.chunks)
        return lazy
    return np.full(first.shape, np.nan, dtype=np.float32)


def _stacked(layers: list[_Block]) -> _Block:
    stack: Any = da.stack if any(isinstance(layer, da.Array) for layer in layers) else np.stack
    stacked: _Block = stack(layers)
    return stacked
