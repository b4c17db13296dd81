"""Features of Sentinel-1: from a catalogue to decibels of regular steps on the composites' grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import odc.stac
import xarray as xr

from models.earth.backscatter import POLARISATIONS, RadarStacking, fetch_backscatter, stack_backscatter
from models.earth.cache import BlockCache
from models.earth.catalogue import Search, find_items
from models.earth.errors import EarthInputError
from models.earth.feature_files import grid_of_composites
from models.earth.gathering import Reporting, Source, read_whole
from models.earth.periods import months
from models.earth.radar import LOOKS_OF_IW_GRD, StepSettings, refined_lee, regular_series
from models.earth.scenes import Scene, record_of, sentinel1_scene


@dataclass(frozen=True)
class RadarSettings:
    """How features of Sentinel-1 are made.

    Attributes:
        step_days: length of a step.
        longest_gap_days: see :class:`models.earth.radar.StepSettings`.
        looks: equivalent number of looks, of the speckle filter.
    """

    step_days: int = 12
    longest_gap_days: int | None = None
    looks: float = LOOKS_OF_IW_GRD


def radar_features(source: Source, composites: xr.Dataset, settings: RadarSettings, reporting: Reporting) -> xr.Dataset:
    """Backscatter of each step of the composites' months, filtered against speckle.

    Args:
        source: where scenes are.
        composites: see :func:`models.earth.feature_files.read_composites`.
        settings: see there.
        reporting: how to tell what goes on; scenes that cannot be read are left out.

    Returns:
        Lazy: for each polarisation and step a variable of dimensions (y, x), named by the days since the first month
        began (``VV_d012``), in decibels, NaN where missing; and the attributes ``scenes`` and ``settings``, JSON, of
        what they were made of and how.

    Raises:
        CatalogueError: the catalogue is away.
        EarthInputError: nothing was found or can be read, or the first or last step has no scene.
    """
    span = months(composites.attrs["first"], composites.attrs["last"])
    first, days = span[0].first, (span[-1].last - span[0].first).days + 1
    steps = StepSettings(first, -(-days // settings.step_days), settings.step_days, settings.longest_gap_days)
    stacking = RadarStacking(grid_of_composites(composites), cache=BlockCache(source.cache))
    scenes = _gather(source, stacking, steps, reporting)
    _check_ends(scenes, steps)
    power = stack_backscatter(scenes, stacking)
    variables: dict[str, Any] = {}
    for name in POLARISATIONS:
        series = regular_series(refined_lee(power[name], settings.looks), steps)
        for number, day in enumerate(series.indexes["time"].date):
            told = {"long_name": f"{name} backscatter, mean of {settings.step_days} days from {day}"}
            step = series.isel(time=number, drop=True)
            variables[f"{name}_d{number * settings.step_days:03d}"] = step.assign_attrs(told)
    told = {"scenes": json.dumps(record_of(scenes)), "settings": json.dumps(asdict(settings))}
    on_grid: xr.Dataset = xr.Dataset(variables, attrs=told).assign_coords(y=composites["y"], x=composites["x"])
    return on_grid


def _gather(source: Source, stacking: RadarStacking, steps: StepSettings, reporting: Reporting) -> list[Scene]:
    odc.stac.configure_rio(cloud_defaults=True)
    bounds = stacking.grid.footprint("EPSG:4326").boundingbox.bbox
    items = find_items(source.catalogue, Search(source.collection, bounds, steps.start, steps.end))
    if not items:
        raise EarthInputError(
            f"{source.catalogue} has no scene of Sentinel-1 here from {steps.start} to {steps.end}; check the place, "
            f"the dates and the collection ({source.collection})"
        )
    return read_whole(
        items,
        lambda item: sentinel1_scene(item, POLARISATIONS),
        lambda scenes: fetch_backscatter(scenes, stacking, reporting.fetched),
        reporting,
    )


def _check_ends(scenes: Sequence[Scene], steps: StepSettings) -> None:
    """Gaps are filled from both sides, so the first and the last step need scenes of their own."""
    taken = {(scene.day - steps.start).days // steps.days for scene in scenes}
    lacking = [word for word, number in (("first", 0), ("last", steps.steps - 1)) if number not in taken]
    if lacking:
        raise EarthInputError(
            f"Sentinel-1 has no scene in the {' and the '.join(lacking)} {steps.days} days of {steps.start} to "
            f"{steps.end}, and nothing is made up there; give scenes of these days, or composites of other months"
        )
