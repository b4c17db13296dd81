"""Maps of whole scenes: no seams, the same in whatever tiles, gone on with after a kill."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner

from models.cli import train as train_command
from models.maps.errors import MapError
from models.maps.runs import Work
from models.yields.pixels.checkpoint import load, save
from models.yields.pixels.explaining import explain
from models.yields.pixels.layers import open_scene
from models.yields.pixels.mapping import MAP, YieldMapSettings, map_yield
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.predicting import predict
from models.yields.pixels.scenes import tiles
from models.yields.pixels.training import TrainingSettings, train
from tests.models.dask_cluster import dask_cluster
from tests.models.yields.pixels.drawn import CROPS, scene
from tests.models.yields.pixels.drawn_scene import BANDS, write_scene
from tests.processes import ROOT

_NETWORK = NetworkSettings(encoder="small", bands=4, classes=3, dates=2, width=8)
_TRAINING = TrainingSettings(epochs=3, batch=4, optimizer="adamw", learning_rate=0.01, warm_up=2)
SETTINGS = YieldMapSettings(side=64, overlap=0.25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 520 px, the checkpoint of two networks beside it."""
    place = tmp_path_factory.mktemp("yield")
    write_scene(place / "farm", scene(dates=2, side=520, every=400))
    cut = list(tiles(scene(dates=2), 24, 0.0))
    members = [train(cut, CROPS, _NETWORK, _TRAINING, seed=seed) for seed in (0, 1)]
    save(place / "network.pt", members, BANDS, (91, 200))
    return place


def _map(folder: Path, out: Path, memory_mb: int = 16, **changed: object) -> bytes:
    settings = replace(SETTINGS, **changed)  # type: ignore[arg-type]
    map_yield(open_scene(folder / "farm"), folder / "network.pt", settings, Work(memory_mb, threads=2), out)
    return (out / MAP).read_bytes()


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    """The map of the scene."""
    return _map(folder, folder / "whole")


