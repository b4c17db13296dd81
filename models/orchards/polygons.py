"""Polygons of the mapped orchards with their areas."""

from __future__ import annotations

import warnings
from pathlib import Path

import geopandas
import rasterio
from exactextract import exact_extract
from exactextract.raster import RasterioRasterSource
from rasterio.features import shapes
from shapely.geometry import shape

from models.maps.surface import GEOD
from models.orchards.area import M2_PER_HA, MU_PER_HA
from models.orchards.cog import CLASS_BAND, CONFIDENCE_BAND
from models.orchards.tiles import ORCHARD

LAYER = "orchards"


def write_polygons(path: Path, map_path: Path, smallest_ha: float) -> int:
    """Outline the orchards of a map as a GeoPackage, largest first.

    Pixels that touch by a side are one orchard. Areas are those on the ellipsoid, whatever the projection. The raster
    is walked line by line, so that memory grows with the polygons and not with the map.

    Args:
        path: of the GeoPackage; it is there whole or not at all.
        map_path: of the map.
        smallest_ha: smaller polygons are left out here; the map keeps them.

    Returns:
        How many orchards were outlined.
    """
    outlines = _outlines(map_path)
    area_ha = [abs(GEOD.geometry_area_perimeter(outline)[0]) / M2_PER_HA for outline in outlines.geometry.to_crs(4326)]
    outlines["area_ha"] = [round(area, 4) for area in area_ha]
    outlines["area_mu"] = [round(area * MU_PER_HA, 3) for area in area_ha]
    outlines = outlines[[area >= smallest_ha for area in area_ha]].sort_values(
        "area_ha", ascending=False, kind="stable", ignore_index=True
    )
    outlines["confidence_percent"] = _confidence(map_path, outlines)
    outlines["orchard"] = range(1, len(outlines) + 1)
    columns = ["orchard", "area_ha", "area_mu", "confidence_percent", "geometry"]
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    partial.unlink(missing_ok=True)
    outlines[columns].to_file(partial, layer=LAYER, driver="GPKG")
    partial.replace(path)
    return len(outlines)


def _outlines(map_path: Path) -> geopandas.GeoDataFrame:
    alone = map_path.with_suffix(".orchards.tif")
    with rasterio.open(map_path) as raster:
        crs = raster.crs
        profile = {**raster.profile, "driver": "GTiff", "count": 1, "nodata": None}
        with rasterio.open(alone, "w", **profile) as only:
            for _, window in raster.block_windows(CLASS_BAND):
                only.write((raster.read(CLASS_BAND, window=window) == ORCHARD).astype("uint8"), 1, window=window)
    with rasterio.open(alone) as only:
        band = rasterio.band(only, 1)
        found = [shape(outline) for outline, _ in shapes(band, mask=band, connectivity=4, transform=only.transform)]
    alone.unlink()
    return geopandas.GeoDataFrame(geometry=found, crs=crs)


def _confidence(map_path: Path, outlines: geopandas.GeoDataFrame) -> list[float]:
    """The mean confidence of each outline's pixels."""
    if outlines.empty:
        return []
    with rasterio.open(map_path) as raster, warnings.catch_warnings():
        # the outlines are in the raster's own system, which the library compares as text
        warnings.filterwarnings("ignore", message="Spatial reference system")
        means = exact_extract(
            RasterioRasterSource(raster, band_idx=CONFIDENCE_BAND), outlines[["geometry"]], "mean", output="pandas"
        )
    return [round(float(mean), 1) for mean in means["mean"]]
