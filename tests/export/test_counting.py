"""The counting threshold and count bias that a bundle is shipped with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.build.counting import counting_of, unbiased_threshold
from export.evaluate.matching import PhotoResult


def result(scores: list[float], labelled: int, tree: str = "t", stage: str = "ripening") -> PhotoResult:
    """A photo with these detections, of which the threshold decides what counts."""
    falling = np.array(sorted(scores, reverse=True), np.float32)
    nothing = np.zeros(len(scores), np.bool_)
    return PhotoResult(f"{tree}.jpg", tree, stage, falling, nothing, nothing, labelled, 1.0)


def test_the_threshold_lies_between_the_last_that_counts_and_the_first_that_does_not() -> None:
    assert unbiased_threshold([result([0.9, 0.8, 0.3, 0.1], 2)]) == pytest.approx(0.55)


@given(st.lists(st.integers(1, 9999), unique=True, min_size=1, max_size=60), st.data())
def test_as_many_count_as_there_are_labels(scores: list[int], data: st.DataObject) -> None:
    labelled = data.draw(st.integers(1, len(scores)))
    photos = [result([score / 10_000 for score in scores[part::3]], 0) for part in range(3)]
    threshold = unbiased_threshold([*photos, result([], labelled)])
    assert sum((photo.scores >= threshold).sum() for photo in photos) == labelled


def test_where_all_that_was_found_is_too_little_all_of_it_counts() -> None:
    found = np.float32(0.4)
    assert unbiased_threshold([result([0.9, 0.4], 5)]) == found
    assert unbiased_threshold([result([], 5)]) == 0.5


def test_without_labels_no_threshold_can_be_chosen() -> None:
    with pytest.raises(ValueError, match="no labelled object in the held-out photos"):
        unbiased_threshold([result([0.9], 0)])


def test_each_stage_has_the_bias_of_its_own_trees() -> None:
    counting = counting_of(
        [
            result([0.9, 0.8, 0.7], 2, "a", "ripening"),
            result([0.9, 0.2], 2, "b", "fruit_expansion"),
            result([0.9], 1, "c", ""),
        ]
    )
    assert counting.threshold == pytest.approx(0.45, abs=1e-4)
    assert {stage: bias.bias for stage, bias in counting.stages.items()} == {"ripening": 0.5, "fruit_expansion": -0.5}


def test_two_photos_of_a_tree_are_one_tree() -> None:
    sides = [result([0.9, 0.8], 2, "a"), result([0.9, 0.8], 2, "a"), result([0.9], 1, "b")]
    assert counting_of(sides).stages["ripening"].trees == 2


@settings(max_examples=5)
@given(st.integers(3, 12))
def test_the_variance_is_that_of_other_trees_of_the_same_kind(trees: int) -> None:
    unequal = [result([0.9] * (8 + 4 * (i % 2)), 10, f"t{i}") for i in range(2 * trees)]
    few = counting_of(unequal).stages["ripening"]
    assert few.bias == pytest.approx(0, abs=1e-3)
    # the mean of n trees that are off by 0.2 either way has variance 0.04 / n
    assert few.variance == pytest.approx(0.04 / (2 * trees), rel=0.35)
