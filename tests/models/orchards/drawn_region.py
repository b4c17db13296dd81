"""A drawn region in the files a map is made from: bands, land cover and labelled points with known truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.transform import xy
from shapely.geometry import Point

BANDS = ("B04_06", "B08_06", "NDVI_06", "NDVI_09", "B08_asm", "elevation", "slope")
PIXEL_M = 10.0
EPSG = 32648  # Gansu


@dataclass(frozen=True)
class Region:
    """Files of a drawn region.

    Attributes:
        features: raster of :data:`BANDS`; its first rows have no data.
        cover: land cover on a coarser grid in degrees; 40 is cropland.
        points: GeoPackage with the label ``orchard``.
        truth: (rows, columns) where orchards are.
    """

    features: Path
    cover: Path
    points: Path
    truth: NDArray[np.bool_]


def draw_region(folder: Path, side: int = 600, points: int = 240, seed: int = 3) -> Region:
    """Draw rectangular orchards that are greener for longer, with noise that makes some pixels doubtful."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((side, side), bool)
    for row in range(0, side - 60, 100):
        for column in range(0, side - 60, 100):
            height, width = rng.integers(30, 70, 2)
            truth[row + 10 : row + 10 + height, column + 10 : column + 10 + width] = rng.random() < 0.7
    noise = rng.normal(0, 1, (len(BANDS), side, side)).astype(np.float32)
    means = {
        "B04_06": (0.09, 0.05),
        "B08_06": (0.28, 0.34),
        "NDVI_06": (0.5, 0.72),
        "NDVI_09": (0.35, 0.62),
        "B08_asm": (0.2, 0.12),
        "elevation": (1300, 1330),
        "slope": (4, 7),
    }
    spread = (0.03, 0.05, 0.12, 0.14, 0.08, 80, 3)
    values = np.stack([np.where(truth, *reversed(means[name])) for name in BANDS]).astype(np.float32)
    values += noise * np.array(spread, np.float32)[:, None, None]
    values[:, :8] = -9999
    transform = Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 3_850_000)
    features = folder / "features.tif"
    profile = {"driver": "GTiff", "width": side, "height": side, "crs": f"EPSG:{EPSG}", "transform": transform}
    with rasterio.open(
        features,
        "w",
        **profile,
        count=len(BANDS),
        dtype="float32",
        nodata=-9999,
        tiled=True,
        blockxsize=256,
        blockysize=256,
    ) as raster:
        raster.write(values)
        raster.descriptions = BANDS
    return Region(features, _draw_cover(folder, side), _draw_points(folder, truth, transform, points, rng), truth)


def _draw_cover(folder: Path, side: int) -> Path:
    """Cropland everywhere but in the east, in degrees."""
    cover = folder / "cover.tif"
    classes = np.full((90, 120), 40, np.uint8)
    corners = geopandas.GeoSeries(
        [Point(500_000, 3_850_000), Point(500_000 + side * PIXEL_M, 3_850_000 - side * PIXEL_M)], crs=EPSG
    ).to_crs(4326)
    west, north, east, south = corners.x[0] - 0.01, corners.y[0] + 0.01, corners.x[1] + 0.01, corners.y[1] - 0.01
    transform = Affine((east - west) / 120, 0, west, 0, (south - north) / 90, north)
    classes[:, 100:] = 10
    with rasterio.open(
        cover, "w", driver="GTiff", width=120, height=90, count=1, dtype="uint8", crs="EPSG:4326", transform=transform
    ) as raster:
        raster.write(classes, 1)
    return cover


def _draw_points(
    folder: Path, truth: NDArray[np.bool_], transform: Affine, number: int, rng: np.random.Generator
) -> Path:
    places = []
    for there in (True, False):
        rows, columns = np.nonzero(truth == there)
        chosen = rng.choice(len(rows), number // 2, replace=False)
        places += [
            (Point(*xy(transform, row, column)), int(there))
            for row, column in zip(rows[chosen], columns[chosen], strict=True)
        ]
    path = folder / "points.gpkg"
    geopandas.GeoDataFrame(
        {"orchard": [label for _, label in places], "field": range(len(places))},
        geometry=[place for place, _ in places],
        crs=EPSG,
    ).to_file(path, driver="GPKG")
    return path
