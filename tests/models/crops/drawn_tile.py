"""A drawn tile of monthly composites in which every pixel's crop is known, and a network that knows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import rioxarray  # noqa: F401  (the accessor that writes where a dataset lies)
import torch
import xarray as xr
from numpy.typing import NDArray
from rasterio.transform import from_origin

from models.crops.onnx_file import Eats, export
from models.crops.pixel_networks import FitSettings, Scales, fit
from models.crops.stacked_lstm import StackedLSTM
from models.crops.training import TrainingSettings
from tests.models.crops.drawn_series import drawn

ROWS, COLUMNS = 80, 300
CRS = "EPSG:32648"
TRANSFORM = from_origin(500_000, 3_900_000, 10, 10)
MONTHS = ("03", "04", "05", "06", "07", "08")


def draw_tile() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(steps, bands, rows, columns) of drawn crops in stripes, and the crop of each pixel; some cloud, one hole."""
    random = np.random.default_rng(5)
    crop = np.repeat(np.arange(COLUMNS)[None] // 25 % 3, ROWS, 0)
    greening = np.arange(len(MONTHS))[:, None, None] >= 1 + crop
    noise = 0.1 * random.standard_normal((2, len(MONTHS), ROWS, COLUMNS))
    values = np.stack([greening + noise[0], 0.5 - 0.3 * greening + noise[1]], 1).astype(np.float32)
    values[4, :, 50:60, 50:60] = np.nan  # a cloud in July, when nothing changes
    values[:, 1, 70:74, 100:104] = np.nan  # red was never seen
    return values, crop


def write_composites(folder: Path, values: NDArray[np.float32]) -> None:
    """Monthly GeoTIFFs as ``pomona earth composites`` writes them."""
    folder.mkdir()
    for month, image in zip(MONTHS, values, strict=True):
        with rasterio.open(
            folder / f"2026-{month}.tif", "w", driver="GTiff", width=COLUMNS, height=ROWS, count=3, dtype="float32",
            crs=CRS, transform=TRANSFORM, nodata=np.nan,
        ) as raster:  # fmt: skip
            for number, (name, band) in enumerate(zip(("B04", "B03", "B08"), image[[1, 1, 0]], strict=True), 1):
                raster.write(band, number)
                raster.set_band_description(number, name)


def write_store(path: Path, values: NDArray[np.float32]) -> None:
    """The same as a Zarr store."""
    times = np.array([f"2026-{month}-01" for month in MONTHS], "datetime64[ns]")
    bands = {name: (("time", "y", "x"), values[:, band]) for band, name in enumerate(("B08", "B04"))}
    dataset = xr.Dataset(
        bands,
        coords={
            "time": times,
            "y": TRANSFORM.f - 10 * (np.arange(ROWS) + 0.5),
            "x": TRANSFORM.c + 10 * (np.arange(values.shape[-1]) + 0.5),
        },
    )
    dataset.rio.write_crs(CRS).chunk({"time": 1, "y": 128, "x": 128}).to_zarr(path, zarr_format=2)


def write_model(path: Path, steps: int = len(MONTHS)) -> None:
    """A small network trained on drawn series, up to a month."""
    pixels = drawn().first_steps(steps)
    torch.manual_seed(0)
    network = StackedLSTM(Scales.of(pixels), pixels.classes, units=(12, 8, 8))
    settings = TrainingSettings(epochs=12, learning_rate=1e-2, optimizer="adamw")
    fit(network, pixels, None, FitSettings(settings, batch=40), seed=0)
    export(network, Eats(pixels.bands, MONTHS[:steps], pixels.legend), path)
