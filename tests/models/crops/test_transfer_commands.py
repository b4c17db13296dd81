"""``pomona train lstm-mtl`` and ``pomona train recurrent-unet``, from data to models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from models.crops.onnx_file import ask, open_session, what_it_eats
from models.crops.series import CropError, PixelSeries
from models.crops.unet_run import load
from tests.conftest import Pomona
from tests.models.crops.drawn_series import drawn

MONTHS = ("03", "04", "05", "06", "07", "08")
LOOP = ["--epochs", 8, "--batch", 20, "--learning-rate", 0.02, "--width", 8, "--dropout", 0.1]


def _pixels() -> PixelSeries:
    """The regions' rules differ, and a third of one month was not seen."""
    pixels = drawn(360, classes=2)
    values = pixels.values.copy()
    values[::3, 2] = np.nan
    label = np.where(pixels.region == 0, pixels.label, 1 - pixels.label)
    return replace(pixels, values=values, label=label)


@pytest.fixture
def points(tmp_path: Path) -> Path:
    pixels = _pixels()
    columns = {
        f"{band}_{month}": pixels.values[:, step, place]
        for step, month in enumerate(MONTHS)
        for place, band in enumerate(pixels.bands)
    }
    named = {"crop": np.array(pixels.legend)[pixels.label], "region": np.array(pixels.regions)[pixels.region]}
    pd.DataFrame({**named, "block": pixels.block, **columns}).to_parquet(tmp_path / "points.parquet")
    return tmp_path / "points.parquet"


def test_regions_from_points_to_models(run_pomona: Pomona, points: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run_pomona("train", "lstm-mtl", "--data", points, "--out", out, *LOOP)
    assert done.exit_code == 0, done.err
    assert "north" in done.out
    assert "mean F1" not in done.out
    record = json.loads((out / "results.json").read_text())
    assert [region["region"] for region in record["regions"]] == ["north", "south"]
    assert all(region["figures"]["overall"] > 0.9 for region in record["regions"])
    assert np.array(record["importance"]).shape == (2, 2, 6, 2)
    pixels = _pixels()
    seen = np.isfinite(pixels.values).all((1, 2))
    for index, name in enumerate(pixels.regions):
        session = open_session(out / "models" / f"{name}.onnx", 1)
        assert what_it_eats(session).steps == MONTHS
        here = seen & (pixels.region == index)
        assert (ask(session, pixels.values[here]).argmax(1) == pixels.label[here]).mean() > 0.9
    assert (out / "models" / "anywhere.onnx").is_file()
    assert not (out / "in-season").exists()
    again = run_pomona("train", "lstm-mtl", "--data", points, "--out", out, *LOOP, "--seed", 1)
    assert again.exit_code == 2
    assert "other data or settings" in again.err


def test_models_of_every_date_eat_nothing_later(run_pomona: Pomona, points: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run_pomona(
        "train", "lstm-mtl", "--data", points, "--out", out, *LOOP, "--any-date", "--until", "05", "--balance", "smote"
    )
    assert done.exit_code == 0, done.err
    assert "mean F1 by the steps known" in done.out
    files = sorted(path.name for path in (out / "in-season").iterdir())
    assert files == [f"{name}-until-{month}.onnx" for name in ("anywhere", "north", "south") for month in ("03", "04")]
    assert what_it_eats(open_session(out / "in-season" / "north-until-04.onnx", 1)).steps == ("03", "04")
    assert what_it_eats(open_session(out / "models" / "north.onnx", 1)).steps == ("03", "04", "05")
    wrong = run_pomona("train", "lstm-mtl", "--data", points, "--out", out, "--until", "11")
    assert wrong.exit_code == 2
    assert "no step '11'; the table has 03, 04" in wrong.err
    radar = run_pomona("train", "lstm-mtl", "--data", points, "--out", out, "--sensors", "radar")
    assert "no radar band" in radar.err


def _store(path: Path, seed: int, shift: float = 0) -> Path:
    """Rice in squares of 8 px whose backscatter rises."""
    random = np.random.default_rng(seed)
    codes = np.where(np.kron(random.random((6, 8)) < 0.5, np.ones((8, 8))) > 0, 7, 9).astype(np.int16)
    curve = np.linspace(-5, 3, 4)[:, None, None] * (codes == 7)
    noise = random.standard_normal((2, 4, 48, 64))
    images = {
        name: (("time", "y", "x"), (level + shift + curve + noise[place]).astype(np.float32))
        for place, (name, level) in enumerate({"VH": -18, "VV": -11}.items())
    }
    times = np.array(["2026-04-01", "2026-05-01", "2026-06-01", "2026-07-01"], "datetime64[ns]")
    xr.Dataset({**images, "crop": (("y", "x"), codes)}, coords={"time": times}).to_zarr(path, zarr_format=2)
    return path


def test_a_country_and_its_neighbour(run_pomona: Pomona, tmp_path: Path) -> None:
    home, abroad = _store(tmp_path / "home.zarr", 0), _store(tmp_path / "abroad.zarr", 1, shift=1)
    loop = ["--crop", 7, "--side", 16, "--cycles", 10, "--batch", 4, "--learning-rate", 0.02]
    first = run_pomona(
        "train", "recurrent-unet", "--data", home, "--out", tmp_path / "home", *loop, "--width", 4, "--width", 6
    )
    assert first.exit_code == 0, first.err
    assert "2026-07-01" in first.out
    record = json.loads((tmp_path / "home" / "results.json").read_text())
    assert (record["trained"], record["tested"], len(record["iou"])) == (7, 3, 4)
    assert record["iou"][-1] > 0.7
    weights = tmp_path / "home" / "model.pt"
    tuned = run_pomona(
        "train", "recurrent-unet", "--data", abroad, "--out", tmp_path / "abroad", *loop,
        "--mode", "FT_E", "--weights", weights, "--band", "VH", "--band", "VV", "--json",
    )  # fmt: skip
    assert tuned.exit_code == 0, tuned.err
    assert json.loads(tuned.out)["iou"][-1] > 0.7
    (before, bands), (after, more) = load(weights), load(tmp_path / "abroad" / "model.pt")
    assert (bands, more) == (("VH",), ("VH", "VV"))
    for name, value in before.decoder.state_dict().items():
        assert torch.equal(value, after.decoder.state_dict()[name])


def test_weights_that_are_missing_or_none_are_named(run_pomona: Pomona, tmp_path: Path) -> None:
    home = _store(tmp_path / "home.zarr", 0)
    loop = ["--data", home, "--out", tmp_path / "run", "--crop", 7, "--side", 16]
    none = run_pomona("train", "recurrent-unet", *loop, "--mode", "FT")
    assert none.exit_code == 2
    assert "FT takes the weights of a trained network" in none.err
    (tmp_path / "model.pt").write_bytes(b"none")
    with pytest.raises(CropError, match=r"give the model\.pt that training wrote"):
        load(tmp_path / "model.pt")
    few = run_pomona("train", "recurrent-unet", "--data", home, "--out", tmp_path / "run", "--crop", 7, "--side", 32)
    assert few.exit_code == 2
    assert "2 patches do not make three parts" in few.err
