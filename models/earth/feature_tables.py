"""Features at points and over polygons, as GeoParquet that says where its numbers come from.

A table is a GeoDataFrame: the columns it was given, its geometry, and a column for each feature. The file carries a
record beside GeoParquet's own, under the key ``pomona``: what each column is, the scenes with their dates and versions,
the settings, and the versions of the libraries that computed it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow.parquet
import xarray as xr
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource

from models.earth.errors import EarthInputError
from models.earth.raster_grid import RasterGrid, grid_of, north_up

RECORD_KEY = b"pomona"
_LIBRARIES = ("pomona-orchard", "numpy", "numba", "xarray", "exactextract")
KNOWN_SHARE = "known_share"


@dataclass(frozen=True)
class SourceScene:
    """A scene that features were made of.

    Attributes:
        id: its name in the catalogue.
        date: of the acquisition, ISO 8601.
        version: of its processing (baseline, or when the catalogue last changed it).
    """

    id: str
    date: str
    version: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where features come from.

    Attributes:
        scenes: all that went into them.
        settings: that they were made with.
    """

    scenes: tuple[SourceScene, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def at_points(features: xr.Dataset, points: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """The features of the cell that each point lies in.

    Args:
        features: variables with dimensions (y, x) and a reference system, on an even grid.
        points: of any reference system.

    Returns:
        The points with a column for each feature; NaN beyond the raster and where it is missing.

    Raises:
        EarthInputError: no point lies in the raster; what is given are no points; either has no reference system.
    """
    features = north_up(features)
    grid = grid_of(features)
    places = _on_grid(points, grid, {"Point"})
    column, row = grid.cells(places.geometry.x.to_numpy(), places.geometry.y.to_numpy())
    inside = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
    if not inside.any():
        raise _elsewhere("points", points, grid)
    where = {"y": xr.DataArray(row[inside], dims="point"), "x": xr.DataArray(column[inside], dims="point")}
    table = points.copy()
    for name, values in features.isel(where).compute().items():
        table[str(name)] = np.full(len(points), np.nan, dtype=values.dtype)
        table.loc[inside, str(name)] = values.to_numpy()
    return table


def over_polygons(features: xr.Dataset, polygons: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """The mean of each feature over each polygon; a cell weighs as much as the part of it that lies inside.

    Args:
        features: variables with dimensions (y, x) and a reference system, on an even grid.
        polygons: of any reference system.

    Returns:
        The polygons with a column for each feature, NaN where nothing of it is known, and ``known_share``, the share of
        the polygon's ground of which every feature is known.

    Raises:
        EarthInputError: no polygon meets the raster; what is given are no polygons; either has no reference system.
    """
    features = north_up(features)
    grid = grid_of(features)
    places = _on_grid(polygons, grid, {"Polygon", "MultiPolygon"})
    names = [str(name) for name in features]
    means = np.full((len(places), len(names)), np.nan)
    known_share = np.zeros(len(places))
    windows = list(grid.windows(places))
    if not windows:
        raise _elsewhere("polygons", polygons, grid)
    for members, window in windows:
        block = features.isel(window).compute()
        layers = {name: block[name].to_numpy().astype(np.float64) for name in names}
        layers[KNOWN_SHARE] = np.all([~np.isnan(layer) for layer in layers.values()], axis=0).astype(np.float64)
        found = _extracted(layers, grid.bounds(window), places.iloc[members])
        for place, name in enumerate(names):
            means[members, place] = found[f"{name}_mean"].to_numpy(dtype=float, na_value=np.nan)
        cells = found[f"{KNOWN_SHARE}_sum"].to_numpy(dtype=float, na_value=0)
        known_share[members] = cells * grid.width * grid.height / places.geometry.area.iloc[members]
    table = polygons.copy()
    for place, name in enumerate(names):
        table[name] = means[:, place].astype(features[name].dtype)
    return table.assign(**{KNOWN_SHARE: known_share})


def _extracted(
    layers: Mapping[str, Any], bounds: tuple[float, float, float, float], places: geopandas.GeoDataFrame
) -> Any:
    """Columns ``<layer>_mean`` and ``<layer>_sum``, cells weighted by their share inside."""
    crs = places.crs.to_wkt()
    sources = [
        NumPyRasterSource(layer, *bounds, nodata=np.nan, name=name, srs_wkt=crs) for name, layer in layers.items()
    ]
    return exact_extract(sources, places[[places.geometry.name]], ["mean", "sum"], output="pandas")


def _on_grid(places: geopandas.GeoDataFrame, grid: RasterGrid, kinds: set[str]) -> geopandas.GeoDataFrame:
    if places.crs is None:
        raise EarthInputError("the places have no reference system, so where they are is unknown; save them with one")
    if not len(places) or not set(places.geometry.geom_type) <= kinds:
        held = ", ".join(sorted(set(map(str, places.geometry.geom_type)))) or "nothing"
        raise EarthInputError(f"the table of places holds {held}; give {' or '.join(sorted(kinds))}")
    return places.to_crs(grid.crs)


def _elsewhere(kind: str, places: geopandas.GeoDataFrame, grid: RasterGrid) -> EarthInputError:
    def words(bounds: Any) -> str:
        return " ".join(f"{value:.6g}" for value in bounds)

    theirs = places.to_crs(grid.crs).total_bounds
    return EarthInputError(
        f"none of the {len(places)} {kind} ({words(theirs)}) lies on the raster ({words(grid.bounds())}, {grid.crs}); "
        "check the reference systems"
    )


def write_table(
    path: Path, table: geopandas.GeoDataFrame, features: xr.Dataset, provenance: Provenance | None = None
) -> None:
    """Write a table whole or not at all.

    Args:
        path: GeoParquet file; its folder is there.
        table: from :func:`at_points` or :func:`over_polygons`.
        features: what it was made from; their attributes describe the columns.
        provenance: where the features come from.

    Raises:
        EarthInputError: the file cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        table.to_parquet(part, index=False)
        whole = pyarrow.parquet.read_table(part)
        record = json.dumps(_record(table, features, provenance or Provenance()), ensure_ascii=False, default=str)
        metadata = {**(whole.schema.metadata or {}), RECORD_KEY: record.encode()}
        pyarrow.parquet.write_table(whole.replace_schema_metadata(metadata), part, compression="zstd")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise EarthInputError(f"{path} cannot be written: {error.strerror or error}; check the path") from error


def read_record(path: Path) -> dict[str, Any]:
    """What a table says of itself: ``columns``, ``scenes``, ``settings``, ``versions``.

    Raises:
        EarthInputError: it is no table of features.
    """
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise EarthInputError(f"{path} cannot be read as Parquet: {error}") from error
    if RECORD_KEY not in metadata:
        raise EarthInputError(f"{path} does not say where its numbers come from; it is no table of features")
    record: dict[str, Any] = json.loads(metadata[RECORD_KEY])
    return record


def _record(table: geopandas.GeoDataFrame, features: xr.Dataset, provenance: Provenance) -> dict[str, Any]:
    columns = {str(name): dict(values.attrs) for name, values in features.items()}
    if KNOWN_SHARE in table:
        columns[KNOWN_SHARE] = {"long_name": "share of the ground of which every feature is known", "units": "1"}
    return {
        "columns": columns,
        "scenes": [asdict(scene) for scene in provenance.scenes],
        "settings": dict(provenance.settings),
        "raster": {"crs": str(features.rio.crs), "cell": list(map(abs, features.rio.resolution()))},
        "versions": {name: version(name) for name in _LIBRARIES},
    }
