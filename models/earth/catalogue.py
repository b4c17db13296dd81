"""Finding scenes: in a STAC service, in a static catalogue on disk or on the web, or in a saved page of items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from pathlib import Path

import pystac
import pystac_client
import requests
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry import box, shape
from urllib3 import Retry

from models.earth.errors import CatalogueError, EarthInputError
from models.earth.local_files import items_of_folder

EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"
_TIMEOUT_S = 60
_PAGE = 100  # items a request; services cut larger ones


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        collection: such as ``sentinel-2-l2a``; a static catalogue without collections holds what it holds.
        bounds: west, south, east, north in degrees.
        first: first day.
        last: last day.
        most_cloud_percent: scenes with more are left out; None takes all.
    """

    collection: str
    bounds: tuple[float, float, float, float]
    first: date
    last: date
    most_cloud_percent: float | None = None


def find_items(catalogue: str, search: Search) -> list[pystac.Item]:
    """Items of a catalogue.

    Args:
        catalogue: address of a STAC service or of a static catalogue; a catalogue's JSON file, a page of items saved as
            JSON, or a folder with one of these, with SAFE folders or with a folder of GeoTIFFs a scene.
        search: see there.

    Raises:
        CatalogueError: the service does not answer, or not as a catalogue.
        EarthInputError: there is no catalogue at this place.
    """
    if "://" in catalogue:
        return _from_service(catalogue, search)
    return [item for item in _from_disk(Path(catalogue)) if _fits(item, search)]


def _from_service(address: str, search: Search) -> list[pystac.Item]:
    retry = Retry(total=4, connect=1, backoff_factor=1, status_forcelist=(429, 502, 503, 504), allowed_methods=None)
    try:
        client = pystac_client.Client.open(address, stac_io=StacApiIO(timeout=_TIMEOUT_S, max_retries=retry))
        if not client.conforms_to("ITEM_SEARCH"):
            return [item for item in client.get_items(recursive=True) if _fits(item, search)]
        found = client.search(
            collections=[search.collection],
            bbox=list(search.bounds),
            datetime=f"{search.first.isoformat()}T00:00:00Z/{search.last.isoformat()}T23:59:59Z",
            limit=_PAGE,
        )
        # clouds are compared here: not all services can, and each wants another language
        return [item for item in found.items() if _fits(item, search)]
    except (APIError, requests.RequestException) as error:
        raise CatalogueError(
            f"catalogue {address} does not answer ({_short(error)}); check address and network, and start again later: "
            "what was fetched is kept"
        ) from error
    except (pystac.STACTypeError, pystac.STACError, KeyError, ValueError) as error:
        raise CatalogueError(
            f"catalogue {address} does not answer as a STAC catalogue does ({_short(error)}); check the address"
        ) from error


def _from_disk(path: Path) -> Iterator[pystac.Item]:
    file = path / "catalog.json" if path.is_dir() else path
    if not file.is_file():
        if not path.is_dir():
            raise EarthInputError(f"there is no catalogue at {path}; check the path")
        yield from items_of_folder(path)
        return
    try:
        told = json.loads(file.read_bytes())
        if isinstance(told, dict) and told.get("type") == "FeatureCollection":
            items: Iterator[pystac.Item] = iter(pystac.ItemCollection.from_dict(told))
        else:
            items = pystac.Catalog.from_file(str(file)).get_items(recursive=True)
        for item in items:
            item.make_asset_hrefs_absolute()
            yield item
    except (OSError, ValueError, KeyError, pystac.STACTypeError, pystac.STACError) as error:
        raise EarthInputError(
            f"{file} is no STAC catalogue, or one of its files is missing ({_short(error)}); write it again"
        ) from error


def _fits(item: pystac.Item, search: Search) -> bool:
    """What a service was asked for and may have understood otherwise; a static catalogue is asked nothing."""
    if item.collection_id not in {None, search.collection}:
        return False
    moment = item.datetime or item.common_metadata.start_datetime
    first = datetime.combine(search.first, time.min, timezone.utc)
    last = datetime.combine(search.last, time.max, timezone.utc)
    if moment is None or not first <= moment.astimezone(timezone.utc) <= last:
        return False
    cloud = item.properties.get("eo:cloud_cover")
    if search.most_cloud_percent is not None and cloud is not None and cloud > search.most_cloud_percent:
        return False
    footprint = shape(item.geometry) if item.geometry else box(*item.bbox) if item.bbox else None
    return footprint is None or bool(footprint.intersects(box(*search.bounds)))


def _short(error: Exception) -> str:
    """Its first line: services answer with whole pages, and libraries name every layer of theirs."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
