"""``pomona train weighted-lstm`` and ``pomona map crops``, from a table of points to a map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import rasterio
import xarray as xr

from models.crops.mapping import MAP
from models.crops.onnx_file import open_session, what_it_eats
from tests.conftest import Pomona
from tests.models.crops.drawn_series import drawn
from tests.models.crops.drawn_tile import MONTHS, draw_tile, write_composites, write_store

LOOP = ["--epochs", 12, "--batch", 20, "--learning-rate", 0.003, "--optimizer", "adamw"]
QUICK = [*LOOP, "--minimum", 60, "--most-present", 300]


@pytest.fixture
def points(tmp_path: Path) -> Path:
    pixels = drawn(360)
    columns = {
        f"{band}_{month}": pixels.values[:, step, place]
        for step, month in enumerate(MONTHS)
        for place, band in enumerate(pixels.bands)
    }
    table = pd.DataFrame({"crop": np.array(pixels.legend)[pixels.label], "block": pixels.block, **columns})
    table.to_parquet(tmp_path / "points.parquet")
    return tmp_path / "points.parquet"


def test_from_points_to_a_map(run_pomona: Pomona, points: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run_pomona("train", "weighted-lstm", "--data", points, "--out", out, *QUICK)
    assert done.exit_code == 0, done.err
    assert "crop 2" in done.out
    assert "overall accuracy" in done.out
    assert what_it_eats(open_session(out / "model.onnx", 1)).steps == MONTHS
    record = json.loads((out / "results.json").read_text())
    assert record["figures"]["overall"]["value"] > 0.9
    assert record["final_pixels"] <= record["reliable_pixels"] < record["weak_pixels"]
    values, crop = draw_tile()
    write_composites(tmp_path / "composites", values)
    mapped = run_pomona(
        "map", "crops", "--model", out / "model.onnx", "--composites", tmp_path / "composites",
        "--out", tmp_path / "map", "--json",
    )  # fmt: skip
    assert mapped.exit_code == 0, mapped.err
    assert sum(json.loads(mapped.out)["areas_ha"].values()) == pytest.approx(240, rel=1e-3)
    with rasterio.open(tmp_path / "map" / MAP) as raster:
        assert (raster.read(1) == crop).mean() > 0.9
    again = run_pomona("train", "weighted-lstm", "--data", points, "--out", out, *QUICK, "--seed", 1)
    assert again.exit_code == 2
    assert "other data or settings" in again.err


def test_indices_kernel_and_shares_end_in_one_file(run_pomona: Pomona, points: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    wanted = ["--indices", "--kernel", "--map-shares", "--json", "--epochs", 4]
    done = run_pomona("train", "weighted-lstm", "--data", points, "--out", out, *QUICK, *wanted)
    assert done.exit_code == 0, done.err
    assert json.loads(done.out)["figures"]["overall"]["value"] > 0.9
    operators = {node.op_type for node in onnx.load(out / "model.onnx").graph.node}
    assert {"LSTM", "Log", "Exp"} <= operators
    assert what_it_eats(open_session(out / "model.onnx", 1)).bands == ("B08", "B04")


def test_a_store_needs_a_legend_and_its_patches_are_apart(run_pomona: Pomona, tmp_path: Path) -> None:
    whole, crops = draw_tile()
    values, crop = whole[..., :75], crops[:, :75]  # each crop once
    write_store(tmp_path / "store.zarr", values)
    store = xr.Dataset({"crop": (("y", "x"), 10 + crop.astype(np.int16))})
    store.to_zarr(tmp_path / "store.zarr", mode="a", zarr_format=2, consolidated=True)
    arguments = ["train", "weighted-lstm", "--data", tmp_path / "store.zarr", "--out", tmp_path / "run"]
    refused = run_pomona(*arguments)
    assert refused.exit_code == 2
    assert "give --legend" in refused.err
    (tmp_path / "legend.json").write_text('{"10": "early", "11": "middle", "12": "late"}')
    few = [*LOOP, "--minimum", 60, "--most-present", 60, "--least-present", 60]
    done = run_pomona(*arguments, "--legend", tmp_path / "legend.json", *few, "--json")
    assert done.exit_code == 0, done.err
    assert json.loads(done.out)["legend"] == ["early", "middle", "late"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "weighted-lstm", "--data", "none.parquet", "--out", "x"], "none.parquet cannot be read"),
        (["map", "crops", "--model", "none.onnx", "--composites", "x", "--out", "y"], "none.onnx cannot be opened"),
    ],
)
def test_wrong_input_is_named_with_a_remedy(
    run_pomona: Pomona, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_pomona(*arguments)
    assert done.exit_code == 2
    assert said in done.err
