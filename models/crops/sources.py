"""Where a map's series come from: a folder of monthly composites, or a Zarr store; only the steps a network needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rioxarray  # noqa: F401  (the accessor that knows where a dataset lies)
import xarray as xr
from rasterio.windows import Window

from models.crops.onnx_file import Eats
from models.crops.series import CropError, FloatArray
from models.maps.rasters import FeatureRasters, Grid, open_features
from models.maps.runs import identity


class SeriesSource(Protocol):
    """Where the series of pixels come from."""

    @property
    def grid(self) -> Grid:
        """Of the pixels."""
        ...

    def read(self, window: Window) -> FloatArray:
        """(steps · bands, rows, columns), bands of the first step first; NaN where not seen."""
        ...

    def record(self) -> dict[str, Any]:
        """What decides the values, so that unfinished maps are told apart."""
        ...


@dataclass(frozen=True)
class Composites:
    """Monthly composites as GeoTIFF.

    Attributes:
        rasters: bands of all steps, in the network's order.
    """

    rasters: FeatureRasters

    @property
    def grid(self) -> Grid:
        """Of the pixels."""
        return self.rasters.grid

    def read(self, window: Window) -> FloatArray:
        """Series of a window; see :class:`SeriesSource`."""
        return self.rasters.read(window)

    def record(self) -> dict[str, Any]:
        """The files, by name, size and time."""
        paths = dict.fromkeys(path for path, _ in self.rasters.bands)
        return {"rasters": [{"path": path, **identity(path)} for path in paths]}


def open_composites(folder: Path, eats: Eats) -> Composites:
    """Look at the composites that a network needs, and at no others: not at months after its last step.

    Args:
        folder: of files such as ``2026-04.tif``, as ``pomona earth composites`` writes them.
        eats: bands and steps of the network; a step is a file's name, or the month in it, such as ``04``.

    Raises:
        CropError: a month that is not there or is there twice, or a band that is missing.
        MapError: a raster that cannot be read, or another grid.
    """
    grid: Grid | None = None
    names: list[str] = []
    bands: list[tuple[str, int]] = []
    for step in eats.steps:
        found = sorted(folder.glob(f"????-{step}.tif")) if len(step) == len("04") else [folder / f"{step}.tif"]
        found = [path for path in found if path.is_file()]
        if len(found) != 1:
            raise CropError(
                f"{folder} holds {len(found)} composites of step {step!r}; the network was trained on the steps "
                f"{', '.join(eats.steps)} and needs each once"
            )
        month = open_features(found)
        if grid is not None and month.grid != grid:
            raise CropError(f"{found[0]} does not lie on the grid of the other composites; make all in one run")
        grid = month.grid
        if missing := [band for band in eats.bands if band not in month.names]:
            raise CropError(f"{found[0]} has no band {missing[0]}; the network needs {', '.join(eats.bands)}")
        names += [f"{band}_{step}" for band in eats.bands]
        bands += list(month.select(eats.bands).bands)
    assert grid is not None
    return Composites(FeatureRasters(grid, tuple(names), tuple(bands)))


@dataclass(frozen=True, eq=False)
class Store:
    """A Zarr store.

    Attributes:
        path: of the store.
        dataset: its bands (time, y, x) or (month, y, x), the network's steps in order.
        bands: in the network's order.
        grid: of the pixels.
    """

    path: Path
    dataset: xr.Dataset
    bands: tuple[str, ...]
    grid: Grid

    def read(self, window: Window) -> FloatArray:
        """Series of a window; see :class:`SeriesSource`."""
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        columns = slice(int(window.col_off), int(window.col_off + window.width))
        here = self.dataset.isel(y=rows, x=columns)
        bands = [here[band].transpose(..., "y", "x").to_numpy() for band in self.bands]
        stacked: FloatArray = np.stack(bands, 1).astype(np.float32)
        return stacked.reshape(-1, *stacked.shape[2:])

    def record(self) -> dict[str, Any]:
        """The store, by its path and what its chunks were last changed."""
        newest = max(
            (path for path in self.path.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns
        )
        return {"store": str(self.path.absolute()), "newest": identity(str(newest))}


def open_store(path: Path, eats: Eats) -> Store:
    """Look at a Zarr store.

    Args:
        path: of the store; its bands are variables (time, y, x) or (month, y, x), and it says its reference system.
        eats: bands and steps of the network; a step is a day, the beginning of one such as ``2026-04``, or a month.

    Raises:
        CropError: no such store, a step or band that is not there, or no reference system.
    """
    try:
        dataset = xr.open_zarr(path, chunks=None, decode_coords="all")
    except (OSError, ValueError, KeyError) as error:
        raise CropError(f"{path} cannot be read: {error}; give a Zarr store or a folder of composites") from error
    along = "month" if "month" in dataset.dims else "time"
    if missing := [band for band in eats.bands if band not in dataset or along not in dataset[band].dims]:
        raise CropError(f"{path} has no band {missing[0]} with steps; the network needs {', '.join(eats.bands)}")
    crs = dataset.rio.crs
    if crs is None:
        raise CropError(f"{path} does not say its coordinate reference system; write it with one")
    names = [f"{value:02d}" if along == "month" else str(value)[:10] for value in dataset[along].to_numpy()]
    places = [_place(names, step, path) for step in eats.steps]
    grid = Grid(crs.to_wkt(), tuple(dataset.rio.transform())[:6], dataset.sizes["x"], dataset.sizes["y"])
    return Store(path, dataset[list(eats.bands)].isel({along: places}), eats.bands, grid)


def _place(names: list[str], step: str, path: Path) -> int:
    month_only = len(step) == len("04")
    found = [
        place
        for place, name in enumerate(names)
        if (name[5:7] if month_only and len(name) > len("04") else name[: len(step)]) == step
    ]
    if len(found) != 1:
        raise CropError(f"{path} holds step {step!r} {len(found)} times; the network needs it once")
    return found[0]


def open_source(path: Path, eats: Eats) -> SeriesSource:
    """A Zarr store where the path is one, else a folder of composites."""
    is_store = any((path / name).exists() for name in (".zgroup", "zarr.json"))
    return open_store(path, eats) if is_store else open_composites(path, eats)
