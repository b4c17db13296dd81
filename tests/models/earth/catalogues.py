"""Static catalogues on disk: of the real pixels of a Bavarian field, and of drawn scenes."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import pystac
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

UTM = "EPSG:32632"
BAVARIA = "EPSG:3857"
LAYERS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def write_tiff(path: Path, values: NDArray[Any], transform: Affine, crs: str | None, nodata: float | None = 0) -> None:
    """A tiled GeoTIFF of one band, as catalogues serve them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 1, "tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(
        path,
        "w",
        height=values.shape[0],
        width=values.shape[1],
        dtype=values.dtype,
        transform=transform,
        crs=crs,
        nodata=nodata,
        compress="deflate",
        **profile,
    ) as file:
        file.write(values, 1)


def item_of(name: str, moment: str, files: dict[str, Path], crs: str, **properties: Any) -> pystac.Item:
    """A STAC item of files that share a footprint."""
    with rasterio.open(next(iter(files.values()))) as file:
        footprint = GeoBox((file.height, file.width), file.transform, crs).footprint("EPSG:4326")
    item = pystac.Item(
        name,
        footprint.geom.__geo_interface__,
        list(footprint.boundingbox.bbox),
        datetime.fromisoformat(moment).replace(tzinfo=timezone.utc),
        {"proj:code": crs, "s2:processing_baseline": "02.06", **properties},
    )
    for layer, path in files.items():
        item.add_asset(layer, pystac.Asset(str(path), media_type=pystac.MediaType.COG))
    return item


def save_catalogue(folder: Path, items: list[pystac.Item]) -> Path:
    """A static catalogue that can be moved: it names its files from where they lie."""
    catalogue = pystac.Catalog("orchard", "scenes for tests")
    always = pystac.TemporalExtent([[datetime(2015, 1, 1, tzinfo=timezone.utc), None]])
    extent = pystac.Extent(pystac.SpatialExtent([-180.0, -90.0, 180.0, 90.0]), always)
    collection = pystac.Collection("sentinel-2-l2a", "reflectance", extent)
    catalogue.add_child(collection)
    collection.add_items(items)
    catalogue.normalize_hrefs(str(folder))
    catalogue.make_all_asset_hrefs_relative()
    catalogue.save(catalog_type=pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"


def bavarian_field(data: Path, folder: Path, field: str = "D4") -> Path:
    """A catalogue of a field's 12 to 14 dates of spring and summer 2018, every pixel and date as published."""
    published = data / "satellite/bavaria_yield_s2"
    table = np.genfromtxt(published / "fields.csv", delimiter=",", dtype=None, names=True, encoding="utf-8")
    place = table[table["field"] == field][0]
    with np.load(data / "satellite/bavaria_yield_s2/fields_s2_10m.npz") as held:
        pixels, dates, bands = held[f"{field}__s2"], held[f"{field}__dates"], held["bands"]
    transform = Affine(place["dx"], 0, place["x0"], 0, place["dy"], place["y0"])
    items = []
    for scene, day in zip(pixels, dates, strict=True):
        name = f"{field}-{day}"
        files = {str(band): folder / "files" / name / f"{band}.tif" for band in bands}
        for values, path in zip(scene, files.values(), strict=True):
            write_tiff(path, values, transform, BAVARIA)
        # the publisher kept clear scenes only, and nothing outside the field
        files["SCL"] = folder / "files" / name / "SCL.tif"
        write_tiff(files["SCL"], np.where(scene[1] > 0, 5, 0).astype(np.uint8), transform, BAVARIA)
        items.append(item_of(name, f"{day}T10:10:00", files, BAVARIA))
    return save_catalogue(folder, items)


def field_cells(catalogue: Path, grid: GeoBox) -> NDArray[np.bool_]:
    """Which cells of a grid lie in the Bavarian field: those its first scene has pixels for."""
    item = next(pystac.Catalog.from_file(str(catalogue)).get_items(recursive=True))
    item.make_asset_hrefs_absolute()
    cells: NDArray[np.bool_] = odc.stac.load([item], bands=["SCL"], geobox=grid)["SCL"].values[0] > 0
    return cells
