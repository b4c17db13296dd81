"""A drawn scene as files: dated images of 10 m and 20 m bands, points, blocks, crops."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import Point, box

from models.yields.pixels.scenes import Scene
from tests.models.yields.pixels.drawn import CROPS, scene

BANDS = ("B02", "B03", "B04", "B08")
WEST, NORTH, EPSG = 600_000, 4_900_000, 32633


def write_scene(folder: Path, drawn: Scene | None = None) -> Scene:
    """Write what was drawn: two dates, integers with a scale, a cloud in the second, points and crops."""
    drawn = drawn or scene(dates=2)
    folder.mkdir(parents=True)
    height, width = drawn.shape
    for at, day in enumerate(("2023-04-01", "2023-07-19")):
        values = np.round(drawn.images[at] * 10_000).astype(np.uint16)
        if at:
            values[:, :6, :6] = 0
        with rasterio.open(
            folder / f"{day}.tif",
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=len(BANDS),
            dtype="uint16",
            nodata=0,
            crs=f"EPSG:{EPSG}",
            transform=from_origin(WEST, NORTH, 10, 10),
        ) as file:
            file.write(values)
            file.scales = [1e-4] * len(BANDS)
            for number, name in enumerate(BANDS, 1):
                file.set_band_description(number, name)
    points = drawn.points
    geopandas.GeoDataFrame(
        {"yield": points.yields, "crop": [CROPS[crop] for crop in points.crop]},
        geometry=[centre(row, column) for row, column in zip(points.row, points.column, strict=True)],
        crs=EPSG,
    ).to_crs(4326).to_file(folder / "yields.gpkg")
    numbers = np.unique(drawn.fields[drawn.fields >= 0])
    shapes = []
    for number in numbers:
        row, column = np.nonzero(drawn.fields == number)
        shapes.append(pixels(row.min(), column.min(), row.max() + 1, column.max() + 1))
    geopandas.GeoDataFrame({"crop": [CROPS[number % 2] for number in numbers]}, geometry=shapes, crs=EPSG).to_file(
        folder / "crops.gpkg"
    )
    return drawn


def centre(row: float, column: float) -> Point:
    """Middle of a pixel."""
    return Point(WEST + 10 * column + 5, NORTH - 10 * row - 5)


def pixels(top: float, left: float, bottom: float, right: float) -> box:
    """A rectangle by its rows and columns."""
    return box(WEST + 10 * left, NORTH - 10 * bottom, WEST + 10 * right, NORTH - 10 * top)
