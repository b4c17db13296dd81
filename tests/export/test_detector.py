"""From a checkpoint to a bundle: the command a person gives, on drawn photos and a network nobody has trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from export.cli import export
from export.runtime.bundle import open_bundle
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from models.detection.networks import build_network
from models.detection.start_weights import save_checkpoint
from models.detection.train import DetectorTraining
from tests.models.drawn_photos import Square, draw_photo, write_counts
from tests.models.networks import untrained_detector

pytestmark = pytest.mark.usefixtures("one_thread")

HELD_OUT = ("held*",)
APPLES = [Square(120, 100, 40, 40), Square(200, 220, 50, 50)]
SIZE = (640, 480)  # nearly the smallest photo that is counted
FLOWERS = [Square(60, 60, 20, 20, label=1)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's best checkpoint."""
    settings = DetectorTraining(data=Path("photos"), output=Path("run"), hold_out=HELD_OUT)
    path = tmp_path_factory.mktemp("run") / "best.pt"
    save_checkpoint(path, {"settings": settings.as_dict(), "averaged": untrained_detector(-2.0).state_dict()})
    return path


def draw(folder: Path, *flowering: str) -> Path:
    """Photos of fruit trees, two of them held out, and of the named trees in flower."""
    for name in ("held_1.png", "held_2.png", "other.png"):
        draw_photo(folder, "trees", name, SIZE, APPLES, background=60)
    for name in flowering:
        draw_photo(folder, "flowers", name, SIZE, FLOWERS, background=60)
    write_counts(folder, [(name, "", "ripening_bbch81") for name in ("held_1.png", "held_2.png", "other.png")])
    return folder


def export_to(out: Path, checkpoint: Path, data: Path, evaluation: Path, *more: str, image_px: int = 320) -> Result:
    options = ["--checkpoint", checkpoint, "--data", data, "--evaluate", evaluation, "--out", out, "--image", image_px]
    return CliRunner().invoke(export, ["yolo-a", *map(str, options), *more])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> tuple[Path, Result]:
    """Folder of a bundle, and what the command said."""
    place = tmp_path_factory.mktemp("exported")
    data = draw(place / "train", "held_3.png", "other_2.png")
    return place / "bundle", export_to(place / "bundle", checkpoint, data, draw(place / "val", "any.png"))


def test_a_bundle_says_what_it_is_how_it_counts_and_how_well(exported: tuple[Path, Result]) -> None:
    folder, done = exported
    assert done.exit_code == 0, done.output
    manifest = open_bundle(folder).manifest
    assert f" in {folder}" in done.output
    assert manifest.labels == ("apple", "apple_flower")
    assert manifest.parity_px < 1e-3
    assert manifest.counting["apple"].stages["ripening"].trees == 2, "fixed on what is held out only"
    assert 0 < manifest.counting["apple"].threshold < 1
    measured = {metrics.data: metrics.values for metrics in manifest.metrics}
    assert measured["val, whole trees, apple"]["labelled"] == 6
    rounding = measured["val, apple, half precision against float32"]
    assert rounding["photos"] == 3
    assert set(rounding) >= {"AP50 change", "photos counted otherwise", "largest change of a count"}
    assert manifest.name == "yolo-a"
    assert manifest.precision == "float32"
    assert (manifest.tiling.longest_side_px, manifest.tiling.closer_px) == (1680, {"apple_flower": 2688})


@pytest.mark.slow
def test_a_bundle_in_integers_counts_with_them_and_says_what_that_changes(tmp_path: Path, checkpoint: Path) -> None:
    data = draw(tmp_path / "train", "held_3.png", "other_2.png")
    done = export_to(tmp_path / "bundle", checkpoint, data, draw(tmp_path / "val", "any.png"), "--int8")
    assert done.exit_code == 0, done.output
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.precision == "int8"
    assert set(bundle.manifest.files) == {
        "model.onnx",
        "model.int8.onnx",
        "model.int8.openvino.onnx",
        "model.int8.qdq.onnx",
    }
    assert OnnxRuntimeEngine(bundle).name.endswith("-int8")
    measured = {metrics.data: metrics.values for metrics in bundle.manifest.metrics}
    assert all(
        measured[f"val, apple, integers for {engine} against float32"]["photos"] == 3
        for engine in ("ONNX Runtime", "OpenVINO", "TensorRT")
    )


def test_only_yolo_a_and_its_kin_become_bundles(tmp_path: Path) -> None:
    settings = DetectorTraining(data=Path("photos"), output=Path("run"), network="yolov10n", hold_out=HELD_OUT)
    other = tmp_path / "v10.pt"
    save_checkpoint(other, {"settings": settings.as_dict(), "averaged": build_network("yolov10n", 2).state_dict()})
    done = export_to(tmp_path / "bundle", other, draw(tmp_path / "train"), draw(tmp_path / "val"))
    assert done.exit_code == 2
    assert "v10.pt is yolov10n, which cannot be exported; YOLO-A, its light form" in done.output


def test_an_overlap_as_wide_as_a_tile_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    done = export_to(tmp_path / "bundle", checkpoint, tmp_path, tmp_path, "--overlap", "320")
    assert done.exit_code == 2
    assert "an overlap of 320 px leaves no step between tiles of 320 px" in done.output


def test_a_label_that_nothing_held_out_shows_is_named(tmp_path: Path, checkpoint: Path) -> None:
    data = draw(tmp_path / "train", "other_2.png")
    done = export_to(tmp_path / "bundle", checkpoint, data, draw(tmp_path / "val"))
    assert done.exit_code == 2
    assert "no apple_flower is labelled in the whole photos held out from training" in done.output


def test_what_fails_leaves_no_bundle_and_one_that_is_there_as_it_was(
    tmp_path: Path, checkpoint: Path, exported: tuple[Path, Result]
) -> None:
    shutil.copytree(exported[0], tmp_path / "bundle")
    draw(tmp_path / "val", "any.png")
    before = {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}
    assert set(before) == {"manifest.json", "model.onnx"}
    other = draw(tmp_path / "other", "other_2.png")
    for folder in ("bundle", "new"):
        assert export_to(tmp_path / folder, checkpoint, other, tmp_path / "val").exit_code == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir()} == before
    assert not (tmp_path / "new").exists()
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_photos_smaller_than_the_input_are_padded(tmp_path: Path, checkpoint: Path) -> None:
    data, evaluation = draw(tmp_path / "train", "held_3.png"), draw(tmp_path / "val")
    done = export_to(tmp_path / "bundle", checkpoint, data, evaluation, image_px=512)
    assert "boxes of graph and network differ by at most" in done.output


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    other = tmp_path / "photo.pt"
    other.write_bytes(b"no checkpoint")
    done = export_to(tmp_path / "bundle", other, draw(tmp_path / "train"), draw(tmp_path / "val"))
    assert done.exit_code == 2
    assert str(other) in done.output


@pytest.mark.slow
def test_a_figure_that_one_photo_cannot_have_is_left_out_of_the_manifest(tmp_path: Path, checkpoint: Path) -> None:
    data, evaluation = draw(tmp_path / "train", "held_3.png"), tmp_path / "val"
    draw_photo(evaluation, "trees", "only.png", SIZE, APPLES, background=60)
    done = export_to(tmp_path / "bundle", checkpoint, data, evaluation)
    assert done.exit_code == 0, done.output
    (trees, _) = open_bundle(tmp_path / "bundle").manifest.metrics
    assert "AP50" in trees.values
    assert "count R²" not in trees.values
