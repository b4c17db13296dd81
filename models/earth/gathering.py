"""From a boundary and a catalogue to scenes that can be read, with what cannot named and the rest done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import odc.stac
import pystac
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from models.earth.cache import BlockCache
from models.earth.catalogue import Search, find_items
from models.earth.errors import EarthInputError, SceneError
from models.earth.periods import Period
from models.earth.scenes import Scene, newest_of_each, sentinel2_scene
from models.earth.season import SeasonRequest, season_document
from models.earth.stack import Stacking, by_day, fetch, stack_scenes
from models.earth.variables import BANDS


@dataclass(frozen=True)
class Source:
    """Where scenes come from.

    Attributes:
        catalogue: see :func:`models.earth.catalogue.find_items`.
        collection: in it.
        most_cloud_percent: cloudier scenes are left out; None takes all.
        cache: folder in which what was read is kept.
    """

    catalogue: str
    collection: str
    most_cloud_percent: float | None
    cache: Path


@dataclass(frozen=True)
class Reporting:
    """How to tell what goes on.

    Attributes:
        found: called with the number of scenes before they are fetched.
        fetched: called with how many were dealt with since the last call.
        left_out: called with what is wrong with each scene that is left out.
    """

    found: Callable[[int], object] = int
    fetched: Callable[[int], object] = int
    left_out: Callable[[SceneError], object] = str


def gather(
    source: Source, area: BaseGeometry, periods: Sequence[Period], stacking: Stacking, reporting: Reporting
) -> list[Scene]:
    """Find and fetch the scenes of some periods.

    Args:
        source: see there.
        area: in degrees.
        periods: in order; scenes between the first and the last are taken.
        stacking: bands, grid and cache.
        reporting: see there.

    Returns:
        Those that were read whole, by day.

    Raises:
        CatalogueError: the catalogue is away.
        EarthInputError: nothing was found, or nothing could be read.
    """
    odc.stac.configure_rio(cloud_defaults=True)
    search = Search(source.collection, area.bounds, periods[0].first, periods[-1].last, source.most_cloud_percent)
    items = find_items(source.catalogue, search)
    if not items:
        raise EarthInputError(
            f"{source.catalogue} has no scene of {source.collection} here from {search.first} to {search.last}"
            f"{'' if search.most_cloud_percent is None else f' with at most {search.most_cloud_percent:g} % clouds'}; "
            "check boundary and dates, or allow cloudier scenes with --most-cloud"
        )
    layers = (*stacking.bands, stacking.quality)
    return read_whole(
        newest_of_each(items),
        lambda item: sentinel2_scene(item, layers),
        lambda scenes: fetch(scenes, stacking, reporting.fetched),
        reporting,
    )


def read_whole(
    items: Sequence[pystac.Item],
    scene_of: Callable[[pystac.Item], Scene],
    fetch_all: Callable[[list[Scene]], tuple[list[Scene], list[SceneError]]],
    reporting: Reporting,
) -> list[Scene]:
    """The scenes of items that could be read whole; of the others it is told what is wrong.

    Raises:
        EarthInputError: none could be read.
    """
    usable = [_scene_or_error(item, scene_of) for item in items]
    scenes = [scene for scene in usable if isinstance(scene, Scene)]
    reporting.found(len(scenes))
    good, unreadable = fetch_all(scenes)
    for wrong in (*(scene for scene in usable if isinstance(scene, SceneError)), *unreadable):
        reporting.left_out(wrong)
    if not good:
        raise EarthInputError(f"none of the {len(items)} scenes found can be used; what is wrong is said of each above")
    return good


def _scene_or_error(item: pystac.Item, scene_of: Callable[[pystac.Item], Scene]) -> Scene | SceneError:
    try:
        return scene_of(item)
    except SceneError as error:
        return error


def make_season(
    source: Source,
    area: BaseGeometry,
    request: SeasonRequest,
    quality: str,
    weather: NDArray[np.float64],
    reporting: Reporting,
) -> bytes:
    """The season file of an orchard; arguments as for :func:`gather` and :func:`models.earth.season.season_document`.

    Raises:
        MissingMonthError: a month in which the orchard was not seen.
    """
    stacking = Stacking(request.grid, BANDS, quality, cache=BlockCache(source.cache))
    scenes = gather(source, area, request.months, stacking, reporting)
    names = [[scene.id for scene in day] for day in by_day(scenes)]
    return season_document(request, stack_scenes(scenes, stacking), names, weather)
