"""``pomona earth``: from a boundary and a catalogue to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from distributed import LocalCluster

from tests.conftest import Pomona
from tests.models.earth.catalogues import UTM, save_catalogue
from tests.models.earth.drawn import draw_season, weather_of, write_boundary, write_weather

MONTHS = ["--first", "2023-04", "--last", "2023-05"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_catalogue(tmp_path / "catalogue", draw_season(tmp_path / "files", range(4, 6)))
    write_boundary(tmp_path / "orchard.geojson")
    write_weather(tmp_path / "fldas", range(4, 6))
    return tmp_path


def common(folder: Path) -> list[str]:
    given = {"boundary": "orchard.geojson", "catalogue": "catalogue", "cache": "cache"}
    return [part for name, value in given.items() for part in (f"--{name}", str(folder / value))]


def season_of(folder: Path, *more: str) -> list[str]:
    out = ["--weather", str(folder / "fldas"), "--out", str(folder / "s.json")]
    return ["earth", "season", *common(folder), "--orchard", "North farm", "--year", "2023", *out, *more]


def test_a_season_file_is_made_and_read(run_pomona: Pomona, folder: Path) -> None:
    done = run_pomona(*season_of(folder, "--last", "5"))
    assert (done.exit_code, done.err) == (0, "")
    assert "52 x 52 cells, 2 months" in done.out
    shown = run_pomona("satellite", "--season-file", str(folder / "s.json"), "--json")
    assert json.loads(shown.out)["months"] == [4, 5]
    before = (folder / "s.json").read_bytes()
    assert run_pomona(*season_of(folder, "--last", "5")).exit_code == 0
    assert (folder / "s.json").read_bytes() == before  # made again from the cache, it is the same


def test_a_missing_month_ends_with_its_name_and_no_file(run_pomona: Pomona, folder: Path) -> None:
    write_weather(folder / "fldas", range(6, 8))
    done = run_pomona(*season_of(folder, "--last", "7"))
    assert done.exit_code == 1
    assert "the season of North farm lacks 2023-06 (scenes: 0" in done.err
    assert not (folder / "s.json").exists()
    done = run_pomona(*season_of(folder))
    assert done.exit_code == 1
    assert "there is no weather of 2023-08, 2023-09, 2023-10" in done.err


def test_a_scene_that_is_left_out_is_said(run_pomona: Pomona, folder: Path) -> None:
    next((folder / "files").glob("*0420/B08.tif")).unlink()
    done = run_pomona(*season_of(folder, "--last", "5"))
    assert done.exit_code == 0
    assert done.err.startswith("Left out: scene S2B_MSIL2A_20230420: B08 at ")


def test_composites_are_written_as_cloud_optimised_geotiffs(run_pomona: Pomona, folder: Path) -> None:
    command = ["earth", "composites", *common(folder), *MONTHS]
    command += ["--band", "B04", "--band", "B11", "--out", str(folder / "out")]
    done = run_pomona(*command)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.splitlines() == [str(folder / "out" / f"2023-0{month}.tif") for month in (4, 5)]
    with rasterio.open(folder / "out" / "2023-04.tif") as file:
        assert file.descriptions == ("B04", "B11", "clear_share")
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.crs == UTM
        told = json.loads(file.tags()["scenes"])
        red, _, share = file.read()
    assert [(scene["id"], scene["date"]) for scene in told] == [
        ("S2B_MSIL2A_20230405", "2023-04-05"),
        ("S2B_MSIL2A_20230420", "2023-04-20"),
    ]
    assert sorted(np.unique(share)) == [0.5, 1]
    np.testing.assert_allclose(red[share == 0.5], 0.05 + 0.05 + 0.04 + 0.0005, atol=1e-4)
    stamp = (folder / "out" / "2023-04.tif").stat().st_mtime_ns
    (folder / "out" / "2023-05.tif").unlink()
    assert run_pomona(*command).exit_code == 0
    assert (folder / "out" / "2023-04.tif").stat().st_mtime_ns == stamp  # what was written is kept
    assert (folder / "out" / "2023-05.tif").exists()


@pytest.mark.slow
def test_a_cluster_writes_the_same(run_pomona: Pomona, folder: Path) -> None:
    command = ["earth", "composites", *common(folder), *MONTHS, "--band", "B08"]
    assert run_pomona(*command, "--out", str(folder / "here")).exit_code == 0
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster:
        done = run_pomona(*command, "--out", str(folder / "there"), "--scheduler", cluster.scheduler_address)
    assert done.exit_code == 0
    for name in ("2023-04.tif", "2023-05.tif"):
        assert (folder / "there" / name).read_bytes() == (folder / "here" / name).read_bytes()


def test_weather_is_written_as_a_table(run_pomona: Pomona, folder: Path) -> None:
    out = folder / "weather.csv"
    command = ["earth", "weather", "--boundary", str(folder / "orchard.geojson"), *MONTHS]
    done = run_pomona(*command, "--weather", str(folder / "fldas"), "--out", str(out))
    assert done.exit_code == 0
    table = pd.read_csv(out)
    assert table["name"].tolist() == ["North farm"] * 2
    assert table["Tair_f_tavg [K]"].tolist() == pytest.approx([weather_of(9, 4), weather_of(9, 5)], rel=1e-5)


def test_an_absent_scheduler_is_named(monkeypatch: pytest.MonkeyPatch, run_pomona: Pomona, folder: Path) -> None:
    monkeypatch.setattr("models.dask_client._CONNECT_SECONDS", 1)
    command = ["earth", "composites", *common(folder), *MONTHS, "--out", str(folder / "o")]
    done = run_pomona(*command, "--scheduler", "tcp://127.0.0.1:9")
    assert done.exit_code == 1
    assert "there is no Dask scheduler at tcp://127.0.0.1:9" in done.err
