"""Measuring training checkpoints, of peers too, through the tiling, merging and matching of a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from export.build.counting import unbiased_threshold
from export.evaluate.checkpoint import Measured, measure_checkpoint, read_measured, save_measured
from export.evaluate.torch_engine import TorchEngine
from models.detection.networks import build_network
from models.detection.start_weights import save_checkpoint
from models.detection.train import DetectorTraining
from tests.models.drawn_photos import Square, draw_photo, write_counts
from tests.models.networks import stir, untrained_detector

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE = (640, 640)
APPLES = [Square(120, 100, 40, 40), Square(200, 220, 50, 50)]


@pytest.mark.parametrize("name", ["yolo-a", "yolov8n", "yolov10n", "rtdetr-l"])
def test_every_network_is_read_in_one_form(name: str) -> None:
    engine = TorchEngine(stir(build_network(name)))
    image = np.random.default_rng(0).random((1, 3, 96, 96), np.float32)
    output = engine.infer(image)
    assert output.dtype == np.float32
    assert output.shape[:2] == (1, 6)
    assert output.shape[2] >= 100
    assert ((output[:, 4:] >= 0) & (output[:, 4:] <= 1)).all()
    assert output[:, :2].max() > 1.5, "pixels, not shares"
    assert_array_equal(output, engine.infer(image))


@torch.no_grad()
def test_boxes_are_centre_and_size_as_each_network_means_them() -> None:
    image = torch.rand(1, 3, 96, 96)
    rtdetr = stir(build_network("rtdetr-l")).eval()
    decoded = rtdetr(image)[0][0]  # ultralytics' own reading, best first: cx, cy, w, h as shares, score, class
    ours = TorchEngine(rtdetr).infer(image.numpy())[0]
    best = int(ours[4:].max(0).argmax())
    assert ours[:4, best] == pytest.approx((decoded[0, :4] * 96).numpy(), abs=1e-3)
    ten = stir(build_network("yolov10n")).eval()
    ours = TorchEngine(ten).infer(image.numpy())[0]
    ten.model[-1].end2end = True
    decoded = ten(image)[0][0]  # x1, y1, x2, y2, score, class
    best = int(ours[4:].max(0).argmax())
    x, y, w, h = ours[:4, best]
    assert [x - w / 2, y - h / 2, x + w / 2, y + h / 2] == pytest.approx(decoded[0, :4].numpy(), abs=1e-3)


def draw(folder: Path) -> Path:
    for number, name in enumerate(("held_1.png", "held_2.png", "other.png")):
        draw_photo(folder, "trees", name, SIZE, APPLES, background=40 + 20 * number)
    draw_photo(folder, "tiles", "held_9.png", SIZE, APPLES[:1], background=60)
    draw_photo(folder, "flowers", "held_3.png", SIZE, [Square(60, 60, 20, 20, label=1)], background=60)
    write_counts(folder, [(f"held_{i}.png", f"held_row_{i}", "ripening_bbch81") for i in (1, 2)])
    return folder


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("measured")
    settings = DetectorTraining(data=Path("photos"), output=Path("run"), hold_out=("held*",))
    content = {"settings": settings.as_dict(), "averaged": untrained_detector(-2.0).state_dict()}
    save_checkpoint(folder / "last.pt", content)
    told: list[tuple[int, int]] = []
    data = draw(folder / "photos")
    found = measure_checkpoint(folder / "last.pt", data, data, lambda done, total: told.append((done, total)))
    assert told == [(done, 8) for done in range(1, 9)], "three held-out photos without tiles, then all five"
    return found


def test_each_kind_of_photo_is_measured_for_the_label_it_shows(measured: Measured) -> None:
    labelled = {kind: [result.labelled for result in results] for kind, results in measured.results.items()}
    assert labelled == {"trees": [2, 2, 2], "tiles": [1], "flowers": [1]}
    assert [result.row for result in measured.results["trees"]] == ["held_row_1", "held_row_2", "other"]
    assert measured.results["trees"][0].stage == "ripening"


def test_the_threshold_is_fixed_on_the_trees_held_out_from_training(measured: Measured) -> None:
    held_out = measured.results["trees"][:2]
    assert measured.thresholds["apple"] == pytest.approx(unbiased_threshold(held_out), rel=1e-3)
    for result in held_out:
        assert_array_equal(result.counted, result.scores >= np.float32(measured.thresholds["apple"]))


def test_matches_become_fewer_the_closer_they_must_be(measured: Measured) -> None:
    for results in measured.results.values():
        for result in results:
            hits = result.at_all_overlaps().sum(axis=0)
            assert (np.diff(hits) <= 0).all()


def test_what_was_found_comes_back_from_its_file(measured: Measured, tmp_path: Path) -> None:
    save_measured(tmp_path / "measured.npz", measured)
    again = read_measured(tmp_path / "measured.npz")
    assert again.thresholds == measured.thresholds
    assert list(again.results) == list(measured.results)
    for kind, results in measured.results.items():
        for one, two in zip(results, again.results[kind], strict=True):
            assert (one.tree, one.stage, one.row, one.labelled) == (two.tree, two.stage, two.row, two.labelled)
            assert_array_equal(one.scores, two.scores)
            assert_array_equal(one.counted, two.counted)
            assert_array_equal(one.at_all_overlaps(), two.at_all_overlaps())
    assert [path.name for path in tmp_path.iterdir()] == ["measured.npz"]
