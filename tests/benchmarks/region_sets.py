"""The sets LSTM-MTL is measured on, each from planting or by its own calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.crops.composing import medians
from models.crops.importers import OTHER, an_giang_rice, mctnet
from models.crops.seasons import from_planting
from models.crops.sensors import fused
from models.crops.series import PixelSeries, joined
from models.maps.blocks import block_of

RICE = 3
REGIONS = ("arkansas", "california")
# planting as the paper has it: 1 April in Arkansas, 25 April in the Sacramento Valley; steps of ten days from 1 January
PLANTING: Mapping[str, int] = {"arkansas": 9, "california": 11}
STEPS = 18
# rice of this set loses its green after step 24 in Arkansas and 26 in California, both 15 steps from planting
MATURITY, TWO_MONTHS = 15, 6
_MISSING = 65535
_HALF = 47.0  # degrees north
_OPTICAL = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")


def rice_of_two_states(data: Path) -> PixelSeries:
    """Rice against all else in Arkansas and California, ten-day steps from planting, NaN where cloudy."""
    folder = data / "satellite" / "mctnet_us_s2"
    year = joined([mctnet(folder, state, (RICE,), steps=36) for state in REGIONS])
    return from_planting(year, PLANTING, STEPS)


def rice_of_an_giang(data: Path) -> PixelSeries:
    """Rice or not in An Giang, VV and VH in 12-day medians of 2022."""
    pixels, _ = an_giang_rice(data / "satellite" / "ey_rice_s1_angiang")
    days = pd.to_datetime(list(pixels.steps)).dayofyear.to_numpy() - 1
    period = np.unique(days // 12, return_inverse=True)[1]
    values = medians(pixels.values, period)
    steps = tuple(f"{index:02d}" for index in range(values.shape[1]))
    return replace(pixels, values=values, steps=steps)


def maize_of_france(data: Path) -> PixelSeries:
    """Maize against all else in the west of France 2023, optical and radar, ten-day steps of the year, NaN if cloudy.

    Two regions: north and south of 47 degrees.
    """
    path = data / "satellite" / "worldcereal_samples" / "fra_lpis_2023_dekad.parquet"
    rows = pd.read_parquet(path)
    rows = rows[rows["timestamp"].dt.year == 2023]
    points = rows.drop_duplicates("sample_id").sort_values("sample_id")
    dates = sorted(rows["timestamp"].unique())
    every = pd.MultiIndex.from_product([points["sample_id"], dates])
    rows = rows.drop_duplicates(["sample_id", "timestamp"]).set_index(["sample_id", "timestamp"]).reindex(every)
    number, steps = len(points), len(dates)

    def series(names: tuple[str, ...]) -> NDArray[np.float32]:
        raw = rows[list(names)].to_numpy(np.float32).reshape(number, steps, len(names))
        seen: NDArray[np.float32] = np.where(raw == _MISSING, np.float32(np.nan), raw).astype(np.float32)
        return seen

    north = (points["lat"].to_numpy() > _HALF).astype(np.int64)
    block = block_of(points["lon"].to_numpy(np.float64), points["lat"].to_numpy(np.float64), 20.0)
    optical = PixelSeries(
        values=series(tuple(f"S2-L2A-{band}" for band in _OPTICAL)) / np.float32(1e4),
        label=(points["sampling_label"] != "maize").to_numpy(np.int64),
        legend=("maize", OTHER),
        bands=_OPTICAL,
        steps=tuple(f"{index:02d}" for index in range(steps)),
        block=block,
        region=north,
        regions=("south", "north"),
        zone=np.zeros(number, np.int64),
        weight=np.ones(number, np.float32),
    )
    decibels = 20 * np.log10(np.maximum(series(("S1-SIGMA0-VV", "S1-SIGMA0-VH")), 1)) - 83  # WorldCereal's packing
    return fused(optical, replace(optical, values=decibels.astype(np.float32), bands=("VV", "VH")))
