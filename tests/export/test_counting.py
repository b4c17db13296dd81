"""The counting threshold and count bias that a bundle is shipped with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.build.counting import counting_of, unbiased_threshold
from export.evaluate.matching import PhotoResult


def result(scores: list[float], labelled: int, tree: str = "t", stage: str = "ripening", row: str = "") -> PhotoResult:
    """A photo with these detections, of which the threshold decides what counts."""
    falling = np.array(sorted(scores, reverse=True), np.float32)
    nothing = np.zeros(len(scores), np.bool_)
    return PhotoResult(tree, stage, falling, nothing, nothing, labelled, row=row or tree)


def test_the_threshold_lies_between_the_last_that_counts_and_the_first_that_does_not() -> None:
    assert unbiased_threshold([result([0.9, 0.8, 0.3, 0.1], 2)]) == pytest.approx(0.55)


@given(st.lists(st.integers(1, 9999), unique=True, min_size=2, max_size=60), st.data())
def test_as_many_count_as_there_are_labels(scores: list[int], data: st.DataObject) -> None:
    labelled = data.draw(st.integers(1, len(scores) - 1))
    photos = [result([score / 10_000 for score in scores[part::3]], 0) for part in range(3)]
    threshold = unbiased_threshold([*photos, result([], labelled)])
    assert sum((photo.scores >= threshold).sum() for photo in photos) == labelled


@pytest.mark.parametrize("scores", [[], [0.9, 0.4], [0.9, 0.8, 0.7, 0.4, 0.1]])
def test_a_detector_that_finds_too_little_gets_no_threshold(scores: list[float]) -> None:
    with pytest.raises(ValueError, match=f"finds {len(scores)} objects .* where 5 are labelled, .*; train it longer"):
        unbiased_threshold([result(scores, 5)])


def test_without_labels_no_threshold_can_be_chosen() -> None:
    with pytest.raises(ValueError, match="no labelled object in the held-out photos"):
        unbiased_threshold([result([0.9], 0)])


def test_each_stage_has_the_bias_of_its_own_trees() -> None:
    ripe = [result([0.9, 0.8, 0.7], 2, tree, "ripening") for tree in "ab"]
    green = [result([0.9, 0.2], 2, tree, "fruit_expansion") for tree in "cd"]
    counting = counting_of([*ripe, *green, result([0.9], 1, "e", "")])
    assert counting.threshold == pytest.approx(0.45, abs=1e-4)
    assert {stage: bias.bias for stage, bias in counting.stages.items()} == {"ripening": 0.5, "fruit_expansion": -0.5}


def test_a_tree_is_counted_at_the_threshold_of_the_others() -> None:
    """At their own threshold, 0.45, both count without error; at that of the first, 0.55, the second misses one."""
    counting = counting_of([result([0.9, 0.8, 0.3], 2, "a"), result([0.6, 0.5, 0.4], 2, "b")])
    assert counting.threshold == pytest.approx(0.45)
    assert counting.stages["ripening"].bias == pytest.approx(-1 / 4)


def test_one_tree_says_nothing_of_how_far_others_lie() -> None:
    one, *others = (result([0.9, 0.8, 0.1], 2, tree) for tree in "abc")
    counting = counting_of([replace(one, stage="young_fruit"), *others])
    assert set(counting.stages) == {"ripening"}


def test_two_photos_of_a_tree_are_one_tree() -> None:
    trees = [result([0.9, 0.8, 0.1], 2, tree) for tree in "aab"]
    assert counting_of(trees).stages["ripening"].trees == 2


@settings(max_examples=5)
@given(st.integers(3, 12))
def test_the_variance_is_that_of_other_trees_of_the_same_kind(trees: int) -> None:
    unequal = [result([0.9] * (8 + 4 * (i % 2)) + [0.1] * 4, 10, f"t{i}") for i in range(2 * trees)]
    many = [result([0.9] * 1000 + list(np.linspace(0.5, 0.2, 1000)), 1000, "other", "")]  # hold the threshold still
    few = counting_of([*unequal, *many]).stages["ripening"]
    assert few.bias == pytest.approx(0, abs=1e-3)
    # the mean of n trees that are off by 0.2 either way has variance 0.04 / n
    assert few.variance == pytest.approx(0.04 / (2 * trees), rel=0.35)


def row(name: str, scores: list[float], labelled: int, trees: int = 3, stage: str = "ripening") -> list[PhotoResult]:
    return [result(scores, labelled, f"{name}{i}", stage, name) for i in range(trees)]


def test_each_orchard_row_weighs_the_same_in_the_threshold() -> None:
    long = row("r1", [0.9, 0.7, 0.5], 2, trees=20)  # unbiased at 0.6
    short = row("r2", [0.9, 0.5, 0.3], 2)  # at 0.4
    assert counting_of([*long, *short]).threshold == pytest.approx(0.5)
    alone = row("r3", [0.9, 0.2, 0.1], 2, trees=2)  # too few trees to speak for a row
    assert counting_of([*long, *short, *alone]).threshold == pytest.approx(0.5)


def test_a_row_is_counted_at_the_threshold_of_the_other_rows_and_rows_tell_the_variance() -> None:
    rows = [
        *row("r1", [0.9, 0.8, 0.75, 0.7, 0.65, 0.3], 5),  # unbiased at 0.475
        *row("r2", [0.9, 0.8, 0.6, 0.5, 0.1], 4),  # at 0.3
        *row("r3", [0.9, 0.8, 0.7, 0.6, 0.2], 4),  # at 0.4
    ]
    bias = counting_of(rows).stages["ripening"]
    # at the others' 0.35, 0.4375 and 0.3875 each counts what is labelled
    assert (bias.bias, bias.variance, bias.trees, bias.rows) == (0, 0, 9, 3)


def test_rows_that_count_differently_make_the_next_one_uncertain() -> None:
    rows = [*row("r1", [0.9, 0.8, 0.5, 0.1], 2), *row("r2", [0.9, 0.6, 0.4, 0.3], 2), *row("r3", [0.9, 0.8, 0.6], 1)]
    bias = counting_of(rows).stages["ripening"]
    assert bias.rows == 3
    assert bias.variance == pytest.approx(np.var([0.0, -0.5, 2.0], ddof=1), abs=1e-4)
    assert bias.bias == pytest.approx(np.mean([0.0, -0.5, 2.0]), abs=1e-4)


def test_a_photo_of_no_known_row_is_no_row() -> None:
    """It says nothing of how rows differ, so the variance is that of trees."""
    known = row("r1", [0.9, 0.7, 0.5], 2)
    alone = [result([0.9, 0.8, 0.1], 2, tree) for tree in ("photo_1", "photo_2")]
    bias = counting_of([*known, *alone]).stages["ripening"]
    assert (bias.trees, bias.rows) == (5, 0)


def test_the_bias_says_how_many_of_its_trees_were_trained_on() -> None:
    seen, unseen = row("r1", [0.9, 0.7, 0.5], 2, trees=4), row("r2", [0.9, 0.5, 0.3], 2)
    bias = counting_of([*seen, *unseen], {"r1"}).stages["ripening"]
    assert (bias.trees, bias.rows, bias.trained_trees) == (7, 2, 4)
