"""Crop maps: right, the same however they are made, resumable, and blind to the future."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from models.crops.mapping import MAP, RECORD, CropMap, map_crops
from models.crops.onnx_file import Eats
from models.crops.series import CropError
from models.crops.sources import open_composites, open_store
from models.maps.errors import MapError
from models.maps.runs import Work
from tests.models.crops.drawn_tile import COLUMNS, MONTHS, ROWS, draw_tile, write_composites, write_model, write_store
from tests.models.dask_cluster import dask_cluster

SMALL = Work(memory_mb=16, threads=1)
HOLE = (slice(70, 74), slice(100, 104))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tile")
    values, _ = draw_tile()
    write_composites(made / "composites", values)
    write_store(made / "store.zarr", values)
    write_model(made / "model.onnx")
    write_model(made / "june.onnx", steps=4)
    return made


@pytest.fixture(scope="module")
def made(folder: Path) -> CropMap:
    return map_crops(folder / "model.onnx", folder / "composites", folder / "map", Work(threads=2))


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        pixels: np.ndarray = raster.read()
        return pixels


def test_the_map_is_right_and_its_confidence_too(made: CropMap) -> None:
    classes, confidence = _read(made.folder / MAP)
    _, crop = draw_tile()
    known = np.ones_like(crop, bool)
    known[HOLE] = False
    assert (classes == crop)[known].mean() > 0.95
    assert (classes[HOLE] == 255).all()
    assert (confidence[HOLE] == 255).all()
    assert (confidence[known] <= 100).all()
    right = (classes == crop) & known
    assert confidence[right].mean() > confidence[known & ~right].mean() + 5
    cloud = np.s_[50:60, 50:60]
    assert (classes == crop)[cloud].mean() > 0.9


def test_integers_give_the_same_map_and_a_run_of_one_kind_is_not_gone_on_with_as_the_other(
    folder: Path, made: CropMap, tmp_path: Path
) -> None:
    quick = map_crops(folder / "model.onnx", folder / "composites", tmp_path / "map", Work(threads=2), int8=True)
    (classes, confidence), (exact, sure) = _read(quick.folder / MAP), _read(made.folder / MAP)
    assert (classes == exact).mean() > 0.999
    assert (np.abs(confidence.astype(int) - sure) <= 2).mean() > 0.99
    plans = [json.loads((each.folder / RECORD).read_text())["made_of"] for each in (quick, made)]
    assert plans[0]["sha256"] != plans[1]["sha256"]


def test_the_file_is_a_cog_that_says_its_classes_and_the_areas_add_up(made: CropMap) -> None:
    with rasterio.open(made.folder / MAP) as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert json.loads(raster.tags()["CLASSES"]) == ["crop 0", "crop 1", "crop 2"]
        assert raster.descriptions == ("class", "confidence_percent")
    assert sum(made.areas_ha.values()) == pytest.approx(ROWS * COLUMNS / 100, rel=1e-3)
    assert made.areas_ha["unknown"] == pytest.approx(0.16, rel=1e-2)
    record = json.loads((made.folder / RECORD).read_text())
    assert record["areas_ha"]["crop 1"] == pytest.approx(made.areas_ha["crop 1"], abs=1e-3)


def test_threads_tiles_and_source_change_nothing(made: CropMap, folder: Path, tmp_path: Path) -> None:
    for name, source in (("tiff", "composites"), ("zarr", "store.zarr")):
        other = map_crops(folder / "model.onnx", folder / source, tmp_path / name, SMALL)
        assert other.tiles == 2
        assert np.array_equal(_read(made.folder / MAP), _read(other.folder / MAP))


@pytest.mark.slow
def test_a_cluster_makes_the_same_bytes(made: CropMap, folder: Path, tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=2) as address:
        work = Work(memory_mb=16, threads=1, scheduler=address)
        other = map_crops(folder / "model.onnx", folder / "composites", tmp_path / "map", work)
    assert (other.folder / MAP).read_bytes() == (made.folder / MAP).read_bytes()


def test_a_map_that_was_stopped_goes_on_and_is_byte_equal(made: CropMap, folder: Path, tmp_path: Path) -> None:
    class StoppedError(Exception):
        """As if killed."""

    def told(stage: str, done: int, _all: int) -> None:
        if (stage, done) == ("mapping", 1):
            raise StoppedError

    out = tmp_path / "map"
    with pytest.raises(StoppedError):
        map_crops(folder / "model.onnx", folder / "composites", out, SMALL, told)
    assert len(list((out / "tiles").glob("*.npy"))) == 1
    with pytest.raises(MapError, match="unfinished tiles of another map"):
        map_crops(folder / "june.onnx", folder / "composites", out, SMALL)
    ended = map_crops(folder / "model.onnx", folder / "composites", out, SMALL)
    assert (ended.resumed, ended.tiles) == (1, 2)
    assert (out / MAP).read_bytes() == (made.folder / MAP).read_bytes()
    assert not (out / "tiles").exists()


@pytest.mark.parametrize("source", ["composites", "store.zarr"])
def test_a_map_of_june_knows_nothing_of_july(folder: Path, tmp_path: Path, source: str) -> None:
    """The future is poisoned with other crops and no numbers; the map of June is byte for byte the same."""
    values, _ = draw_tile()
    poisoned = values.copy()
    poisoned[4], poisoned[5] = np.nan, 1e6 * np.random.default_rng(0).standard_normal(values[5].shape)
    write = write_store if source == "store.zarr" else write_composites
    write(tmp_path / source, poisoned)
    clean = map_crops(folder / "june.onnx", folder / source, tmp_path / "clean", Work())
    other = map_crops(folder / "june.onnx", tmp_path / source, tmp_path / "poisoned", Work())
    assert np.array_equal(_read(clean.folder / MAP), _read(other.folder / MAP))
    if source == "composites":
        for month in MONTHS[4:]:
            (tmp_path / source / f"2026-{month}.tif").unlink()  # nor does it ask for them
        map_crops(folder / "june.onnx", tmp_path / source, tmp_path / "without", Work())


def test_what_a_network_needs_and_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    wrong = {
        "holds 0 composites of step '11'": Eats(("B08",), ("11",), ("a",)),
        "no band B05": Eats(("B08", "B05"), MONTHS, ("a",)),
    }
    for remedy, eats in wrong.items():
        with pytest.raises(CropError, match=remedy):
            open_composites(folder / "composites", eats)
    with pytest.raises(CropError, match="holds step '11' 0 times"):
        open_store(folder / "store.zarr", Eats(("B08",), ("11",), ("a",)))
    with pytest.raises(CropError, match="no band B05"):
        open_store(folder / "store.zarr", Eats(("B05",), MONTHS, ("a",)))
    with pytest.raises(CropError, match="cannot be opened"):
        map_crops(folder / "composites" / "2026-03.tif", folder / "composites", tmp_path / "map", Work())


def test_steps_are_found_by_month_or_by_their_whole_name(folder: Path) -> None:
    for steps in (("03", "08"), ("2026-03", "2026-08")):
        eats = Eats(("B08", "B04"), steps, ("a", "b"))
        values, _ = draw_tile()
        window = rasterio.windows.Window(0, 0, 20, 30)
        expected = values[[0, 5]].reshape(4, ROWS, COLUMNS)[:, :30, :20]
        for source in (open_composites(folder / "composites", eats), open_store(folder / "store.zarr", eats)):
            assert np.array_equal(source.read(window), expected, equal_nan=True)
