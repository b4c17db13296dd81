"""``pomona earth features``: from composites of scenes to features as GeoTIFF and GeoParquet, each with its sources."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  (gives rasters their .rio)
import shapely
import xarray as xr
from distributed import LocalCluster
from rasterio.enums import Resampling

from models.earth.feature_tables import read_record
from models.earth.features import BANDS, feature_stack
from models.earth.indices import INDICES
from models.earth.periods import months
from models.earth.writing import write_bands
from tests.conftest import Pomona

WEST, NORTH, CELL = 600_000.0, 4_000_000.0, 10.0
ROWS, COLUMNS = 24, 30
SCENES = [{"id": f"S2A_{month:02d}", "date": f"2021-{month:02d}-09", "version": "v1"} for month in range(4, 11)]


def composites() -> xr.Dataset:
    random = np.random.default_rng(0)
    days = np.array([f"2021-{month:02d}-01" for month in range(4, 11)], "datetime64[ns]")
    values = {band: random.uniform(0.02, 0.5, (7, ROWS, COLUMNS)).astype(np.float32) for band in BANDS}
    y, x = NORTH - CELL * (np.arange(ROWS) + 0.5), WEST + CELL * (np.arange(COLUMNS) + 0.5)
    bands = {name: (("time", "y", "x"), band) for name, band in values.items()}
    made = xr.Dataset(bands, {"time": days, "y": y, "x": x})
    placed: xr.Dataset = made.rio.write_crs("EPSG:32648")
    return placed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    of_months = tmp_path / "composites"
    of_months.mkdir()
    for number, month in enumerate(months("2021-04", "2021-10")):
        told = composites().isel(time=number, drop=True).assign_attrs(scenes=json.dumps(SCENES[number : number + 1]))
        write_bands(told, of_months / f"{month.name}.tif")
    return of_months


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    """A plane that rises 0.1 to the east, in degrees and coarser, as the Copernicus model comes."""
    grid = composites().B08.isel(time=0, drop=True)
    x = WEST - 600 + 30 * np.arange(60)
    plane = np.broadcast_to(0.1 * (x - WEST) + 1500, (60, 60)).astype(np.float32)
    metres = xr.DataArray(plane, dims=("y", "x"), coords={"y": NORTH + 600 - 30 * np.arange(60), "x": x})
    path = tmp_path / "dem.tif"
    metres.rio.write_crs(grid.rio.crs).rio.reproject(
        "EPSG:4326", resampling=Resampling.bilinear, nodata=np.nan
    ).rio.to_raster(path)
    return path


def in_memory() -> xr.Dataset:
    given = composites()
    return feature_stack(given.assign_coords(time=range(4, 11)).rename(time="month"))


def test_a_raster_of_features(run_pomona: Pomona, folder: Path, dem: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.tif"
    ended = run_pomona("earth", "features", "--composites", folder, "--elevation", dem, "--out", out)
    assert (ended.exit_code, ended.out) == (0, f"{out}: 28 features\n"), ended.err
    expected = in_memory()
    with rasterio.open(out) as raster:
        assert raster.crs == "EPSG:32648"
        assert raster.descriptions == (*expected, "elevation_m", "slope_deg", "aspect_sin", "aspect_cos")
        for number, name in enumerate(expected, 1):
            np.testing.assert_allclose(raster.read(number), expected[name], rtol=1e-6, err_msg=str(name))
        slope = raster.read(raster.descriptions.index("slope_deg") + 1)[1:-1, 1:-1]
        np.testing.assert_allclose(slope, np.degrees(np.arctan(0.1)), rtol=0.05)
        assert json.loads(raster.tags()["scenes"]) == SCENES
        assert json.loads(raster.tags()["settings"])["texture"]["levels"] == 64
    assert sorted(path.name for path in tmp_path.iterdir()) == ["composites", "dem.tif", "features.tif"]


@pytest.mark.parametrize("kind", ["points", "polygons"])
def test_a_table_of_places(kind: str, run_pomona: Pomona, folder: Path, tmp_path: Path) -> None:
    middles = [(WEST + 105, NORTH - 75), (WEST + 205, NORTH - 155)]
    points = [shapely.Point(at) for at in middles]
    shapes = points if kind == "points" else [point.buffer(5, cap_style="square") for point in points]
    places = geopandas.GeoDataFrame({"orchard": [1, 0]}, geometry=shapes, crs="EPSG:32648")
    places.to_file(tmp_path / "places.gpkg")
    out = tmp_path / "places.parquet"
    ended = run_pomona("earth", "features", "--composites", folder, "--at", tmp_path / "places.gpkg", "--out", out)
    assert (ended.exit_code, ended.out) == (0, f"{out}: 24 features of 2 places\n"), ended.err
    table, expected = geopandas.read_parquet(out), in_memory()
    assert table["orchard"].tolist() == [1, 0]
    for name in expected:
        of_cells = expected[name].to_numpy()[[7, 15], [10, 20]]
        np.testing.assert_allclose(table[name], of_cells, rtol=1e-5, atol=1e-6)
    record = read_record(out)
    assert record["scenes"] == SCENES
    assert record["columns"]["OPAI_s"]["note"].startswith("surrogate")
    assert record["columns"]["B08_asm"]["glcm_size_px"] == "3"
    assert record["settings"]["phenology"]["late"] == [9, 10]


@pytest.mark.slow
def test_a_cluster_makes_the_same(run_pomona: Pomona, folder: Path, tmp_path: Path) -> None:
    command = ["earth", "features", "--composites", str(folder), "--no-phenology"]
    here, there = tmp_path / "here.tif", tmp_path / "there.tif"
    assert run_pomona(*command, "--out", str(here)).exit_code == 0
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster:
        done = run_pomona(*command, "--out", str(there), "--scheduler", cluster.scheduler_address)
    assert done.exit_code == 0
    assert there.read_bytes() == here.read_bytes()


def test_options_choose_features(run_pomona: Pomona, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.tif"
    options = ("--texture-band", "none", "--no-phenology")
    assert run_pomona("earth", "features", "--composites", folder, *options, "--out", out).exit_code == 0
    with rasterio.open(out) as raster:
        assert raster.descriptions == (*BANDS, *INDICES)


def test_wrong_input_is_named(run_pomona: Pomona, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.tif"

    def refused(*arguments: object) -> str:
        ended = run_pomona("earth", "features", "--out", out, *arguments)
        assert ended.exit_code == 2
        assert not out.exists()
        return " ".join(ended.err.split())

    assert "holds no monthly composites such as 2026-04.tif" in refused("--composites", tmp_path)
    (tmp_path / "text.tif").write_text("no")
    assert "text.tif cannot be read" in refused("--composites", folder, "--elevation", tmp_path / "text.tif")
    assert "text.tif cannot be read" in refused("--composites", folder, "--at", tmp_path / "text.tif")
    (folder / "2020-05.tif").write_bytes((folder / "2021-05.tif").read_bytes())
    assert "month 5 of more than one year" in refused("--composites", folder)
    (folder / "2020-05.tif").unlink()
    (folder / "2021-10.tif").unlink()
    assert "lacks the months 10" in refused("--composites", folder)
    (folder / "2021-10.tif").write_text("no")
    assert "2021-10.tif cannot be read" in refused("--composites", folder)
