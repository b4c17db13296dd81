"""Matching, average precision, count errors and their intervals, on examples small enough to do by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.evaluate.matching import (
    PhotoResult,
    average_precision,
    average_precision_50_95,
    average_precisions,
    count_bias,
    count_mape,
    count_r2,
    f1,
    match,
    match_closely,
    precision,
    recall,
    with_interval,
)


def result(
    matched: Sequence[bool],
    labelled: int,
    scores: Sequence[float] | None = None,
    counted: Sequence[bool] | None = None,
    tree: str = "t",
) -> PhotoResult:
    """A photo in which detections, best first, found a label or not."""
    falling = np.linspace(0.9, 0.5, len(matched)) if scores is None else scores
    return PhotoResult(
        tree=tree,
        stage="ripening",
        scores=np.array(falling, np.float32),
        matched=np.array(matched, np.bool_),
        counted=np.array([True] * len(matched) if counted is None else counted, np.bool_),
        labelled=labelled,
    )


def counted(number: int, labelled: int, tree: str = "t") -> PhotoResult:
    """A photo in which so many were counted."""
    return result([True] * number, labelled, tree=tree)


results = st.lists(
    st.tuples(st.lists(st.booleans(), max_size=12), st.integers(0, 5)).map(
        lambda drawn: result(drawn[0], sum(drawn[0]) + drawn[1])
    ),
    min_size=1,
    max_size=6,
)


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float32).reshape(-1, 4)


def test_the_best_detection_takes_the_label_and_the_next_finds_none() -> None:
    found = boxes((0, 0, 10, 10), (1, 0, 11, 10))
    assert match(found, np.array([0.9, 0.8], np.float32), boxes((0, 0, 10, 10))).tolist() == [True, False]


def test_a_label_is_matched_from_half_overlap_on() -> None:
    label = boxes((0, 0, 30, 10))
    scores = np.array([0.9], np.float32)
    assert match(boxes((10, 0, 40, 10)), scores, label).tolist() == [True]  # 20 / 40
    assert match(boxes((11, 0, 41, 10)), scores, label).tolist() == [False]  # 19 / 41


def test_a_detection_takes_the_label_it_overlaps_most() -> None:
    found = boxes((2, 0, 12, 10), (0, 0, 10, 10))
    labels = boxes((0, 0, 10, 10), (3, 0, 13, 10))
    assert match(found, np.array([0.9, 0.8], np.float32), labels).tolist() == [True, True]


def test_without_labels_nothing_matches() -> None:
    assert match(boxes((0, 0, 1, 1)), np.array([0.9], np.float32), boxes()).tolist() == [False]
    assert match(boxes(), np.zeros(0, np.float32), boxes((0, 0, 1, 1))).tolist() == []


def test_unsorted_detections_are_refused() -> None:
    with pytest.raises(ValueError, match="sorted, best first"):
        match(boxes((0, 0, 1, 1), (0, 0, 1, 1)), np.array([0.1, 0.2], np.float32), boxes((0, 0, 1, 1)))


@pytest.mark.parametrize(
    ("matched", "labelled", "expected"),
    [
        ([True, True], 2, 1.0),
        ([True], 2, 0.5),
        ([False, True], 1, 1 / 2),
        ([True, False, True], 2, (1 + 2 / 3) / 2),
        # precision at the hits is 1, 1/2 and 3/5; the envelope lifts the second to 3/5
        ([True, False, False, True, True], 3, (1 + 3 / 5 + 3 / 5) / 3),
        ([False, False], 3, 0.0),
        ([], 3, 0.0),
    ],
)
def test_average_precision_by_hand(matched: list[bool], labelled: int, expected: float) -> None:
    assert average_precision([result(matched, labelled)]) == pytest.approx(expected)


def test_average_precision_sorts_the_detections_of_all_photos_together() -> None:
    sure, unsure = result([True], 1, [0.9]), result([False, True], 1, [0.95, 0.1])
    # best first: wrong, right, right
    assert average_precision([sure, unsure]) == pytest.approx((2 / 3 + 2 / 3) / 2)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_a_perfect_detector_scores_one_in_everything(labelled: list[int]) -> None:
    photos = [counted(number, number) for number in labelled]
    assert average_precision(photos) == pytest.approx(1)
    assert (precision(photos), recall(photos)) == (1, 1)
    assert (count_mape(photos), count_bias(photos)) == (0, 0)
    assert len(set(labelled)) == 1 or count_r2(photos) == 1


@given(results)
def test_average_precision_lies_between_nothing_and_the_labels_found(photos: list[PhotoResult]) -> None:
    value = average_precision(photos)
    assert math.isnan(value) == (sum(photo.labelled for photo in photos) == 0)
    assert math.isnan(value) or 0 <= value <= recall(photos) + 1e-9


@given(results)
def test_a_wrong_detection_below_all_others_changes_no_average_precision(photos: list[PhotoResult]) -> None:
    more = [*photos, result([False], 0, [0.001])]
    assert average_precision(more) == pytest.approx(average_precision(photos), nan_ok=True)


def test_average_precision_50_95_is_the_mean_over_ten_overlaps() -> None:
    label = boxes((0, 0, 100, 10))
    scores = np.array([0.9], np.float32)
    closely = match_closely(boxes((0, 0, 72, 10)), scores, label)  # overlaps by 0.72
    assert closely.tolist() == [[True] * 4 + [False] * 5]  # 0.55, 0.6, 0.65, 0.7
    photo = replace(result([True], 1), closely=closely)
    assert average_precision_50_95([photo]) == pytest.approx(5 / 10)
    assert average_precision([photo]) == 1


def test_average_precision_50_95_needs_matches_at_all_overlaps() -> None:
    with pytest.raises(ValueError, match="detect with every_overlap=True"):
        average_precision_50_95([result([True], 1)])


@given(results, st.data())
def test_a_photo_that_counts_twice_is_as_good_as_two_photos(photos: list[PhotoResult], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(photos), max_size=len(photos)))
    # scores apart, so that no order among equals is left to chance
    apart = [replace(p, scores=(p.scores * 0.9 + i * 0.00123457).astype(np.float32)) for i, p in enumerate(photos)]
    drawn = [photo for photo, often in zip(apart, weights, strict=True) for _ in range(often)]
    weighted = average_precisions([p.matched[:, None] for p in apart], apart, np.array(weights))[0]
    assert weighted == pytest.approx(average_precision(drawn), nan_ok=True)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    photo = result([True, False, True], 4, counted=[True, True, False])
    assert f1([photo]) == pytest.approx(2 / (1 / (1 / 2) + 1 / (1 / 4)))


def test_precision_and_recall_look_at_what_counts_alone() -> None:
    photo = result([True, False, True], 4, counted=[True, True, False])
    assert precision([photo]) == 1 / 2
    assert recall([photo]) == 1 / 4


def test_count_errors_by_hand() -> None:
    photos = [counted(8, 10), counted(24, 20), counted(3, 0)]
    assert count_mape(photos) == pytest.approx((0.2 + 0.2) / 2)  # a photo without labels has no share
    assert count_bias(photos) == pytest.approx(35 / 30 - 1)
    assert count_r2(photos) == pytest.approx(1 - (4 + 16 + 9) / 200)


def test_agreement_is_with_the_counts_and_not_with_a_line_through_them() -> None:
    assert count_r2([counted(2 * number, number) for number in (10, 20, 30)]) < 0


def test_figures_of_nothing_are_no_number() -> None:
    nothing = [result([], 0)]
    measures = (average_precision, precision, recall, count_mape, count_r2, count_bias)
    assert all(math.isnan(measure(nothing)) for measure in measures)


@settings(max_examples=5)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=2, max_size=8), st.integers(0, 5))
def test_the_interval_encloses_the_figure_and_can_be_repeated(pairs: list[tuple[int, int]], seed: int) -> None:
    photos = [counted(number, labelled, f"t{i}") for i, (number, labelled) in enumerate(pairs)]
    figure = with_interval(count_bias, photos, seed)
    assert figure.low <= figure.value <= figure.high
    assert with_interval(count_bias, photos, seed) == figure


def test_trees_that_agree_have_a_narrow_interval_and_trees_that_differ_a_wide_one() -> None:
    same = with_interval(count_bias, [counted(11, 10, f"t{i}") for i in range(10)])
    assert [same.low, same.high] == pytest.approx([0.1, 0.1])
    apart = with_interval(count_bias, [counted(5 + 10 * (i % 2), 10, f"t{i}") for i in range(10)])
    # the mean of ten draws of ±0.5 has a standard deviation of 0.158
    assert apart.low == pytest.approx(-0.31, abs=0.06)
    assert apart.high == pytest.approx(0.31, abs=0.06)


def test_photos_of_one_tree_are_drawn_together() -> None:
    one_tree = [counted(5, 10, "t"), counted(15, 10, "t")]
    figure = with_interval(count_bias, one_tree)
    assert (figure.low, figure.value, figure.high) == (0, 0, 0)
