"""``pomona train``: options become settings, wrong input ends with exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from models.cli import train
from models.detection import train as training
from models.detection.train import DetectorTraining


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[DetectorTraining]:
    """The settings that training was started with."""
    seen: list[DetectorTraining] = []

    def remember(settings: DetectorTraining) -> Path:
        seen.append(settings)
        return settings.output / "weights" / "best.pt"

    monkeypatch.setattr(training, "train", remember)
    return seen


def test_options_become_settings(started: list[DetectorTraining]) -> None:
    options = (
        "--data d --out o --weights w.pth --epochs 3 --crops 20 --batch 4 --image 96 --learning-rate 0.01 --seed 7"
    )
    result = CliRunner().invoke(
        train, ["yolo-a", *options.split(), "--bfloat16", "--hold-out", "7", "--plain", "--label", "apple"]
    )
    assert result.exit_code == 0, result.output
    assert result.output == "best checkpoint on what was held out: o/weights/best.pt\n"
    assert started == [
        DetectorTraining(
            data=Path("d"),
            output=Path("o"),
            weights=Path("w.pth"),
            epochs=3,
            crops_per_epoch=20,
            batch=4,
            image_px=96,
            learning_rate=0.01,
            seed=7,
            low_precision=True,
            hold_out=("7",),
            labels=("apple",),
            parts=(),
        )
    ]


def test_defaults_of_the_command_are_those_of_the_settings(started: list[DetectorTraining]) -> None:
    assert CliRunner().invoke(train, ["yolo-a", "--data", "d", "--out", "o"]).exit_code == 0
    assert started == [DetectorTraining(data=Path("d"), output=Path("o"))]


def test_a_folder_without_photos_is_wrong_input(tmp_path: Path) -> None:
    result = CliRunner().invoke(train, ["yolo-a", "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "holds no labelled photos; expected" in result.output


@pytest.mark.parametrize("wrong", ["--epochs 0", "--batch 1", "--image 63", "--crops 15"])
def test_values_that_cannot_be_trained_with_are_refused(wrong: str) -> None:
    result = CliRunner().invoke(train, ["yolo-a", "--data", "d", "--out", "o", *wrong.split()])
    assert result.exit_code == 2
    assert wrong.split(maxsplit=1)[0] in result.output


def test_help_gives_an_example() -> None:
    result = CliRunner().invoke(train, ["yolo-a", "--help"])
    assert result.exit_code == 0
    assert "pomona train yolo-a --data orchard/train" in result.output
