"""How large pixels are on the ground, whatever the map's projection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from rasterio.transform import xy
from rasterio.windows import Window

from models.maps.rasters import Grid

GEOD = Geod(ellps="WGS84")
# pixels of so many rows are as large as one another to a millionth
_ROWS_TOGETHER = 16


def row_areas_m2(grid: Grid, window: Window) -> NDArray[np.float64]:
    """Ground area of a pixel in each row of a window, at its middle column.

    Args:
        grid: of the map.
        window: a part of it, small enough that pixels of a row are alike.

    Returns:
        (rows,) in m².
    """
    to_degrees = Transformer.from_crs(CRS.from_user_input(grid.crs), 4326, always_xy=True)
    first, height = int(window.row_off), int(window.height)
    column = int(window.col_off) + int(window.width) // 2
    areas = np.empty(height)
    for row in range(0, height, _ROWS_TOGETHER):
        rows = min(_ROWS_TOGETHER, height - row)
        corners = np.array([(0, 0), (1, 0), (1, rows), (0, rows)]) + np.array([column, first + row])
        x, y = xy(grid.affine, corners[:, 1], corners[:, 0], offset="ul")
        lon, lat = to_degrees.transform(x, y)
        area_m2, _ = GEOD.polygon_area_perimeter(lon, lat)
        areas[row : row + rows] = abs(area_m2) / rows
    return areas
