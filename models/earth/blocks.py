"""Functions of a pixel's neighbourhood on arrays in memory and on Dask arrays, block by block, with the same result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
import xarray as xr
from dask.array.overlap import ensure_minimum_chunksize, overlap
from numpy.typing import DTypeLike, NDArray

from models.earth.errors import EarthInputError

OfBlock = Callable[[NDArray[Any]], NDArray[Any]]


def name_of(raster: xr.DataArray) -> str:
    """What a message calls a raster."""
    return "the raster" if raster.name is None else str(raster.name)


def by_blocks(
    function: OfBlock, raster: xr.DataArray, margin_px: int, dtype: DTypeLike, layers: int = 0
) -> xr.Variable:
    """A function of the neighbourhood, at once in memory or lazily with Dask.

    Args:
        function: from (…, rows, columns) to the same shape, or to (layers, …, rows, columns); takes what lies beyond
            the edges, and NaN, as missing.
        raster: dimensions (…, y, x); floating point.
        margin_px: how far the function looks.
        dtype: of its result.
        layers: how many layers the function puts in front; 0 for none.

    Returns:
        Dimensions as ``raster``, behind ``layer`` where there are layers.

    Raises:
        EarthInputError: the raster has no dimensions y and x.
    """
    if not {"y", "x"} <= set(raster.dims):
        raise EarthInputError(
            f"{name_of(raster)} has the dimensions {', '.join(map(str, raster.dims))}; "
            "a function of the neighbourhood needs y and x"
        )
    raster = raster.transpose(..., "y", "x")
    dims = (*(["layer"] if layers else []), *raster.dims)
    if not isinstance(raster.data, dask.array.Array):
        return xr.Variable(dims, function(np.asarray(raster.data)))
    return xr.Variable(dims, _lazily(function, raster.data, margin_px, dtype, layers))


def _lazily(function: OfBlock, values: dask.array.Array, margin_px: int, dtype: DTypeLike, layers: int) -> Any:
    lead = values.ndim - 2
    margins = {lead: margin_px, lead + 1: margin_px}
    least: Any = ensure_minimum_chunksize
    values = values.rechunk({axis: least(max(1, margin_px), values.chunks[axis]) for axis in margins})
    grown: Any = overlap(values, depth=margins, boundary=dict.fromkeys(margins, np.nan))

    def on_block(block: NDArray[Any]) -> NDArray[Any]:
        inside = slice(margin_px, -margin_px or None)
        return function(np.ascontiguousarray(block))[..., inside, inside]

    front = ((layers,),) if layers else ()
    return grown.map_blocks(
        on_block,
        chunks=(*front, *values.chunks),
        new_axis=[0] if layers else None,
        dtype=dtype,
        meta=np.empty((0,) * (values.ndim + len(front)), dtype=dtype),
    )
