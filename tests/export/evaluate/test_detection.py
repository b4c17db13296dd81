"""Measuring a bundle on labelled photos: through the runtime, so that it measures what runs in the field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.evaluate.detection import evaluate
from export.runtime.counter import Counter
from tests.conftest import Pomona
from tests.drawing import RADIUS_PX, SIZE, draw_discs, encode, in_rows


def label_photo(folder: Path, name: str, apples: int, blossoms: int, unlabelled: int = 0) -> None:
    """A drawn photo with YOLO labels of all but the last few discs."""
    centres = in_rows(apples + blossoms)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "images" / f"{name}.jpg").write_bytes(encode(draw_discs(centres[:apples], centres[apples:])))
    lines = [
        f"{int(number >= apples)} {x / SIZE[0]} {y / SIZE[1]} {2 * RADIUS_PX / SIZE[0]} {2 * RADIUS_PX / SIZE[1]}"
        for number, (x, y) in enumerate(centres[: apples + blossoms - unlabelled])
    ]
    (folder / "labels" / f"{name}.txt").write_text("\n".join(lines))


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two trees at two stages, one tree in flower, one tile; the second tree has an apple nobody labelled."""
    label_photo(tmp_path / "trees", "t1", apples=12, blossoms=0)
    label_photo(tmp_path / "trees", "t2", apples=10, blossoms=0, unlabelled=2)
    label_photo(tmp_path / "flowers", "f1", apples=0, blossoms=9)
    label_photo(tmp_path / "tiles", "t3_1", apples=4, blossoms=0)
    (tmp_path / "counts.csv").write_text(
        "image,tree,row,stage,labelled\nt1.jpg,t1,r1,fruit_expansion_bbch76,12\nt2.jpg,t2,r2,ripening_bbch81,8\n"
    )
    return tmp_path


def test_a_detector_that_finds_every_label_scores_one(counter: Counter, labelled: Path) -> None:
    rows = {row.name: row for row in evaluate(counter.bundle, counter.engine, labelled)}
    assert {name: (row.label, row.photos, row.labelled) for name, row in rows.items()} == {
        "whole trees": ("apple", 2, 20),
        "whole trees, fruit_expansion": ("apple", 1, 12),
        "whole trees, ripening": ("apple", 1, 8),
        "tiles": ("apple", 1, 4),
        "trees in flower": ("apple_flower", 1, 9),
    }
    for name in ("whole trees, fruit_expansion", "tiles", "trees in flower"):
        assert rows[name].figures["AP50"].value == pytest.approx(1)
        assert rows[name].figures["recall"].value == 1


def test_fruit_that_nobody_labelled_counts_as_too_much(counter: Counter, labelled: Path) -> None:
    rows = {row.name: row for row in evaluate(counter.bundle, counter.engine, labelled)}
    figures = rows["whole trees"].figures
    assert figures["count bias"].value == pytest.approx(2 / 20)
    assert figures["precision"].value == pytest.approx(20 / 22)
    assert figures["count MAPE"].value == pytest.approx((0 + 2 / 8) / 2)


def test_progress_is_told_after_each_photo(counter: Counter, labelled: Path) -> None:
    told: list[tuple[int, int]] = []
    evaluate(counter.bundle, counter.engine, labelled, lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_command_prints_the_figures_with_their_intervals(
    run_pomona: Pomona, counter: Counter, labelled: Path
) -> None:
    done = run_pomona("evaluate", "detection", "--data", labelled, "--bundle", counter.bundle.folder, "--json")
    assert done.exit_code == 0
    whole = json.loads(done.out)[0]
    assert (whole["name"], whole["label"], whole["photos"], whole["labelled"]) == ("whole trees", "apple", 2, 20)
    value, low, high = whole["figures"]["count bias"]
    assert low <= value <= high


def test_a_folder_without_labelled_photos_is_wrong_input(run_pomona: Pomona, counter: Counter, tmp_path: Path) -> None:
    done = run_pomona("evaluate", "detection", "--data", tmp_path, "--bundle", counter.bundle.folder)
    assert done.exit_code == 2
    assert f"{tmp_path} holds no labelled photos; expected" in done.err


@pytest.mark.slow
def test_the_shipped_bundle_is_measured_on_real_tiles(shipped_counter: Counter, data: Path, tmp_path: Path) -> None:
    (tmp_path / "tiles").symlink_to(data / "orchard" / "val" / "tiles")
    (row,) = evaluate(shipped_counter.bundle, shipped_counter.engine, tmp_path)
    assert (row.name, row.photos) == ("tiles", 50)
    assert 0.1 < row.figures["AP50"].low <= row.figures["AP50"].value <= row.figures["AP50"].high <= 1
