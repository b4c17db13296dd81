"""Making a small detector of a large one: pruned to start with, taught while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from models.detection.distillation import Distillation
from models.detection.networks import build_network
from models.detection.pruning import prune_to_light
from models.detection.start_weights import load_detector, read_checkpoint, save_checkpoint
from models.detection.train import DetectorTraining, train
from models.detection.trainer import DetectorTrainer
from models.detection.yolo_a import YoloA
from tests.models.drawn_photos import Square, draw_photo
from tests.models.networks import stir


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    squares = [Square(20, 30, 16, 16), Square(60, 50, 20, 20, label=1)]
    for name in ("DSC_1_17kv10r1k.png", "DSC_2_17kv1r2k.png"):
        draw_photo(folder, "trees", name, (128, 96), squares, background=30)
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of YOLO11n with F-SPPF."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("large") / "large.pt"
    network = stir(YoloA(2, ("fsppf",)))
    settings = {"network": "yolo-a-fsppf", "labels": ["apple", "apple_flower"], "hold_out": []}
    save_checkpoint(path, {"settings": settings, "averaged": network.state_dict()})
    return path


def settings(photos: Path, output: Path, **changes: Any) -> DetectorTraining:
    fast = {"epochs": 1, "crops_per_epoch": 4, "batch": 2, "image_px": 64, "validate_every": 1}
    return DetectorTraining(data=photos, output=output, **{"network": "yolo-a-light", **fast, **changes})


def test_the_light_form_starts_from_a_larger_network_pruned(photos: Path, large: Path, tmp_path: Path) -> None:
    trainer = DetectorTrainer(settings(photos, tmp_path / "run", weights=large))
    trainer.setup_model()
    whole, _ = load_detector(large)
    assert isinstance(whole, YoloA)
    expected = prune_to_light(whole).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in trainer.model.state_dict().items())


def test_a_network_does_not_start_from_another_one(photos: Path, large: Path, tmp_path: Path) -> None:
    trainer = DetectorTrainer(settings(photos, tmp_path / "run", network="yolo11n", weights=large))
    with pytest.raises(ValueError, match=r"large\.pt is yolo-a-fsppf with labels .* this run is yolo11n"):
        trainer.setup_model()


def test_a_student_follows_its_teacher(
    photos: Path, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []
    follow = Distillation.__call__

    def spy(self: Distillation, preds: Any, batch: dict[str, Any]) -> Any:
        asked.append(tuple(batch["img"].shape))
        return follow(self, preds, batch)

    monkeypatch.setattr(Distillation, "__call__", spy)
    best = train(settings(photos, tmp_path / "run", weights=large, teacher=large))
    assert asked[:2] == [(2, 3, 64, 64)] * 2
    checkpoint = read_checkpoint(best)
    assert checkpoint["settings"]["teacher"] == str(large)
    assert set(checkpoint["averaged"]) == set(build_network("yolo-a-light").state_dict()), "the teacher is not in it"


@pytest.mark.parametrize("student", ["yolov10n", "rtdetr-l"])
def test_a_network_with_another_head_cannot_be_taught(photos: Path, large: Path, tmp_path: Path, student: str) -> None:
    with pytest.raises(ValueError, match=rf"large\.pt cannot teach {student}: both need plain heads"):
        DetectorTrainer(settings(photos, tmp_path / "run", network=student, teacher=large))


def test_a_teacher_has_to_know_the_same_labels(photos: Path, large: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"large\.pt knows .*apple_flower.*; a teacher has to know \('apple',\)"):
        DetectorTrainer(settings(photos, tmp_path / "run", labels=("apple",), teacher=large))
