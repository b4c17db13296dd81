"""The page a training run leaves: what it says, that it needs nothing else, and the curves behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from models.detection.held_out import HeldOutRecord, SquareResult
from models.detection.results_page import write_results_page

SIDE = 64


class Squares:
    """Grey squares of two photos."""

    im_files: Sequence[str] = ("photos/one.jpg", "photos/one.jpg", "photos/<two>.jpg")

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"img": torch.full((3, SIDE, SIDE), 60 * (index + 1), dtype=torch.uint8)}


def square(hits: int, missed: int, extra: int, label: int = 0) -> SquareResult:
    """A square in which so many objects were found, missed, or found without a label."""
    boxes = np.array([[4 * i, 0, 4 * i + 4, 4] for i in range(hits + missed)], np.float32).reshape(-1, 4)
    beside = np.array([[4 * i, 30, 4 * i + 4, 34] for i in range(extra)], np.float32).reshape(-1, 4)
    found = np.concatenate((boxes[:hits], beside))
    return SquareResult(
        boxes=found,
        scores=np.linspace(0.9, 0.5, len(found)).astype(np.float32),
        classes=np.full(len(found), label, np.int64),
        matched=np.arange(len(found)) < hits,
        labels=boxes,
        label_classes=np.full(len(boxes), label, np.int64),
    )


RECORD = HeldOutRecord([square(5, 0, 0), square(2, 4, 1), square(4, 0, 2, label=1)])
SETTINGS = {
    "network": "yolo11n",
    "labels": ("apple", "apple_flower"),
    "crops_per_epoch": 8,
    "image_px": 320,
    "initialised": 0.5,
    "weights": "coco/yolo11n.pth",
    "seed": 3,
    "commit": "0123456789abcdef",
    "validate_every": 5,
    "learning_rate": 1e-3,
    "crops": {"scale": (0.6, 1.6)},
}


@pytest.fixture
def page(tmp_path: Path) -> str:
    (tmp_path / "results.csv").write_text(
        "epoch,metrics/mAP50(B),metrics/mAP50-95(B)\n1,0,0\n2,0.61,0.33\n", encoding="utf-8"
    )
    (tmp_path / "steps.csv").write_text("step,box_loss,cls_loss\n1,3,2\n2,2,1.5\n", encoding="utf-8")
    return write_results_page(tmp_path, SETTINGS, RECORD, Squares()).read_text(encoding="utf-8")


def test_the_page_says_what_was_trained_and_from_what(page: str) -> None:
    assert "<h1>yolo11n</h1>" in page
    assert "2 epochs of 8 crops of 320 px, 50 % of its values from trained weights; seed 3, code 0123456789ab" in page
    assert "scale 0.6, 1.6" in page


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"'\s>)]+)""", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "<script" not in page


def test_the_page_is_well_formed(page: str) -> None:
    open_tags: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, _attrs: object) -> None:
            if tag not in {"meta", "img", "br"}:
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Parser().feed(page)
    assert open_tags == []


def test_curves_and_counts_are_drawn(page: str) -> None:
    assert page.count("<svg") == 4
    for title in ("Loss", "Average precision on held-out squares", "Precision and recall", "Found and labelled"):
        assert f"<!-- {title}" in page


def test_the_worst_squares_come_first_and_faultless_ones_not_at_all(page: str) -> None:
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    # apples: 11 labelled, 8 found, so all count; flowers: 4 labelled, so the weakest two of 6 do not
    assert captions == ["one.jpg: 4 of 6 missed, 1 without a label"]
    assert page.count("data:image/jpeg;base64,") == 1


def test_names_of_photos_are_text(tmp_path: Path, page: str) -> None:
    record = HeldOutRecord([square(1, 0, 0), square(1, 0, 0), square(0, 3, 0)])
    worst = write_results_page(tmp_path, SETTINGS, record, Squares()).read_text(encoding="utf-8")
    assert "&lt;two&gt;.jpg: 3 of 3 missed" in worst
    assert "<two>" not in worst


# --- the record -----------------------------------------------------------------------------------------------------


def test_the_threshold_lets_as_many_be_found_as_are_labelled() -> None:
    record = HeldOutRecord([square(3, 0, 4)])
    scores = record.squares[0].scores
    assert (scores >= np.float32(record.threshold(0))).sum() == 3


@pytest.mark.parametrize(("record", "threshold"), [(square(1, 2, 0), 0.0), (square(0, 0, 2), 1.0)])
def test_too_few_found_all_count_and_without_labels_none(record: SquareResult, threshold: float) -> None:
    assert HeldOutRecord([record]).threshold(0) == threshold


def test_precision_and_recall_by_hand() -> None:
    precision, recall = HeldOutRecord([square(2, 2, 1)]).precision_recall(0)
    assert precision.tolist() == pytest.approx([1, 1, 2 / 3])
    assert recall.tolist() == pytest.approx([1 / 4, 2 / 4, 2 / 4])


def test_a_label_nobody_gave_has_no_curve() -> None:
    assert [len(values) for values in HeldOutRecord([square(2, 0, 0)]).precision_recall(1)] == [0, 0]
