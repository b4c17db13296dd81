"""The paired bootstrap: what must hold for any two detectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.evaluate import paired
from export.evaluate.matching import (
    PhotoResult,
    average_precision,
    average_precision_50_95,
    count_mape,
    f1,
)
from export.evaluate.paired import PAIRED_MEASURES, Difference, paired_difference


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 200)


def photo(random: np.random.Generator, tree: int, labelled: int, skill: float) -> PhotoResult:
    """A photo in which each label is found with a chance, beside some that nobody labelled."""
    found = random.random(labelled) < skill
    extra = int(random.integers(0, 4))
    matched = np.concatenate((found[found], np.zeros(extra, np.bool_)))
    scores = np.sort(random.random(len(matched)).astype(np.float32))[::-1]
    closely = matched[:, None] & (random.random((len(matched), 9)) < 0.7)
    return PhotoResult(f"t{tree}", "ripening", scores, matched, scores > 0.3, labelled, closely)


def detector(seed: int, skill: float, trees: int = 8) -> list[PhotoResult]:
    random = np.random.default_rng(seed)
    return [photo(random, i // 2, 6 + i % 5, skill) for i in range(2 * trees)]


seeds = st.integers(0, 2**16)
PLAIN = {"AP50": average_precision, "AP50-95": average_precision_50_95, "F1": f1, "count MAPE": count_mape}
measures = st.sampled_from(list(PAIRED_MEASURES))


@settings(max_examples=20)
@given(seeds, measures)
def test_the_value_is_the_difference_of_the_figures_themselves(seed: int, name: str) -> None:
    plain = PLAIN[name]
    ours, theirs = detector(seed, 0.9), detector(seed + 1, 0.5)
    found = paired_difference([ours], [theirs], PAIRED_MEASURES[name])
    assert found.value == pytest.approx(plain(ours) - plain(theirs))


@settings(max_examples=10)
@given(seeds, measures)
def test_a_detector_differs_from_itself_by_nothing(seed: int, name: str) -> None:
    ours = [detector(seed, 0.8), detector(seed + 1, 0.8)]
    assert paired_difference(ours, ours, PAIRED_MEASURES[name]) == Difference(0, 0, 0, "not separable")


@settings(max_examples=10)
@given(seeds, measures)
def test_exchanging_the_two_exchanges_sign_and_verdict(seed: int, name: str) -> None:
    ours, theirs = [detector(seed, 0.8)], [detector(seed + 1, 0.6)]
    one, other = (paired_difference(a, b, PAIRED_MEASURES[name]) for a, b in ((ours, theirs), (theirs, ours)))
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    opposite = {"better": "worse", "worse": "better", "not separable": "not separable"}
    assert other.verdict == opposite[one.verdict]


@settings(max_examples=10)
@given(seeds, measures)
def test_the_verdict_is_what_the_interval_says(seed: int, name: str) -> None:
    found = paired_difference([detector(seed, 0.8)], [detector(seed + 1, 0.7)], PAIRED_MEASURES[name])
    assert found.low <= found.value <= found.high or found.low > found.high - 1e-9
    assert (found.verdict == "not separable") == (found.low <= 0 <= found.high)


def test_what_is_clearly_better_is_called_so() -> None:
    good, bad = [detector(1, 0.95)], [detector(2, 0.3)]
    assert paired_difference(good, bad, PAIRED_MEASURES["AP50"]).verdict == "better"
    assert paired_difference(bad, good, PAIRED_MEASURES["AP50"]).verdict == "worse"


def test_a_smaller_error_is_better() -> None:
    exact = [replace(p, counted=np.ones(len(p.scores), np.bool_), labelled=len(p.scores)) for p in detector(1, 0.9)]
    none = [replace(p, counted=np.zeros(len(p.scores), np.bool_)) for p in exact]
    found = paired_difference([exact], [none], PAIRED_MEASURES["count MAPE"])
    assert found.value == pytest.approx(-1)
    assert found.verdict == "better"


def test_trees_are_drawn_for_both_at_once() -> None:
    """Hard trees are hard for both; unpaired, their spread would hide what differs on every tree."""
    random = np.random.default_rng(0)
    ours: list[PhotoResult] = []
    theirs: list[PhotoResult] = []
    for tree in range(12):
        labelled, found = 20, int(random.integers(4, 18))
        for side, hits in ((ours, found + 1), (theirs, found)):
            matched = np.ones(hits, np.bool_)
            side.append(PhotoResult(f"t{tree}", "", np.full(hits, 0.9, np.float32), matched, matched, labelled))
    found_difference = paired_difference([ours], [theirs], PAIRED_MEASURES["AP50"])
    assert found_difference.verdict == "better"
    assert found_difference.high - found_difference.low < 0.01


def test_photos_of_one_tree_are_drawn_together() -> None:
    one_tree = [replace(p, tree="t") for p in detector(1, 0.9)]
    other = [replace(p, tree="t") for p in detector(2, 0.6)]
    found = paired_difference([one_tree], [other], PAIRED_MEASURES["F1"])
    assert found.low == found.value == found.high


def test_seeds_that_disagree_widen_the_interval() -> None:
    """On a single tree, so that nothing else varies."""
    good, bad, level = ([replace(p, tree="t") for p in detector(1, skill)] for skill in (0.95, 0.5, 0.7))
    steady = paired_difference([level, level], [level, level], PAIRED_MEASURES["AP50"])
    torn = paired_difference([good, bad], [level, level], PAIRED_MEASURES["AP50"])
    assert (steady.low, steady.high) == (0, 0)
    assert torn.low == pytest.approx(average_precision(bad) - average_precision(level))
    assert torn.high == pytest.approx(average_precision(good) - average_precision(level))


@settings(max_examples=20)
@given(seeds, measures, st.lists(st.integers(0, 3), min_size=16, max_size=16))
def test_a_photo_drawn_twice_counts_twice(seed: int, name: str, weights: list[int]) -> None:
    photos = detector(seed, 0.7)
    drawn = [photo for photo, often in zip(photos, weights, strict=True) for _ in range(often)]
    figure = PAIRED_MEASURES[name].prepare(photos)(np.array(weights))
    assert figure == pytest.approx(PLAIN[name](drawn) if drawn else float("nan"), nan_ok=True)


@pytest.mark.parametrize("seeds_of_other", [0, 2])
def test_another_number_of_seeds_is_refused(seeds_of_other: int) -> None:
    with pytest.raises(ValueError, match=f"1 seeds cannot be paired with {seeds_of_other}"):
        paired_difference([detector(1, 0.9)], [detector(2, 0.9)] * seeds_of_other, PAIRED_MEASURES["F1"])


def test_other_photos_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the same photos"):
        paired_difference([detector(1, 0.9)], [detector(2, 0.9)[1:]], PAIRED_MEASURES["F1"])