def test_the_map_is_the_prediction_of_the_whole_scene(folder: Path, whole: bytes) -> None:
    del whole
    members, bands, days = load(folder / "network.pt")
    assert (bands, days) == (BANDS, (91, 200))
    read = open_scene(folder / "farm").read(0, 0, 520)
    expected = predict(members, read, side=64, overlap=0.25)
    with rasterio.open(folder / "whole" / MAP) as raster:
        yields, deviation, crop, share = raster.read()
        assert raster.descriptions == ("yield", "standard_deviation", "crop", "crop_share")
        assert raster.overviews(1)
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    np.testing.assert_allclose(yields, expected.yields, rtol=1e-5)
    np.testing.assert_allclose(deviation, expected.deviation, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(crop, expected.crop)
    np.testing.assert_allclose(share, expected.shares.max(0), rtol=1e-5)
    record = json.loads((folder / "whole" / "map.json").read_text())
    assert sum(found["ha"] for found in record["crops"].values()) == pytest.approx(2704)


def test_tiles_of_another_size_make_the_same_bytes(folder: Path, whole: bytes, tmp_path: Path) -> None:
    assert _map(folder, tmp_path / "map", memory_mb=512) == whole


@pytest.mark.slow
def test_a_cluster_makes_the_same_bytes(folder: Path, whole: bytes, tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=2) as address:
        work = Work(memory_mb=16, threads=1, scheduler=address)
        map_yield(open_scene(folder / "farm"), folder / "network.pt", SETTINGS, work, tmp_path / "map")
    assert (tmp_path / "map" / MAP).read_bytes() == whole


def _command(folder: Path, out: Path) -> list[str]:
    command = [sys.executable, ROOT / "pomona.py", "map", "yield", "--images", folder / "farm", "--network"]
    more = [folder / "network.pt", "--window", 64, "--overlap", 0.25, "--memory-mb", 16, "--threads", 1, "--out", out]
    return [str(part) for part in (*command, *more)]


@pytest.mark.slow
def test_killed_and_started_again_the_map_is_byte_equal(folder: Path, whole: bytes, tmp_path: Path) -> None:
    out, environment = tmp_path / "map", {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    wanted = random.Random(4).randrange(1, 4)
    with subprocess.Popen(_command(folder, out), env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 200
        while len(list((out / "tiles").glob("*.npy"))) < wanted:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.kill()
    left = len(list((out / "tiles").glob("*.npy")))
    assert not (out / MAP).exists()
    done = subprocess.run(
        _command(folder, out), env=environment, capture_output=True, text=True, timeout=250, check=True
    )
    assert done.stdout.startswith(f"went on with {left} of 9 tiles that were there")
    assert (out / MAP).read_bytes() == whole
    assert not (out / "tiles").exists()


def test_another_map_does_not_go_on_with_unfinished_tiles(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "map"
    (out / "tiles").mkdir(parents=True)
    (out / "tiles" / "map.json").write_text(json.dumps({"sha256": "other", "side": 32}))
    with pytest.raises(MapError, match="unfinished tiles of another map"):
        _map(folder, out)


def test_where_the_network_looked_is_a_further_band(folder: Path, tmp_path: Path) -> None:
    write_scene(tmp_path / "farm", scene(dates=2))
    (tmp_path / "network.pt").write_bytes((folder / "network.pt").read_bytes())
    _map(tmp_path, tmp_path / "map", explain=True)
    with rasterio.open(tmp_path / "map" / MAP) as raster:
        looked = raster.read(5)
        assert raster.descriptions[4] == "looked_at"
    assert looked.max() == pytest.approx(1)
    assert looked.min() >= 0
    assert looked.std() > 0


def test_images_the_network_was_not_trained_for_are_told(folder: Path) -> None:
    files = open_scene(folder / "farm")
    with pytest.raises(MapError, match="takes 2 dates"):
        map_yield(
            replace(files, images=files.images[:1], days=files.days[:1]),
            folder / "network.pt",
            SETTINGS,
            Work(),
            folder / "x",
        )
    other = replace(files, bands=("B01", *BANDS[1:]))
    with pytest.raises(MapError, match="the network takes B02"):
        map_yield(other, folder / "network.pt", SETTINGS, Work(), folder / "x")
    with pytest.raises(MapError, match="no checkpoint"):
        load(folder / "farm" / "2023-04-01.tif")
    with pytest.raises(MapError, match="there is no checkpoint"):
        load(folder / "none.pt")


@pytest.mark.parametrize("crop", [None, 1])
def test_a_look_is_the_features_weighed_by_what_a_little_more_of_each_does(crop: int | None) -> None:
    drawn = scene(dates=2, side=24)
    trained = train([drawn], CROPS, _NETWORK, _TRAINING)
    body: Any = trained.network.body
    shared = body.consistency[-1].shared
    kept: list[torch.Tensor] = []

    def says(more: torch.Tensor) -> float:
        def add(_module: object, _inputs: object, features: torch.Tensor) -> torch.Tensor:
            kept.append(features)
            return features + more

        hook = shared.register_forward_hook(add)
        with torch.no_grad():
            maps = trained.network.double()(*(one[None].double() for one in trained.encoding.inputs(drawn)))
        hook.remove()
        return float((maps.yields if crop is None else maps.crops[:, crop]).sum())

    channels = shared.spatial[0].in_channels
    steps = 1e-4 * torch.eye(channels, dtype=torch.float64)[:, None, :, None, None]
    weights = torch.tensor([says(step) - says(-step) for step in steps])
    expected = (weights[:, None, None] * kept[0][0]).sum(0).relu()
    trained.network.float()
    np.testing.assert_allclose(explain(trained, drawn, crop), expected / expected.max(), atol=0.02)


def test_what_is_not_predicted_is_not_explained() -> None:
    drawn = scene(dates=2, side=24)
    with pytest.raises(MapError, match="predicts no crops"):
        explain(train([drawn], CROPS, replace(_NETWORK, form="cy-unet"), _TRAINING), drawn, 0)


def test_the_command_trains_from_folders_and_goes_on(tmp_path: Path) -> None:
    write_scene(tmp_path / "data" / "farm")
    arguments = ["mt-cyp-net", "--data", str(tmp_path / "data"), "--crop", "wheat", "--crop", "barley", "--tile", "24"]
    arguments += ["--epochs", "2", "--members", "2", "--pretrain", "1", "--straight", "--uncertainty"]
    arguments += ["--out", str(tmp_path / "run")]
    for _ in range(2):
        done = CliRunner().invoke(train_command, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "trained on 9 tiles with labels" in done.output
    members, bands, days = load(tmp_path / "run" / "network.pt")
    assert len(members) == 2
    assert bands == BANDS
    assert days == (91, 200)
    assert members[0].network.settings.uncertainty
