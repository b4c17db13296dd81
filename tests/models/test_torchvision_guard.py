"""Mending a torchvision that lacks its compiled operators, and leaving alone one that does not."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models import torchvision_guard
from models.torchvision_guard import mend_torchvision, nms

# as torchvision does on import: describes an operator that its compiled library was to register
_DESCRIBE_OPERATOR = """
import torch
from torchvision import extension

@torch.library.register_fake("torchvision::nms")
def _(dets, scores, iou_threshold):
    return scores.argsort()
"""

_MEND_AND_USE = """
import importlib, json
from models.torchvision_guard import mend_torchvision
try:
    importlib.import_module("torchvision")
except RuntimeError as error:
    before = str(error)
else:
    before = ""
mended = [mend_torchvision(), mend_torchvision()]
import torch, torchvision
boxes = torch.tensor([[0., 0., 10., 10.], [0., 0., 10., 9.], [20., 0., 30., 10.]])
scores = torch.tensor([0.5, 0.9, 0.1])
kept = [getattr(torch.ops.torchvision, name)(boxes, scores, 0.5).tolist() for name in OPERATORS]
print(json.dumps({"before": before, "mended": mended, "kept": kept, "has_ops": torchvision.extension._has_ops()}))
"""


def _in_new_process(folder: Path, *operators: str) -> dict[str, object]:
    """What mending gives where nothing has been imported, with the packages of ``folder`` found first."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); OPERATORS = {operators}\n{_MEND_AND_USE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads(done.stdout)
    return report


def _fake_torchvision(folder: Path, content: str) -> None:
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(content, encoding="utf-8")
    (folder / "torchvision" / "extension.py").write_text("def _has_ops():\n    return False\n", encoding="utf-8")


def test_a_torchvision_without_its_operators_gets_them(tmp_path: Path) -> None:
    _fake_torchvision(tmp_path, _DESCRIBE_OPERATOR)
    report = _in_new_process(tmp_path, "nms", "qnms")
    assert report == {
        "before": "operator torchvision::nms does not exist",
        "mended": [True, False],
        "kept": [[1, 2], [1, 2]],
        "has_ops": True,
    }


def test_the_torchvision_that_is_installed_works_afterwards(tmp_path: Path) -> None:
    report = _in_new_process(tmp_path, "nms")
    assert report["mended"] == [report["before"] != "", False], "mended exactly where it failed"
    assert report["kept"] == [[1, 2]]
    assert report["has_ops"] is True


@pytest.fixture
def _no_torchvision_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("_no_torchvision_yet")
def test_a_torchvision_that_works_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_torchvision(tmp_path, "from torchvision import extension\n")
    monkeypatch.syspath_prepend(tmp_path)
    libraries = list(torchvision_guard._libraries)
    assert mend_torchvision() is False
    assert torchvision_guard._libraries == libraries
    extension = importlib.import_module("torchvision.extension")
    assert extension._has_ops() is False, "not touched"
    for name in ("torchvision", "torchvision.extension"):
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("_no_torchvision_yet")
def test_a_torchvision_that_fails_for_another_reason_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_torchvision(tmp_path, "raise RuntimeError('operator torchvision::roi_align does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    libraries = list(torchvision_guard._libraries)
    with pytest.raises(RuntimeError, match="roi_align"):
        mend_torchvision()
    assert torchvision_guard._libraries == libraries, "nothing was supplied"


@pytest.mark.usefixtures("_no_torchvision_yet")
def test_without_torchvision_there_is_nothing_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert mend_torchvision() is False


def _reference(boxes: list[list[float]], scores: list[float], threshold: float) -> list[int]:
    """Suppression as torchvision's own loop states it: a box falls to an earlier kept one it overlaps too much."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        for j in kept:
            a, b = boxes[i], boxes[j]
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
            if union and width * height / union > threshold:
                break
        else:
            kept.append(i)
    return kept


@given(
    boxes=st.lists(st.tuples(*[st.integers(0, 20)] * 4, st.integers(0, 50)), max_size=25),
    threshold=st.sampled_from([0.0, 0.25, 0.45, 0.7, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_suppression_is_the_reference_loop_ties_and_empty_boxes_included(
    boxes: list[tuple[int, int, int, int, int]], threshold: float
) -> None:
    corners = [[float(x), float(y), float(x + w), float(y + h)] for x, y, w, h, _ in boxes]
    scores = [score / 50 for *_, score in boxes]
    kept = nms(torch.tensor(corners).reshape(-1, 4).double(), torch.tensor(scores), threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == _reference(corners, scores, threshold)


def _random_boxes(count: int) -> tuple[Tensor, Tensor]:
    corner, size = 100 * torch.rand(count, 2), 5 + 30 * torch.rand(count, 2)
    return torch.cat((corner, corner + size), 1), torch.rand(count)


def test_suppression_is_the_reference_loop_on_many_random_boxes() -> None:
    boxes, scores = _random_boxes(200)
    kept = nms(boxes, scores, 0.45).tolist()
    assert kept == _reference(boxes.tolist(), scores.tolist(), 0.45)
    assert 20 < len(kept) < 180
