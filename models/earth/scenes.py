"""A scene: one acquisition of one catalogue item, with what is needed to read it and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

import pystac

from models.earth.bands import asset_of
from models.earth.errors import SceneError
from models.earth.reflectance import baseline_of, offset_of

_TILES = ("grid:code", "s2:mgrs_tile", "sentinel:grid_square")


@dataclass(frozen=True)
class Scene:
    """What is read of a scene.

    Attributes:
        id: its name in the catalogue.
        day: its day by the sun, at the place it shows.
        offset: what its digital numbers need added, see :func:`models.earth.reflectance.offset_of`.
        hrefs: by layer (a band, ``SCL``, ``QA60``, ``VV``), address of its file.
        epsg: the reference system it says its files have; None where it does not say.
        version: when it was last changed; what was cached of another version is not used.
    """

    id: str
    day: date
    offset: int
    hrefs: dict[str, str]
    epsg: int | None
    version: str


def sentinel2_scene(item: pystac.Item, layers: Sequence[str]) -> Scene:
    """The scene of an item of Sentinel-2 L2A.

    Args:
        item: from a catalogue.
        layers: bands and quality layers that will be read.

    Raises:
        SceneError: it lacks one of them, its time or its processing baseline.
    """
    return _scene(item, {layer: asset_of(layer, item.assets) for layer in layers}, offset_of(item))


def sentinel1_scene(item: pystac.Item, polarisations: Sequence[str]) -> Scene:
    """The scene of an item of Sentinel-1 backscatter, whose assets are named as its polarisations, in any case.

    Raises:
        SceneError: it lacks one of them or its time.
    """
    names = {name.upper(): name for name in item.assets}
    return _scene(item, {layer: names.get(layer) for layer in polarisations}, 0)


def newest_of_each(items: Iterable[pystac.Item]) -> list[pystac.Item]:
    """Without earlier processings of what one satellite saw of one tile on one day; by time.

    Two items of one baseline both stay: a pass may be cut into two within a tile.
    """
    groups: dict[object, list[pystac.Item]] = {}
    for item in items:
        place = next((item.properties[name] for name in _TILES if name in item.properties), None)
        key = item.id if place is None else (place, item.properties.get("platform"), _moment(item).date())
        groups.setdefault(key, []).append(item)
    kept = []
    for group in groups.values():
        newest = max(baseline_of(item) or 0.0 for item in group)
        kept += [item for item in group if (baseline_of(item) or 0.0) == newest]
    return sorted(kept, key=lambda item: (_moment(item), item.id))


def record_of(scenes: Iterable[Scene]) -> list[dict[str, str]]:
    """Of each scene its ``id``, ``date`` and ``version``, by day: what files say that they were made of."""
    ordered = sorted(scenes, key=lambda scene: (scene.day, scene.id))
    return [{"id": scene.id, "date": str(scene.day), "version": scene.version} for scene in ordered]


def _scene(item: pystac.Item, assets: dict[str, str | None], offset: int) -> Scene:
    lacking = [layer for layer, name in assets.items() if name is None]
    if lacking:
        raise SceneError(
            f"scene {item.id} has no {', '.join(lacking)}; its assets are {', '.join(sorted(item.assets)) or 'none'}. "
            "Take it from another catalogue, or leave it out"
        )
    return Scene(
        id=item.id,
        day=_solar_day(item),
        offset=offset,
        hrefs={layer: item.assets[str(name)].get_absolute_href() or "" for layer, name in assets.items()},
        epsg=_epsg(item),
        version=str(item.properties.get("updated") or item.properties.get("created") or ""),
    )


def _epsg(item: pystac.Item) -> int | None:
    told = item.properties.get("proj:epsg") or str(item.properties.get("proj:code") or "").removeprefix("EPSG:")
    return int(told) if str(told).isdigit() else None


def _moment(item: pystac.Item) -> datetime:
    moment = item.datetime or item.common_metadata.start_datetime
    if moment is None:
        raise SceneError(f"scene {item.id} has no time; add datetime to its properties")
    return moment.astimezone(timezone.utc)


def _solar_day(item: pystac.Item) -> date:
    """Neighbouring tiles of one pass belong to one day, also where midnight in Greenwich falls between them."""
    longitude = 0.0 if item.bbox is None else (item.bbox[0] + item.bbox[len(item.bbox) // 2]) / 2
    return (_moment(item) + timedelta(hours=longitude / 15)).date()
