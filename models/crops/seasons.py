"""Seasons: series that begin at planting, and the part of them that is known at a date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from models.crops.composing import filled
from models.crops.series import CropError, FloatArray, IntArray, PixelSeries


def from_planting(pixels: PixelSeries, first: Mapping[str, int], steps: int) -> PixelSeries:
    """Series of all regions from each region's planting on, so that equal steps are equal ages of the crop.

    Args:
        pixels: of the whole year.
        first: for each region, the step at which its season begins.
        steps: of a season.

    Returns:
        Steps are named by their number from planting.

    Raises:
        CropError: a region without a first step, or a season that does not fit into the year.
    """
    values = np.empty((len(pixels), steps, len(pixels.bands)), np.float32)
    for index, name in enumerate(pixels.regions):
        if name not in first:
            raise CropError(f"no first step is known for {name}; give one for every region")
        begin = first[name]
        if not 0 <= begin <= len(pixels.steps) - steps:
            raise CropError(
                f"a season of {steps} steps from step {begin} in {name} does not fit into {len(pixels.steps)} steps"
            )
        here = pixels.region == index
        values[here] = pixels.values[here, begin : begin + steps]
    return replace(pixels, values=values, steps=tuple(f"{step:02d}" for step in range(steps)))


def so_far(values: FloatArray, lengths: IntArray, instead: FloatArray) -> FloatArray:
    """What is known of each season at its own date: gaps are filled from the steps up to it and from nothing later.

    Filling first and cutting after would let a gap's neighbour after the date into the series.

    Args:
        values: (n, time, bands); NaN where missing.
        lengths: (n,) steps that are known, 1 to time.
        instead: (bands,) that stands for a band which was not seen yet.

    Returns:
        (n, time, bands); zero after each length.
    """
    known = np.zeros_like(values)
    for length in np.unique(lengths):
        here = lengths == length
        part = values[here, :length]
        gapless = filled(part) if np.isnan(part).any() else part
        known[here, :length] = np.where(np.isnan(gapless), instead, gapless)
    return known
