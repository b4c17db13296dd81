"""Boxes, their overlap and the suppression of duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.runtime import detections as module
from export.runtime.detections import Detections, pairwise_iou, suppress_duplicates

LABELS = ("apple", "apple_flower")


def make(boxes: list[list[float]], scores: list[float] | None = None, classes: list[int] | None = None) -> Detections:
    """Detections of these boxes, best first unless told otherwise."""
    number = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores if scores is not None else np.linspace(0.9, 0.5, number), np.float32),
        np.array(classes or [0] * number, np.int64),
        LABELS,
    )


@st.composite
def candidates(draw: st.DrawFn) -> Detections:
    """Up to thirty boxes in a photo of 100 px."""
    number = draw(st.integers(0, 30))
    corner, side = st.floats(0, 90, width=32), st.floats(1, 40, width=32)
    boxes = []
    for _ in range(number):
        x, y, width, height = draw(corner), draw(corner), draw(side), draw(side)
        boxes.append([x, y, x + width, y + height])
    scores = draw(st.lists(st.floats(0, 1, width=32), min_size=number, max_size=number))
    return make(boxes, scores, draw(st.lists(st.integers(0, 1), min_size=number, max_size=number)))


def rows(some: Detections) -> list[tuple[float, ...]]:
    """The detections as plain values."""
    return [(*box, score, label) for box, score, label in zip(some.boxes, some.scores, some.classes, strict=True)]


def iou_of_class_mates(some: Detections) -> NDArray[np.float32]:
    """Overlap of every two detections of one class, 0 for the others."""
    same = some.classes[:, None] == some.classes[None, :]
    return np.where(same, pairwise_iou(some.boxes, some.boxes), np.float32(0))


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        ([0, 0, 10, 10], 1.0),
        ([5, 0, 15, 10], 50 / 150),
        ([2, 2, 4, 4], 4 / 100),
        ([10, 0, 20, 10], 0.0),
        ([20, 20, 30, 30], 0.0),
        ([5, 5, 5, 5], 0.0),
    ],
)
def test_intersection_over_union_by_hand(other: list[float], iou: float) -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    assert pairwise_iou(box, np.array([other], np.float32))[0, 0] == pytest.approx(iou)


@given(candidates(), candidates())
def test_overlap_is_symmetric_and_a_share(a: Detections, b: Detections) -> None:
    iou = pairwise_iou(a.boxes, b.boxes)
    assert np.array_equal(iou, pairwise_iou(b.boxes, a.boxes).T)
    assert ((iou >= 0) & (iou <= 1 + 1e-6)).all()


@given(candidates(), st.floats(0.1, 0.9))
def test_no_two_kept_boxes_of_a_class_overlap_more_than_allowed(some: Detections, threshold: float) -> None:
    kept = suppress_duplicates(some, threshold, 100)
    overlap = iou_of_class_mates(kept)
    np.fill_diagonal(overlap, 0)
    assert (overlap <= threshold).all()


@given(candidates(), st.floats(0.1, 0.9))
def test_every_dropped_box_overlaps_a_better_kept_one(some: Detections, threshold: float) -> None:
    kept = suppress_duplicates(some, threshold, 100)
    for i in range(len(some)):
        same = (kept.classes == some.classes[i]) & (kept.scores >= some.scores[i])
        overlaps = pairwise_iou(some.boxes[i : i + 1], kept.boxes)[0] > threshold
        assert rows(some)[i] in rows(kept) or (same & overlaps).any()


@given(candidates(), st.floats(0.1, 0.9))
def test_suppressing_again_changes_nothing(some: Detections, threshold: float) -> None:
    once = suppress_duplicates(some, threshold, 100)
    assert rows(suppress_duplicates(once, threshold, 100)) == rows(once)


@given(candidates(), st.floats(0.1, 0.9))
def test_what_is_kept_comes_best_first(some: Detections, threshold: float) -> None:
    assert (np.diff(suppress_duplicates(some, threshold, 100).scores) <= 0).all()


@given(candidates())
def test_many_candidates_are_suppressed_as_few_are(some: Detections) -> None:
    few = suppress_duplicates(some, 0.5, 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS_AT_ONCE", 2)  # in many pieces
        assert rows(suppress_duplicates(some, 0.5, 100)) == rows(few)


def test_an_apple_does_not_suppress_a_flower() -> None:
    both = make([[0, 0, 10, 10], [0, 0, 10, 10]], classes=[0, 1])
    assert suppress_duplicates(both, 0.5, 100).count_by_label() == {"apple": 1, "apple_flower": 1}


def test_only_the_best_candidates_are_looked_at() -> None:
    apart = make([[0, 0, 5, 5], [10, 0, 15, 5], [20, 0, 25, 5]], [0.2, 0.9, 0.5])
    assert suppress_duplicates(apart, 0.5, at_most=2).scores == pytest.approx([0.9, 0.5])


def test_counts_name_every_label() -> None:
    assert Detections.empty(LABELS).count_by_label() == {"apple": 0, "apple_flower": 0}
    assert make([[0, 0, 1, 1]] * 3, classes=[1, 0, 1]).count_by_label() == {"apple": 1, "apple_flower": 2}


def test_each_class_has_a_threshold_of_its_own_and_reaching_it_is_enough() -> None:
    some = make([[0, 0, 1, 1]] * 4, [0.5, 0.49, 0.3, 0.29], [0, 0, 1, 1])
    assert some.above([0.5, 0.3]).tolist() == [True, False, True, False]


def test_boxes_are_clipped_to_the_photo_and_those_beside_it_dropped() -> None:
    some = make([[-5, -5, 10, 10], [95, 40, 130, 60], [101, 0, 120, 10], [-9, 0, 0, 9]])
    inside = some.clipped(100, 50)
    assert inside.boxes.tolist() == [[0, 0, 10, 10], [95, 40, 100, 50]]
    assert inside.scores.tolist() == some.scores[:2].tolist()


def test_moving_and_scaling_change_the_boxes_alone() -> None:
    some = make([[1, 2, 3, 4]])
    assert some.moved(10, 20).boxes.tolist() == [[11, 22, 13, 24]]
    assert some.scaled(2).boxes.tolist() == [[2, 4, 6, 8]]
    assert some.scaled(2).scores.tolist() == some.scores.tolist()


def test_parts_are_joined_only_where_their_labels_agree() -> None:
    one = make([[0, 0, 1, 1]])
    assert len(Detections.concatenate([one, one, Detections.empty(LABELS)])) == 2
    for parts in ([], [one, Detections.empty(("pear",))]):
        with pytest.raises(ValueError, match="different labels, or none at all"):
            Detections.concatenate(parts)


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(3, np.float32), np.zeros(2, np.int64), LABELS)
