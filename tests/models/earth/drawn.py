"""A drawn season in Sentinel-2's own form: scenes in UTM with known reflectance and clouds, and monthly weather."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import geopandas
import numpy as np
import pystac
import xarray as xr
from affine import Affine
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from models.earth.variables import VARIABLES
from tests.models.earth.catalogues import UTM, item_of, write_tiff

LEFT, TOP, SIDE_M = 700_000, 5_370_000, 1200
BANDS = {"B02": 10, "B04": 10, "B08": 10, "B11": 20, "B12": 20}
# of each month's two scenes; the second is covered by cloud in its western half
DAYS = (5, 20)


def reflectance_of(band: str, day: date) -> float:
    """What is drawn: one value a band and day."""
    return 0.05 + 0.05 * list(BANDS).index(band) + 0.01 * day.month + 0.0001 * day.day


def draw_scene(folder: Path, day: date, *, baseline: str = "05.10", cloudy: bool = False) -> pystac.Item:
    """A scene of one tile; ``cloudy`` puts cloud, brighter than anything, on the western half."""
    name = f"S2B_MSIL2A_{day:%Y%m%d}"
    files = {}
    for band, pixel_m in BANDS.items():
        side = SIDE_M // pixel_m
        added = 1000 if float(baseline) >= 4 else 0
        values = np.full((side, side), round(reflectance_of(band, day) * 10_000) + added, np.uint16)
        if cloudy:
            values[:, : side // 2] = 9000
        files[band] = folder / name / f"{band}.tif"
        write_tiff(files[band], values, Affine(pixel_m, 0, LEFT, 0, -pixel_m, TOP), UTM)
    classes = np.full((SIDE_M // 20, SIDE_M // 20), 4, np.uint8)
    if cloudy:
        classes[:, : classes.shape[1] // 2] = 9
    files["SCL"] = folder / name / "SCL.tif"
    write_tiff(files["SCL"], classes, Affine(20, 0, LEFT, 0, -20, TOP), UTM)
    return item_of(
        name, f"{day}T10:20:30", files, UTM, **{"s2:processing_baseline": baseline, "eo:cloud_cover": 50.0 * cloudy}
    )


def draw_season(folder: Path, months: range = range(4, 11), year: int = 2023) -> list[pystac.Item]:
    """Two scenes a month."""
    days = [date(year, month, day) for month in months for day in DAYS]
    return [draw_scene(folder, day, cloudy=day.day == DAYS[1]) for day in days]


def orchard() -> BaseGeometry:
    """A square of 400 m in the middle of the scenes, in degrees."""
    middle_x, middle_y = LEFT + SIDE_M / 2, TOP - SIDE_M / 2
    square = box(middle_x - 200, middle_y - 200, middle_x + 200, middle_y + 200)
    shape: BaseGeometry = geopandas.GeoSeries([square], crs=UTM).to_crs("EPSG:4326").iloc[0]
    return shape


def write_boundary(path: Path) -> Path:
    """The orchard as a file."""
    geopandas.GeoDataFrame({"name": ["North farm"]}, geometry=[orchard()], crs="EPSG:4326").to_file(path)
    return path


def weather_of(number: int, month: int) -> float:
    """What is written of a variable in a month: within its bounds, and different in each."""
    variable = VARIABLES[number]
    return variable.lowest + (variable.highest - variable.lowest) * (0.4 + 0.01 * month)


def write_weather(folder: Path, months: range = range(4, 11), year: int = 2023) -> Path:
    """FLDAS's monthly files for the country round the orchard."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = np.arange(10.05, 13, 0.1), np.arange(47.05, 50, 0.1)  # south first, as NASA has it
    for month in months:
        variables = {
            variable.name: (
                ("time", "Y", "X"),
                np.full((1, len(y), len(x)), weather_of(number, month), np.float32),
                {"units": variable.unit.replace("m3", "m^3")},
            )
            for number, variable in enumerate(VARIABLES)
        }
        moment = np.array([f"{year}-{month:02d}-01"], dtype="datetime64[ns]")
        xr.Dataset(variables, {"time": moment, "Y": y, "X": x}).to_netcdf(
            folder / f"FLDAS_NOAH01_C_GL_M.A{year}{month:02d}.001.nc", engine="h5netcdf"
        )
    return folder
