"""Gaps in a series, filled linearly from the values on either side; nothing is made up beyond the first and last."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from models.earth.errors import EarthInputError


def fill_gaps(series: xr.DataArray, along: str, longest: float | None = None) -> xr.DataArray:
    """Fill gaps linearly, lazily where the series is lazy.

    Args:
        series: NaN where missing; floating point.
        along: dimension with a rising coordinate, numbers or times.
        longest: what may lie between the values on either side, in the coordinate's unit, days for times; None for any.

    Returns:
        The series with known values unchanged.

    Raises:
        EarthInputError: the coordinate does not rise.
    """
    places = series[along].to_numpy()
    if places.dtype.kind == "M":
        places = (places - places[:1]) / np.timedelta64(1, "D")
    places = places.astype(np.float64)
    if (np.diff(places) <= 0).any():
        raise EarthInputError(f"{along} of the series does not rise; sort it and join what has the same {along}")
    # joined here, since Dask would split the other dimensions in return
    whole = series.chunk({along: -1}) if series.chunks else series
    filled: xr.DataArray = xr.apply_ufunc(
        between_neighbours,
        whole,
        kwargs={"places": places, "longest": longest},
        input_core_dims=[[along]],
        output_core_dims=[[along]],
        dask="parallelized",
        output_dtypes=[series.dtype],
        keep_attrs=True,
    )
    ordered: xr.DataArray = filled.transpose(*series.dims)
    return ordered


def between_neighbours(
    values: NDArray[np.floating[Any]], places: NDArray[np.float64], longest: float | None = None
) -> NDArray[np.floating[Any]]:
    """Fill NaN along the last axis from the nearest known values before and after.

    Args:
        values: (…, n).
        places: (n,) where the values stand, rising.
        longest: distance of the two beyond which a gap stays open.

    Returns:
        (…, n) of the same type.
    """
    count = values.shape[-1]
    known = ~np.isnan(values)
    here = np.broadcast_to(np.arange(count), values.shape)
    before = np.maximum.accumulate(np.where(known, here, -1), axis=-1)
    after = np.minimum.accumulate(np.where(known, here, count)[..., ::-1], axis=-1)[..., ::-1]
    between = ~known & (before >= 0) & (after < count)
    before, after = np.where(between, before, 0), np.where(between, after, 0)
    span = places[after] - places[before]
    if longest is not None:
        between &= span <= longest
    share = (places - places[before]) / np.where(span == 0, 1, span)
    first, last = np.take_along_axis(values, before, -1), np.take_along_axis(values, after, -1)
    return np.where(between, first + share * (last - first), values).astype(values.dtype)
