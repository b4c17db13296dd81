"""Sentinel-1 backscatter: decibels, the refined Lee filter against speckle, and a regular series of steps.

Filter and means over time work on power, since speckle multiplies power; interpolation and models take decibels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from models.earth.blocks import by_blocks, name_of
from models.earth.errors import EarthInputError
from models.earth.gaps import fill_gaps
from models.earth.refined_lee import MARGIN_PX, filter_image

# Array of NumPy or Dask, or DataArray
Array = Any

# equivalent number of looks of Sentinel-1 GRD in IW mode at high resolution (Sentinel-1 Product Definition, ESA)
LOOKS_OF_IW_GRD = 4.4


def to_decibels(power: Array) -> Array:
    """10 log₁₀ of backscatter in power; NaN where it is zero or less, as at the borders of a scene."""
    return xr.apply_ufunc(_decibels, power, dask="allowed", keep_attrs=True)


def _decibels(power: Array) -> Array:
    return 10 * np.log10(np.where(power > 0, power, np.nan).astype(power.dtype))


def from_decibels(decibels: Array) -> Array:
    """Backscatter in power from decibels."""
    return 10 ** (decibels / 10)


def refined_lee(power: xr.DataArray, looks: float = LOOKS_OF_IW_GRD) -> xr.DataArray:
    """The refined Lee filter (:mod:`models.earth.refined_lee`), lazily where the image is lazy.

    Args:
        power: dimensions (…, y, x), backscatter in power, not in decibels; NaN where missing.
        looks: equivalent number of looks; speckle's variance is mean² / looks.

    Returns:
        The image with less speckle; missing where it was missing.

    Raises:
        EarthInputError: ``looks`` is not above 0, or the image holds whole numbers.
    """
    if not looks > 0:
        raise EarthInputError(f"looks is {looks}; the equivalent number of looks is above 0")
    if power.dtype.kind != "f":
        raise EarthInputError(f"{name_of(power)} holds whole numbers; calibrate it to backscatter in power first")

    def of_block(block: NDArray[Any]) -> NDArray[Any]:
        images = block.reshape(-1, *block.shape[-2:])
        return np.stack([filter_image(image, looks) for image in images]).reshape(block.shape)

    filtered = by_blocks(of_block, power, MARGIN_PX, power.dtype)
    made_with = {**power.attrs, "speckle_filter": f"refined Lee, {looks:g} looks"}
    image = xr.DataArray(filtered, power.coords, name=power.name, attrs=made_with)
    ordered: xr.DataArray = image.transpose(*power.dims)
    return ordered


@dataclass(frozen=True)
class StepSettings:
    """The regular series that scenes are brought to.

    Attributes:
        start: first day of the first step.
        steps: how many.
        days: of each; 12 is the longest revisit of one satellite.
        longest_gap_days: between the known steps on either side; a longer gap stays open. None fills any.
    """

    start: date
    steps: int
    days: int = 12
    longest_gap_days: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.days < 1:
            raise EarthInputError(f"{self.steps} steps of {self.days} days are no series; both are 1 or more")

    @property
    def end(self) -> date:
        """The last day of the last step."""
        return self.start + timedelta(days=self.steps * self.days - 1)


def regular_series(power: xr.DataArray, settings: StepSettings) -> xr.DataArray:
    """Mean power of each step in decibels, gaps filled linearly; lazily where the scenes are lazy.

    Args:
        power: dimension ``time``, backscatter in power, filtered already; NaN where missing.
        settings: the steps.

    Returns:
        Decibels along ``time``, the first day of each step, with the coordinate ``scenes``, how many a step had; NaN
        before the first and after the last that is known, and in gaps that are too long.

    Raises:
        EarthInputError: there is no dimension ``time``, or no scene falls into the steps.
    """
    if "time" not in power.dims:
        raise EarthInputError(f"{name_of(power)} has no dimension time; stack the scenes by their dates")
    start = np.datetime64(settings.start, "ns")
    step = np.timedelta64(settings.days, "D")
    places = np.floor((power["time"].to_numpy() - start) / step).astype(np.int64)
    scenes = np.bincount(places[(places >= 0) & (places < settings.steps)], minlength=settings.steps)
    if not scenes.any():
        raise EarthInputError(
            f"no scene falls into the {settings.steps} steps of {settings.days} days from {settings.start}; "
            "move the start or give other scenes"
        )
    nothing = xr.full_like(power.isel(time=0, drop=True), np.nan)
    means = [
        power.isel(time=np.flatnonzero(places == place)).mean("time") if scenes[place] else nothing
        for place in range(settings.steps)
    ]
    days = start + step * np.arange(settings.steps)
    stacked = xr.concat(means, "time").assign_coords(time=days, scenes=("time", scenes)).transpose(*power.dims)
    counted = to_decibels(stacked).assign_attrs({**power.attrs, "units": "dB"})
    return fill_gaps(counted, "time", settings.longest_gap_days)
