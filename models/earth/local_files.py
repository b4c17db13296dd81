"""Scenes on disk without a catalogue: Sentinel-2 products as SAFE folders, and folders of GeoTIFFs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pystac
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from models.earth.bands import BANDS, QUALITY
from models.earth.errors import EarthInputError

# S2A_MSIL2A_20230701T103631_N0509_R008_T31UFU_20230701T200058.SAFE
_PRODUCT = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?P<level>L\w\w)_(?P<time>\d{8}T\d{6})_N(?P<baseline>\d{4})_R\d{3}_T(?P<tile>\w{5})"
)
_DAY = re.compile(r"(20\d\d)-?(\d\d)-?(\d\d)(?:T(\d\d)(\d\d)(\d\d))?")
_BASELINE = re.compile(r"_N(\d\d)(\d\d)(?:_|$)")
_RADAR = re.compile(r"^S1[A-D]_")
_LAYERS = (*BANDS, *QUALITY, "VV", "VH")


def items_of_folder(folder: Path) -> Iterator[pystac.Item]:
    """The scenes of a folder.

    Args:
        folder: holds SAFE folders as ESA distributes them, or a folder a scene with one GeoTIFF a layer: its name tells
            day and baseline (``20230701_N0509``), the files' names the layer (``B02.tif``, ``anything_SCL.tif``).

    Raises:
        EarthInputError: it holds no scene, or one that cannot be used as it is.
    """
    scenes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = False
    for path in scenes:
        item = _safe(path) if path.suffix.upper() == ".SAFE" else _geotiffs(path)
        if item is not None:
            found = True
            yield item
    if not found:
        raise EarthInputError(
            f"{folder} holds neither a STAC catalogue (catalog.json), nor SAFE folders, nor folders of GeoTIFFs such "
            "as 20230701_N0509/B02.tif"
        )


def _safe(path: Path) -> pystac.Item:
    if _RADAR.match(path.name):
        raise EarthInputError(
            f"{path.name} is Sentinel-1 in radar geometry; use terrain-corrected backscatter (a catalogue's "
            "sentinel-1-rtc, or GeoTIFFs made with SNAP) and take the folder away"
        )
    told = _PRODUCT.match(path.name)
    if told is None or told["level"] != "L2A":
        raise EarthInputError(f"{path.name} is no Sentinel-2 L2A product by its name; take it away, or give L2A")
    assets: dict[str, Path] = {}
    for pixel_m in (60, 20, 10):  # the finest of each layer stays
        for file in sorted(path.glob(f"GRANULE/*/IMG_DATA/R{pixel_m}m/*_{pixel_m}m.jp2")):
            layer = file.stem.split("_")[-2]
            if layer in _LAYERS and (layer == "SCL" or BANDS[layer].pixel_m == pixel_m):
                assets[layer] = file
    baseline = f"{told['baseline'][:2]}.{told['baseline'][2:]}"
    moment = datetime.strptime(told["time"], "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    properties = {
        "s2:processing_baseline": baseline,
        "grid:code": f"MGRS-{told['tile']}",
        "platform": f"sentinel-{told['platform'][1:].lower()}",
    }
    return _item(path, moment, assets, properties)


def _geotiffs(path: Path) -> pystac.Item | None:
    assets = {
        layer: file
        for file in sorted(path.iterdir())
        if file.suffix.lower() in {".tif", ".tiff"} and (layer := _layer_of(file.stem)) is not None
    }
    told = _DAY.search(path.name)
    if not assets or told is None:
        return None
    try:
        moment = datetime.strptime("".join(part or "00" for part in told.groups()), "%Y%m%d%H%M%S").replace(
            tzinfo=timezone.utc
        )
    except ValueError as error:
        raise EarthInputError(f"{path} has no day in its name: {error}; call it 20230701_N0509") from error
    baseline = _BASELINE.search(path.name)
    return _item(
        path, moment, assets, {} if baseline is None else {"s2:processing_baseline": ".".join(baseline.groups())}
    )


def _layer_of(stem: str) -> str | None:
    return next((part.upper() for part in reversed(re.split(r"[_\-. ]", stem)) if part.upper() in _LAYERS), None)


def _item(path: Path, moment: datetime, assets: dict[str, Path], properties: dict[str, str]) -> pystac.Item:
    if not assets:
        raise EarthInputError(f"{path.name} holds no image; unpack the product whole, or take the folder away")
    first = next(iter(assets.values()))
    try:
        with rasterio.open(first) as file:
            grid = GeoBox((file.height, file.width), file.transform, file.crs) if file.crs else None
    except RasterioError:
        grid = None  # reading it will say what is wrong, and the other scenes go on
    footprint = None if grid is None else grid.footprint("EPSG:4326")
    item = pystac.Item(
        path.stem,
        None if footprint is None else footprint.geom.__geo_interface__,
        None if footprint is None else list(footprint.boundingbox.bbox),
        moment,
        dict(properties),
    )
    for layer, file_path in assets.items():
        item.add_asset(layer, pystac.Asset(str(file_path.resolve())))
    return item
