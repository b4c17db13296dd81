"""Optical and radar bands of the same pixels, together or one of them alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.crops.series import CropError, PixelSeries

RADAR_BANDS = ("VV", "VH")
SENSORS = ("both", "optical", "radar")


def of_sensors(pixels: PixelSeries, which: str) -> PixelSeries:
    """The bands of one kind of satellite.

    Args:
        pixels: with bands of one kind or both.
        which: ``optical``, ``radar`` (VV and VH), or ``both`` for all that there is.

    Raises:
        CropError: no band of that kind, or no such kind.
    """
    if which not in SENSORS:
        raise CropError(f"there is no kind of sensor {which!r}; take {', '.join(SENSORS)}")
    kept = [i for i, b in enumerate(pixels.bands) if which == "both" or (b in RADAR_BANDS) == (which == "radar")]
    if not kept:
        raise CropError(f"the series have no {which} band; they have {', '.join(pixels.bands)}")
    return replace(pixels, values=pixels.values[..., kept], bands=tuple(pixels.bands[i] for i in kept))


def fused(optical: PixelSeries, radar: PixelSeries) -> PixelSeries:
    """Bands of two sets of the same pixels at the same steps, as the paper proposes: one series that holds both.

    Args:
        optical: pixels with their labels; everything but the bands is taken from here.
        radar: the same pixels in the same order.

    Raises:
        CropError: other pixels or steps, or a band that both have.
    """
    if len(optical) != len(radar) or not np.array_equal(optical.block, radar.block) or optical.steps != radar.steps:
        raise CropError("optical and radar series are not of the same pixels and steps; bring them to one table first")
    if twice := set(optical.bands) & set(radar.bands):
        raise CropError(f"both sets have the band {min(twice)}; rename one of them")
    return replace(
        optical, values=np.concatenate([optical.values, radar.values], 2), bands=(*optical.bands, *radar.bands)
    )
