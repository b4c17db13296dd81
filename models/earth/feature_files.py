"""From files of composites and elevation to a file of features."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import rioxarray
import xarray as xr
from odc.geo.geobox import GeoBox

from models.earth.cache import BlockCache
from models.earth.elevation import elevation_tiles, read_elevation
from models.earth.errors import EarthInputError, SceneError
from models.earth.feature_tables import Provenance, SourceScene, at_points, over_polygons, write_table
from models.earth.features import FeatureSettings, feature_stack
from models.earth.periods import months
from models.earth.writing import write_bands

_CHUNK_PX = 1024


def read_composites(folder: Path) -> xr.Dataset:
    """Monthly composites, lazily.

    Args:
        folder: of files such as ``2026-04.tif``, each month once, as ``pomona earth composites`` writes them.

    Returns:
        Bands as variables with dimensions (month, y, x), and the attributes ``scenes``, JSON, of all of them, and
        ``first`` and ``last`` month.

    Raises:
        EarthInputError: there are none, a month is there of two years, they differ in grid or bands, or one cannot be
            read.
    """
    paths = sorted(folder.glob("????-??.tif"))
    if not paths:
        raise EarthInputError(f"{folder} holds no monthly composites such as 2026-04.tif; make them first")
    numbers = [months(path.stem, path.stem)[0].first.month for path in paths]
    if twice := [month for month, times in Counter(numbers).items() if times > 1]:
        raise EarthInputError(f"{folder} holds month {twice[0]} of more than one year; keep the years apart")
    opened = [_read_bands(path) for path in paths]
    for path, raster in zip(paths[1:], opened[1:], strict=True):
        if set(raster) != set(opened[0]) or not all(raster.indexes[i].equals(opened[0].indexes[i]) for i in ("y", "x")):
            raise EarthInputError(f"{path} has other bands or another grid than {paths[0]}; make both in one run")
    scenes = [scene for raster in opened for scene in json.loads(raster.attrs.get("scenes", "[]"))]
    stacked = xr.concat(opened, "month", combine_attrs="override").assign_coords(month=numbers)
    told: xr.Dataset = stacked.assign_attrs(scenes=json.dumps(scenes), first=paths[0].stem, last=paths[-1].stem)
    return told


def _read_bands(path: Path) -> xr.Dataset:
    raster = _open(path)
    names = raster.attrs.pop("long_name", None)
    if names is None or len(names) != raster.sizes["band"]:
        raise EarthInputError(f"the bands of {path} have no descriptions; describe each by its name, such as B08")
    bands: xr.Dataset = raster.assign_coords(band=list(names)).to_dataset("band").assign_attrs(raster.attrs)
    return bands


def _open(path: Path) -> xr.DataArray:
    try:
        raster: Any = rioxarray.open_rasterio(path, chunks={"y": _CHUNK_PX, "x": _CHUNK_PX}, lock=False, masked=True)
    except rasterio.errors.RasterioIOError as error:
        raise EarthInputError(f"{path} cannot be read: {error}; give a GeoTIFF") from error
    opened: xr.DataArray = raster
    return opened


def grid_of_composites(composites: xr.Dataset) -> GeoBox:
    """Where the cells of composites lie."""
    return GeoBox((composites.sizes["y"], composites.sizes["x"]), composites.rio.transform(), composites.rio.crs)


def elevation_of(source: str, composites: xr.Dataset, cache: BlockCache) -> xr.DataArray:
    """Elevation in metres on the composites' grid.

    Args:
        source: see :func:`models.earth.elevation.elevation_tiles`.
        composites: see :func:`read_composites`.
        cache: what was read is kept there.

    Raises:
        CatalogueError: the catalogue is away.
        EarthInputError: there is no elevation here, or it cannot be read.
    """
    grid = grid_of_composites(composites)
    try:
        metres = read_elevation(elevation_tiles(source, grid.footprint("EPSG:4326").boundingbox.bbox), grid, cache)
    except SceneError as error:
        raise EarthInputError(f"the elevation model cannot be used: {error}") from error
    if bool(metres.isnull().all()):
        raise EarthInputError(f"{source} holds no elevation where the composites lie; give the model of that place")
    blocks = metres.chunk({"y": _CHUNK_PX, "x": _CHUNK_PX})
    placed: xr.DataArray = blocks.assign_coords(y=composites["y"], x=composites["x"]).rename("elevation_m")
    return placed


@dataclass(frozen=True)
class Inputs:
    """What features are made of.

    Attributes:
        composites: see :func:`read_composites`.
        elevation_m: see :func:`elevation_of`; None for no terrain.
        radar: see :func:`models.earth.radar_features.radar_features`; None for no backscatter.
    """

    composites: xr.Dataset
    elevation_m: xr.DataArray | None = None
    radar: xr.Dataset | None = None

    @property
    def scenes(self) -> list[dict[str, str]]:
        """All that went in."""
        of_radar = [] if self.radar is None else json.loads(self.radar.attrs["scenes"])
        return [*json.loads(self.composites.attrs["scenes"]), *of_radar]

    def features(self, settings: FeatureSettings) -> xr.Dataset:
        """All features, lazily."""
        stack = feature_stack(self.composites, self.elevation_m, settings)
        if self.radar is None:
            return stack
        merged: xr.Dataset = xr.merge([stack, self.radar], join="exact", compat="override", combine_attrs="override")
        return merged

    def record(self, settings: FeatureSettings) -> dict[str, Any]:
        """What features were made with."""
        record = settings.as_record()
        return record if self.radar is None else record | {"radar": json.loads(self.radar.attrs["settings"])}


def make_features(
    inputs: Inputs,
    settings: FeatureSettings,
    out: Path,
    found: Callable[[int], object] = int,
    advance: Callable[[int], object] = int,
) -> int:
    """Write all features as bands of a Cloud-Optimised GeoTIFF, block by block; how many they are.

    Args:
        inputs: what they are made of.
        settings: of the features.
        out: the file.
        found: called once with the number of blocks.
        advance: called with the number of blocks each time some are written.

    Raises:
        EarthInputError: as for :func:`models.earth.features.feature_stack`, or the file cannot be written.
    """
    stack = inputs.features(settings)
    single = {name: values.astype(np.float32).drop_attrs(deep=False) for name, values in stack.items()}
    told = {"scenes": json.dumps(inputs.scenes), "settings": json.dumps(inputs.record(settings))}
    try:
        write_bands(xr.Dataset(single, attrs=told), out, found, advance)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise EarthInputError(f"{out} cannot be written: {error}; free space or name another file") from error
    return len(stack)


def make_table(inputs: Inputs, settings: FeatureSettings, at: Path, out: Path) -> tuple[int, int]:
    """Write the features at points or over polygons as GeoParquet; how many places and features there are.

    Raises:
        EarthInputError: as for :func:`models.earth.features.feature_stack` and
            :mod:`models.earth.feature_tables`, or the places cannot be read.
    """
    try:
        places = geopandas.read_parquet(at) if at.suffix == ".parquet" else geopandas.read_file(at)
    except (OSError, ValueError, RuntimeError) as error:
        raise EarthInputError(f"{at} cannot be read: {error}; give points or polygons as GeoJSON") from error
    stack = inputs.features(settings)
    are_points = set(places.geometry.geom_type) == {"Point"}
    table = (at_points if are_points else over_polygons)(stack, places)
    scenes = tuple(SourceScene(**scene) for scene in inputs.scenes)
    write_table(out, table, stack, Provenance(scenes, inputs.record(settings)))
    return len(table), len(stack)
