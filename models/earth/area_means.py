"""Means of a raster over polygons: a cell weighs as much as the ground of it that lies inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from numpy.typing import NDArray


def area_means(values: xr.DataArray, boundaries: Any) -> NDArray[np.float64]:
    """Mean of each time over each polygon.

    Args:
        values: (time, y, x) on a regular grid in degrees, rows from north to south, NaN where there is nothing.
        boundaries: GeoDataFrame in degrees.

    Returns:
        (polygons, time); NaN where a polygon meets no cell that has a value.
    """
    x, y = values["x"].values.astype(float), values["y"].values.astype(float)
    half_width, half_height = (x[1] - x[0]) / 2, (y[0] - y[1]) / 2
    bounds = {"xmin": x[0] - half_width, "xmax": x[-1] + half_width}
    bounds |= {"ymin": y[-1] - half_height, "ymax": y[0] + half_height}
    means = np.empty((len(boundaries), values.sizes["time"]))
    for time, layer in enumerate(values.values):
        raster = NumPyRasterSource(layer.astype(np.float64), **bounds, nodata=np.nan, srs_wkt=boundaries.crs.to_wkt())
        table = exact_extract(raster, boundaries, ["mean(coverage_weight=area_spherical_m2)"], output="pandas")
        means[:, time] = table.iloc[:, -1].to_numpy(dtype=float, na_value=np.nan)
    return means
