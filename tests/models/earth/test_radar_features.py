"""``pomona earth features --radar``: local scenes of Sentinel-1 to decibels of 12-day steps, with their sources."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from affine import Affine
from numpy.typing import NDArray

from models.earth.feature_tables import read_record
from models.earth.features import BANDS
from models.earth.periods import months
from models.earth.radar import refined_lee, to_decibels
from models.earth.writing import write_bands
from tests.conftest import Finished, Pomona
from tests.models.earth.catalogues import write_tiff

WEST, NORTH, CELL, SIDE = 600_000.0, 4_000_000.0, 10.0, 20
CRS = "EPSG:32648"
# every 12 days from 3 April on, a scene in each of the 6 steps of April to June but the third
DAYS = [date(2021, 4, 3) + timedelta(12 * step) for step in (0, 1, 3, 4, 5, 6, 7)]
STEPS = [f"{name}_d{12 * step:03d}" for name in ("VV", "VH") for step in range(8)]


Image = NDArray[np.float32]


def power_of(polarisation: str, day: date) -> Image:
    """Speckled, of a level that rises by 1 dB a step."""
    random = np.random.default_rng([day.toordinal(), polarisation == "VH"])
    level = (-10 if polarisation == "VV" else -17) + (day - DAYS[0]).days / 12
    speckle = random.gamma(4.4, 1 / 4.4, (SIDE, SIDE))
    return (speckle * 10 ** (level / 10)).astype(np.float32)


@pytest.fixture
def composites(tmp_path: Path) -> Path:
    folder = tmp_path / "composites"
    folder.mkdir()
    random = np.random.default_rng(0)
    middles = CELL * (np.arange(SIDE) + 0.5)
    for month in months("2021-04", "2021-06"):
        values = {band: (("y", "x"), random.uniform(0.02, 0.5, (SIDE, SIDE)).astype(np.float32)) for band in BANDS}
        made = xr.Dataset(values, {"y": NORTH - middles, "x": WEST + middles}).rio.write_crs(CRS)
        told = [{"id": f"S2A_{month.name}", "date": f"{month.name}-09", "version": "v1"}]
        write_bands(made.assign_attrs(scenes=json.dumps(told)), folder / f"{month.name}.tif")
    return folder


@pytest.fixture
def radar(tmp_path: Path) -> Path:
    """As the Alaska Satellite Facility names its terrain-corrected scenes; one layer in a folder more is no harm."""
    for day in DAYS:
        scene = tmp_path / "radar" / f"S1A_IW_{day:%Y%m%d}T111213_DVP_RTC10_G_gpuned_ABCD"
        for name in ("VV", "VH"):
            place = Affine(CELL, 0, WEST, 0, -CELL, NORTH)
            write_tiff(scene / f"{scene.name}_{name}.tif", power_of(name, day), place, CRS, None)
    return tmp_path / "radar"


def made(run_pomona: Pomona, composites: Path, radar: Path, out: Path, *more: object) -> Finished:
    given = ("--composites", composites, "--radar", radar, "--cache", composites.parent / "cache")
    return run_pomona("earth", "features", *given, "--texture-band", "none", "--no-phenology", "--out", out, *more)


def filtered(polarisation: str, day: date) -> Image:
    values: Image = to_decibels(refined_lee(xr.DataArray(power_of(polarisation, day), dims=("y", "x")))).to_numpy()
    return values


def test_steps_are_filtered_decibels_and_the_one_without_a_scene_lies_between(
    run_pomona: Pomona, composites: Path, radar: Path, tmp_path: Path
) -> None:
    out = tmp_path / "features.tif"
    ended = made(run_pomona, composites, radar, out)
    assert (ended.exit_code, ended.err) == (0, "")
    with rasterio.open(out) as raster:
        assert raster.descriptions[-16:] == tuple(STEPS)
        bands = dict(zip(raster.descriptions, raster.read(), strict=True))
        told = json.loads(raster.tags()["scenes"])
        settings = json.loads(raster.tags()["settings"])
    for name in ("VV", "VH"):
        np.testing.assert_allclose(bands[f"{name}_d000"], filtered(name, DAYS[0]), atol=1e-4)
        np.testing.assert_allclose(bands[f"{name}_d036"], filtered(name, DAYS[2]), atol=1e-4)
        between = (filtered(name, DAYS[1]) + filtered(name, DAYS[2])) / 2
        np.testing.assert_allclose(bands[f"{name}_d024"], between, atol=1e-4)
    assert [scene["date"] for scene in told] == [f"2021-0{month}-09" for month in (4, 5, 6)] + [
        str(day) for day in DAYS
    ]
    assert settings["radar"] == {"step_days": 12, "longest_gap_days": None, "looks": 4.4}


def test_long_gaps_stay_open_if_wanted(run_pomona: Pomona, composites: Path, radar: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.tif"
    assert made(run_pomona, composites, radar, out, "--longest-gap", 12).exit_code == 0
    with rasterio.open(out) as raster:
        missing = [name for name, band in zip(raster.descriptions, raster.read(), strict=True) if np.isnan(band).any()]
    assert missing == ["VV_d024", "VH_d024"]


def test_a_table_says_what_each_step_is(run_pomona: Pomona, composites: Path, radar: Path, tmp_path: Path) -> None:
    places = geopandas.GeoDataFrame(geometry=[shapely.Point(WEST + 105, NORTH - 75)], crs=CRS)
    places.to_file(tmp_path / "places.gpkg")
    out = tmp_path / "places.parquet"
    assert made(run_pomona, composites, radar, out, "--at", tmp_path / "places.gpkg").exit_code == 0
    assert geopandas.read_parquet(out)["VH_d084"][0] == pytest.approx(filtered("VH", DAYS[-1])[7, 10], abs=1e-4)
    column = read_record(out)["columns"]["VH_d084"]
    assert (column["long_name"], column["units"]) == ("VH backscatter, mean of 12 days from 2021-06-24", "dB")
    assert column["speckle_filter"] == "refined Lee, 4.4 looks"


def test_what_is_wrong_is_named_and_the_other_scenes_are_used(
    run_pomona: Pomona, composites: Path, radar: Path, tmp_path: Path
) -> None:
    out = tmp_path / "features.tif"
    scenes = sorted(radar.iterdir())
    next(scenes[1].glob("*_VH.tif")).unlink()
    next(scenes[3].glob("*_VV.tif")).write_bytes(b"II*\0 and then nothing")
    ended = made(run_pomona, composites, radar, out)
    assert ended.exit_code == 0
    assert f"Left out: scene {scenes[1].name} has no VH; its assets are VV" in ended.err
    assert f"Left out: scene {scenes[3].name}: VV at " in ended.err
    with rasterio.open(out) as raster:
        assert np.isfinite(raster.read()).all()


def test_nothing_is_made_up_at_the_ends(run_pomona: Pomona, composites: Path, radar: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.tif"
    for file in max(radar.iterdir()).iterdir():
        file.unlink()
    ended = made(run_pomona, composites, radar, out)
    assert ended.exit_code == 2
    assert "Sentinel-1 has no scene in the last 12 days of 2021-04-01 to 2021-07-05" in " ".join(ended.err.split())
    assert not out.exists()
    ended = made(run_pomona, composites, composites.parent / "nowhere", out)
    assert (ended.exit_code, "there is no catalogue at" in ended.err) == (2, True)
