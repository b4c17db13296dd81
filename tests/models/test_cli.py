"""``pomona train``: options become settings, wrong input ends with exit code 2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.cli import train
from models.detection import train as training
from models.detection.crops import CropSettings
from models.detection.networks import NETWORKS
from models.detection.protocol import RUNS
from models.detection.train import DetectorTraining, DivergedError


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
        "--data d --out o --weights w.pth --epochs 3 --crops 20 --batch 4 --image 96 --learning-rate 0.01 --seed 7 "
        "--scale 0.35 1.1 --flower-scale 0.5 1.5"
    )
    result = CliRunner().invoke(
        train, ["yolo-a", *options.split(), "--bfloat16", "--hold-out", "7", "--label", "apple"]
    )
    assert result.exit_code == 0, result.output
    assert result.output == "best checkpoint on what was held out: o/weights/best.pt\nresults: o/results.html\n"
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
            crops=CropSettings(scale=(0.35, 1.1), flower_scale=(0.5, 1.5)),
        )
    ]


def test_defaults_of_the_command_are_those_of_the_settings(started: list[DetectorTraining]) -> None:
    assert CliRunner().invoke(train, ["yolo-a", "--data", "d", "--out", "o"]).exit_code == 0
    assert started == [DetectorTraining(data=Path("d"), output=Path("o"))]


@pytest.mark.parametrize("name", ["yolov8n", "rtdetr-l", "yolo-a-glicm"])
def test_each_network_is_trained_by_its_name(started: list[DetectorTraining], name: str) -> None:
    assert CliRunner().invoke(train, [name, "--data", "d", "--out", "o"]).exit_code == 0
    rate = 1e-4 if name == "rtdetr-l" else 1e-3
    assert started == [DetectorTraining(data=Path("d"), output=Path("o"), network=name, learning_rate=rate)]


def test_an_unknown_network_is_no_command() -> None:
    result = CliRunner().invoke(train, ["yolo13n", "--data", "d", "--out", "o"])
    assert result.exit_code == 2
    assert "No such command 'yolo13n'" in result.output


def test_help_names_every_network() -> None:
    words = CliRunner().invoke(train, ["--help"]).output.replace(",", " ").split()
    assert set(NETWORKS) <= set(words)


def test_a_zoom_range_that_is_upside_down_is_refused() -> None:
    result = CliRunner().invoke(train, ["yolo-a", "--data", "d", "--out", "o", "--scale", "2", "1"])
    assert result.exit_code == 2
    assert "the zoom range 2 1 is upside down" in result.output


# --- the protocol ---------------------------------------------------------------------------------------------------


def test_the_protocol_differs_between_runs_in_network_seed_and_rt_detrs_rate_only(
    started: list[DetectorTraining],
) -> None:
    result = CliRunner().invoke(train, ["protocol", "--data", "d", "--weights", "w.pth", "--out", "o"])
    assert result.exit_code == 0, result.output
    assert [settings.output for settings in started] == [Path("o") / run.name for run in RUNS]
    assert {settings.learning_rate for settings in started if settings.network != "rtdetr-l"} == {1e-3}
    assert started[-1].learning_rate == 1e-4
    same = {repr(replace(s, network="", seed=0, output=Path(), learning_rate=0.0)) for s in started}
    assert len(same) == 1
    assert (started[0].epochs, started[0].crops_per_epoch, started[0].batch, started[0].image_px) == (2, 1600, 16, 320)
    assert started[0].crops.scale == (0.35, 1.1)


def test_the_protocol_begins_with_what_says_most() -> None:
    assert [run.name for run in RUNS[:3]] == ["yolo-a-seed0", "yolo11n-seed0", "yolo-a-light-seed0"]
    assert RUNS[-1].network == "rtdetr-l"
    assert sum(run.network == "yolo-a" for run in RUNS) == sum(run.network == "yolo11n" for run in RUNS) == 3


def test_runs_of_the_protocol_can_be_chosen(started: list[DetectorTraining]) -> None:
    options = ["protocol", "--data", "d", "--out", "o", "--only", "yolo-a-seed1", "--only", "yolov8n", "--rehearse"]
    assert CliRunner().invoke(train, options).exit_code == 0
    assert [(s.network, s.seed, s.image_px) for s in started] == [("yolov8n", 0, 128), ("yolo-a", 1, 128)]


def test_a_run_the_protocol_does_not_have_is_named() -> None:
    result = CliRunner().invoke(train, ["protocol", "--data", "d", "--out", "o", "--only", "yolo3"])
    assert result.exit_code == 2
    assert "the protocol has no run yolo3; it has" in result.output


def test_a_run_that_diverges_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(settings: DetectorTraining) -> Path:
        if settings.network == "yolo11n":
            raise DivergedError("loss is not finite")
        return settings.output

    monkeypatch.setattr(training, "train", run)
    result = CliRunner().invoke(train, ["protocol", "--data", "d", "--out", "o"])
    assert result.exit_code == 1
    assert "rtdetr-l-seed0: o/rtdetr-l-seed0/results.html" in result.output
    assert "yolo11n-seed0, yolo11n-seed1, yolo11n-seed2 did not train" in result.output


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
