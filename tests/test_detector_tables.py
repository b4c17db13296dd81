"""The commands that write the paper's tables: from finished runs, missing ones named, nothing invented."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.evaluate import paired
from export.evaluate.checkpoint import Measured, measured_with, save_measured
from export.evaluate.matching import PhotoResult, average_precision
from models.detection.protocol import choose_runs, settings_of
from models.detection.start_weights import save_checkpoint
from tests.benchmarks import detectors
from tests.benchmarks.detector_runs import find_runs
from tests.benchmarks.detector_time import take_turns

DATA = Path("unused")


def measured(seed: int, skill: float, of: str = "") -> Measured:
    random = np.random.default_rng(seed)

    def photo(tree: int, row: str) -> PhotoResult:
        matched = np.concatenate((np.ones(int(20 * skill), np.bool_), np.zeros(int(random.integers(1, 4)), np.bool_)))
        scores = np.sort(random.random(len(matched)).astype(np.float32))[::-1]
        closely = np.repeat(matched[:, None], 9, axis=1)
        return PhotoResult(f"t{tree}", "ripening", scores, matched, scores > 0.1, 20, closely, row)

    trees = [photo(i, "row1" if i < 3 else "row2") for i in range(6)]
    return Measured({"trees": trees, "tiles": trees[:1], "flowers": trees[:2]}, {"apple": 0.1, "apple_flower": 0.2}, of)


def finish(runs: Path, name: str, skill: float, epoch: int = 1, **changes: Any) -> None:
    """A run of two epochs that stands behind the given one, measured where it is finished."""
    (runs / name / "weights").mkdir(parents=True)
    checkpoint = runs / name / "weights" / "last.pt"
    (run,) = choose_runs([name])
    settings = settings_of(run, DATA / "train", None, runs).as_dict()
    save_checkpoint(checkpoint, {"epoch": epoch, "settings": {**settings, "initialised": 0.4, **changes}})
    of = measured_with(checkpoint, DATA / "val")
    save_measured(runs / name / "measured.npz", measured(len(name), skill, of))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paired, "RESAMPLES", 50)
    for name, skill in (("yolo-a-seed0", 0.9), ("yolo11n-seed0", 0.5), ("yolo11n-seed1", 0.6)):
        finish(tmp_path, name, skill)
    finish(tmp_path, "yolo-a-iafm-seed0", 0.7)
    finish(tmp_path, "yolov8n-seed0", 0.7, epoch=0)
    finish(tmp_path, "yolov5n-seed0", 0.7, learning_rate=0.5)
    return tmp_path


def line(page: str, start: str, occurrence: int = 0) -> list[str]:
    """The cells of a table's line."""
    lines = [row for row in page.splitlines() if row.startswith(f"| {start} |")]
    return [cell.strip() for cell in lines[occurrence].strip("|").split("|")]


def test_finished_runs_are_found_and_the_others_are_missing(runs: Path) -> None:
    found, missing = find_runs(runs, DATA)
    assert {name: run.seeds for name, run in found.items()} == {
        "yolo-a": (0,), "yolo11n": (0, 1), "yolo-a-iafm": (0,),
    }  # fmt: skip
    assert "yolov8n-seed0" in missing, "one epoch of two"
    assert "yolov5n-seed0" in missing, "not as the protocol trains"
    assert "yolo-a-seed1" in missing


def test_the_comparison_has_the_means_over_seeds_beside_the_papers_figures(runs: Path) -> None:
    page = detectors.comparison_page(runs, DATA)
    seeds = [measured(13, skill).results["trees"] for skill in (0.5, 0.6)]
    cells = line(page, "YOLO11n")
    assert cells[1:3] == ["2", "40 %"]
    assert float(cells[5].partition(" (")[0]) == pytest.approx(
        np.mean([average_precision(photos) for photos in seeds]), abs=5e-4
    )
    assert cells[7:] == ["0.9217", "0.8852", "0.9530", "0.6321"]
    assert line(page, "YOLOv8n")[:2] == ["YOLOv8n", "missing"]
    assert "Not trained yet: yolo-a-light-seed0, yolov8n-seed0, yolov5n-seed0" in page


def test_differences_say_what_can_be_told_apart(runs: Path) -> None:
    page = detectors.comparison_page(runs, DATA)
    cells = line(page, "YOLO-A", occurrence=1)
    assert cells[1] == "1", "the seed that both have"
    assert cells[2].endswith("better")
    assert cells[2].startswith("+0.")


def test_rows_and_stages_stand_apart(runs: Path) -> None:
    page = detectors.comparison_page(runs, DATA)
    assert "| network | row1, ripening (3 trees) | row2, ripening (3 trees) |" in page


def test_the_ablation_lists_every_module(runs: Path) -> None:
    page = detectors.ablation_page(runs, DATA)
    assert line(page, "IAFM")[1] == "1"
    assert line(page, "GLICM, F-SPPF")[1] == "missing"
    assert line(page, "IAFM")[7:] == ["0.9245", "0.9009", "0.9621", "0.6466"]


def test_without_the_base_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    finish(tmp_path, "yolo-a-seed0", 0.9)
    page = detectors.comparison_page(tmp_path, DATA)
    assert "YOLO11n is missing, so there is nothing to compare with" in page


def test_the_command_writes_the_page(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "page.md"
    arguments = ["detectors", "ablation", "--runs", str(runs), "--data", "unused", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    detectors.main()
    assert out.read_text(encoding="utf-8").startswith("# What each module of YOLO-A changes")


def test_networks_take_turns_in_being_timed() -> None:
    order: list[str] = []
    times = take_turns(lambda: order.append("ours"), lambda: order.append("base"), 3)
    assert order == ["ours", "base", "ours", "base", "base", "ours", "ours", "base"], "one unmeasured run of each first"
    assert [len(side) for side in times] == [3, 3]
