"""Slope and aspect of a digital elevation model, by Horn's method.

Source: Horn 1981, Hill shading and the reflectance map, Proceedings of the IEEE 69:14, doi:10.1109/PROC.1981.11918;
what gdaldem and Earth Engine's neighbours use too. A cell needs all eight round it, so the outermost have no slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import rioxarray  # noqa: F401  (gives rasters their .rio)
import xarray as xr
from numpy.typing import NDArray

from models.earth.blocks import by_blocks, name_of
from models.earth.errors import EarthInputError

_MARGIN_PX = 1


def slopes(
    elevation_m: NDArray[np.floating[Any]], east_step_m: float, north_step_m: float
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """How much the ground rises to the east and to the north.

    Args:
        elevation_m: (…, rows, columns); NaN where missing.
        east_step_m: from a column to the next.
        north_step_m: from a row to the next; negative where the first row is the northernmost.

    Returns:
        Two arrays of the same shape, in metres a metre; NaN at the edges and beside what is missing.
    """
    margins = [(0, 0)] * (elevation_m.ndim - 2) + [(_MARGIN_PX, _MARGIN_PX)] * 2
    z = np.pad(elevation_m, margins, constant_values=np.nan)
    rows, columns = elevation_m.shape[-2:]

    def at(down: int, right: int) -> NDArray[np.floating[Any]]:
        return z[..., 1 + down : 1 + down + rows, 1 + right : 1 + right + columns]

    right = at(-1, 1) + 2 * at(0, 1) + at(1, 1)
    left = at(-1, -1) + 2 * at(0, -1) + at(1, -1)
    below = at(1, -1) + 2 * at(1, 0) + at(1, 1)
    above = at(-1, -1) + 2 * at(-1, 0) + at(-1, 1)
    # a missing middle is missing, though Horn's method does not look at it
    missing = np.where(np.isnan(elevation_m), elevation_m, 0)
    return (right - left) / (8 * east_step_m) + missing, (below - above) / (8 * north_step_m) + missing


def terrain(elevation_m: xr.DataArray) -> xr.Dataset:
    """Elevation, slope and aspect, lazily where the model is lazy.

    Args:
        elevation_m: dimensions (…, y, x) with their coordinates; NaN where missing.

    Returns:
        ``elevation_m``; ``slope_deg``; ``aspect_deg``, the direction of steepest descent clockwise from north, missing
        where it is flat; ``aspect_sin`` and ``aspect_cos``, without a jump at north and both 0 where it is flat.

    Raises:
        EarthInputError: the model's coordinates are no even steps, or in degrees.
    """
    to_metres = _metres_a_unit(elevation_m)
    steps = [_step(elevation_m, name) * to_metres for name in ("x", "y")]

    def of_block(block: NDArray[Any]) -> NDArray[Any]:
        east, north = slopes(block, *steps)
        run = np.hypot(east, north)
        flat = run == 0
        steepness = np.where(flat, 1, run)
        # downhill is against the rise
        sine, cosine = -east / steepness, -north / steepness
        aspect = np.where(flat, np.nan, np.degrees(np.arctan2(sine, cosine)) % 360)
        return np.stack([np.degrees(np.arctan(run)), aspect, sine, cosine]).astype(block.dtype)

    if elevation_m.dtype.kind != "f":
        elevation_m = elevation_m.astype(np.float32)
    names = {"slope_deg": "degree", "aspect_deg": "degree", "aspect_sin": "1", "aspect_cos": "1"}
    layers = by_blocks(of_block, elevation_m, _MARGIN_PX, elevation_m.dtype, layers=len(names))
    found: dict[str, Any] = {"elevation_m": elevation_m.assign_attrs(units="m").variable}
    for place, (name, units) in enumerate(names.items()):
        found[name] = layers.isel(layer=place)
        found[name].attrs = {"units": units, "method": "Horn 1981"}
    return xr.Dataset(found, coords=elevation_m.coords)


def _metres_a_unit(raster: xr.DataArray) -> float:
    crs = raster.rio.crs
    if crs is None:
        return 1.0
    if not crs.is_projected:
        raise EarthInputError(
            f"{name_of(raster)} is in degrees ({crs}); slope needs metres: reproject it, to a UTM zone for example"
        )
    return float(crs.linear_units_factor[1])


def _step(raster: xr.DataArray, name: str) -> float:
    if name not in raster.coords or raster.sizes[name] < 2:
        raise EarthInputError(f"{name_of(raster)} needs two or more coordinates {name} for its slope")
    steps = np.diff(raster[name].to_numpy().astype(np.float64))
    if not np.allclose(steps, steps[0], rtol=1e-3, atol=0) or steps[0] == 0:
        raise EarthInputError(f"the coordinates {name} of {name_of(raster)} are no even steps; resample it to a grid")
    return float(steps.mean())
