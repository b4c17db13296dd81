"""Public sets of pixel series: what each holds, in our units, and what it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from models.crops.composing import monthly
from models.crops.series import CropError, PixelSeries, joined
from models.maps.blocks import block_of

MONTHS = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12")
TEN_DAYS = tuple(f"{month}-{day}" for month in MONTHS for day in ("01", "11", "21"))
OTHER = "other"
BLOCK_KM = 20.0
_REFLECTANCE = np.float32(1e-4)

# codes of the Cropland Data Layer; 77 is pears in its legend, whatever a set calls it
CDL: Mapping[int, str] = {
    1: "corn",
    2: "cotton",
    3: "rice",
    5: "soybean",
    24: "winter wheat",
    26: "winter wheat, then soybean",
    36: "alfalfa",
    54: "tomatoes",
    61: "fallow",
    69: "grapes",
    75: "almonds",
    76: "walnuts",
    77: "pears",
    121: "developed, open",
    176: "grassland",
    204: "pistachios",
}
# the classes of the peers' own tables; every other code is their "other"
PEERS: Mapping[str, tuple[int, ...]] = {"arkansas": (1, 2, 3, 5), "california": (3, 36, 69, 75, 77)}


def mctnet(folder: Path, state: str, codes: Sequence[int], *, other: bool = True, steps: int = 12) -> PixelSeries:
    """Points of one state, Sentinel-2 of 2021, labelled by the Cropland Data Layer.

    Args:
        folder: of the set.
        state: ``arkansas`` or ``california``.
        codes: of the layer that are classes; named in :data:`CDL`.
        other: whether points of other codes are a class of their own, and not left out.
        steps: 12 for medians of the months, gaps filled; 36 for its steps of ten days, NaN where cloudy.

    Returns:
        Reflectance in 0 to 1, ten bands; blocks of 20 km, two disjoint zones.

    Raises:
        CropError: no such steps, or no such state there.
    """
    if steps not in {12, 36}:
        raise CropError(f"{steps} steps cannot be made; take 12 months or 36 steps of ten days")
    path = folder / f"{state}_s2_10day_2021.npz"
    try:
        with np.load(path, allow_pickle=False) as read:
            held = {name: read[name] for name in ("X", "cdl", "zone", "lon", "lat", "bands")}
    except (OSError, KeyError) as error:
        raise CropError(f"{path} cannot be read: {error}; give the folder of the set and a state in it") from error
    raw = held["X"]
    cloudy = (raw == 0).all(2, keepdims=True)
    values = np.where(cloudy, np.float32(np.nan), raw * _REFLECTANCE).astype(np.float32)
    legend = tuple(CDL[code] for code in codes) + ((OTHER,) if other else ())
    label = np.full(len(raw), len(codes) if other else -1, np.int64)
    for index, code in enumerate(codes):
        label[held["cdl"] == code] = index
    there = label >= 0
    pixels = PixelSeries(
        values=values[there],
        label=label[there],
        legend=legend,
        bands=tuple(str(band) for band in held["bands"]),
        steps=TEN_DAYS,
        block=block_of(held["lon"].astype(np.float64), held["lat"].astype(np.float64), BLOCK_KM)[there],
        region=np.zeros(there.sum(), np.int64),
        regions=(state,),
        zone=held["zone"].astype(np.int64)[there],
        weight=np.ones(there.sum(), np.float32),
    )
    return pixels if steps == len(TEN_DAYS) else monthly(pixels, np.repeat(np.arange(12), 3), MONTHS)


def mctnet_joint(folder: Path, codes: Sequence[int] = tuple(CDL), *, other: bool = False) -> PixelSeries:
    """Points of both states under one legend, monthly medians; by default its 16 classes of 190 points or more."""
    return joined([mctnet(folder, state, codes, other=other) for state in PEERS])


def an_giang_rice(folder: Path, *, missing_db: float = -9999.0) -> tuple[PixelSeries, np.ndarray]:
    """Windows of 10 x 10 pixels in An Giang, Sentinel-1 of 2022, rice or not.

    Args:
        folder: of the set.
        missing_db: what stands for a value that is not there, in hundredths of dB.

    Returns:
        One pixel a window, the mean of its pixels taken in power, (n, 57, 2) in dB with VV first; and the windows
        themselves, (n, 57, 2, 10, 10) in dB. NaN where missing. Blocks hold one class only.

    Raises:
        CropError: a set that cannot be read.
    """
    try:
        points = pd.read_csv(folder / "train_points.csv")
        with np.load(folder / "train_s1_10x10_2022.npz", allow_pickle=False) as read:
            raw, label, dates = read["X_db100"], read["y"], read["dates"]
    except (OSError, KeyError) as error:
        raise CropError(f"{folder} cannot be read: {error}; give the folder of the set") from error
    windows = np.where(raw == missing_db, np.float32(np.nan), raw / np.float32(100)).astype(np.float32)
    power = 10 ** (windows / 10)
    known = np.isfinite(power)
    total = np.where(known, power, 0).sum((3, 4)) / np.maximum(known.sum((3, 4)), 1)
    mean_db = np.where(known.any((3, 4)), 10 * np.log10(np.maximum(total, 1e-10)), np.nan).astype(np.float32)
    number = len(label)
    pixels = PixelSeries(
        values=mean_db,
        label=label.astype(np.int64),
        legend=(OTHER, "rice"),
        bands=("VV", "VH"),
        steps=tuple(str(date) for date in dates),
        block=points["block"].to_numpy(np.int64),
        region=np.zeros(number, np.int64),
        regions=("an giang",),
        zone=points["region4"].to_numpy(np.int64),
        weight=np.ones(number, np.float32),
    )
    return pixels, windows


def bavaria_parcels(folder: Path, least: int = 1) -> PixelSeries:
    """Parcels in Bavaria, Sentinel-2 of 2018 in 14 half-months, means of a parcel.

    A parcel is a block of its own: the set does not say where it lies. Its weight is 1, whatever its area.

    Args:
        folder: of the set.
        least: classes with fewer parcels are left out.

    Raises:
        CropError: a set that cannot be read.
    """
    path = folder / "parcels_2018_semimonthly.parquet"
    try:
        table = pd.read_parquet(path)
    except OSError as error:
        raise CropError(f"{path} cannot be read: {error}; give the folder of the set") from error
    bands = [c.removesuffix("_mean") for c in table.columns if c.startswith("B") and c.endswith("_mean")]
    dates = sorted(table["Date"].unique())
    codes = table.groupby("id")["NC"].first()
    often = codes.value_counts()
    kept = codes[codes.isin(often[often >= least].index)]
    wide = table.set_index(["id", "Date"])[[f"{band}_mean" for band in bands]].unstack("Date").loc[kept.index]
    # columns come band by band, each with its dates in order
    values = wide.to_numpy(np.float32).reshape(len(kept), len(bands), len(dates)).swapaxes(1, 2) * _REFLECTANCE
    names, label = np.unique(kept.to_numpy(), return_inverse=True)
    number = len(kept)
    return PixelSeries(
        values=np.ascontiguousarray(values),
        label=label.astype(np.int64),
        legend=tuple(f"code {name}" for name in names),
        bands=tuple(bands),
        steps=tuple(str(date)[:10] for date in dates),
        block=np.arange(number),
        region=np.zeros(number, np.int64),
        regions=("bavaria",),
        zone=np.zeros(number, np.int64),
        weight=np.ones(number, np.float32),
    )
