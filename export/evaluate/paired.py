"""Figures of a detector and whether it is better than another, by a bootstrap over trees and seeds.

Two detectors looked at the same photos, so each resample draws trees once for both; where networks were trained
several times, it draws seeds too, the same for both, as the same seed shows both the same crops. With one seed the
interval says nothing of how another training would have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.evaluate.matching import Figure, PhotoResult, area_under_curve

# enough for the ends of a 95 % interval to two digits; average precision at ten overlaps takes milliseconds each time
RESAMPLES = 300

Verdict = Literal["better", "worse", "not separable"]
# a measure of photos of which each counts so many times
Weighted = Callable[[NDArray[np.int64]], float]


@dataclass(frozen=True)
class Difference:
    """How much one detector's figure lies above another's.

    Attributes:
        value: difference of the means over seeds, on all photos.
        low: 2.5th percentile over resamples.
        high: 97.5th percentile.
        verdict: of the first; "not separable" where the interval holds 0.
    """

    value: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True)
class PairedMeasure:
    """A figure that two detectors can differ in.

    Attributes:
        prepare: gives the figure of photos for any number of times that each counts.
        lower_is_better: for errors.
    """

    prepare: Callable[[Sequence[PhotoResult]], Weighted]
    lower_is_better: bool = False


def _average_precision(results: Sequence[PhotoResult], matched: Sequence[NDArray[np.bool_]]) -> Weighted:
    order = np.argsort(-np.concatenate([result.scores for result in results]), kind="stable")
    sorted_matches = np.concatenate(matched)[order]
    owner = np.repeat(np.arange(len(results)), [len(result.scores) for result in results])[order]
    labelled = np.array([result.labelled for result in results])

    def figure(weights: NDArray[np.int64]) -> float:
        labels = int((weights * labelled).sum())
        if not labels:
            return float("nan")
        drawn = weights[owner]
        kept = drawn > 0
        return float(area_under_curve(sorted_matches[kept], drawn[kept, None], labels).mean())

    return figure


def _ap50(results: Sequence[PhotoResult]) -> Weighted:
    return _average_precision(results, [result.matched[:, None] for result in results])


def _ap50_95(results: Sequence[PhotoResult]) -> Weighted:
    return _average_precision(results, [result.at_all_overlaps() for result in results])


def _share_of_hits(results: Sequence[PhotoResult], of: Sequence[float]) -> Weighted:
    """Counted detections that are labelled, over the sum of something in each photo."""
    hits = np.array([int((result.matched & result.counted).sum()) for result in results])
    whole = np.array(of)

    def figure(weights: NDArray[np.int64]) -> float:
        total = float((weights * whole).sum())
        return int((weights * hits).sum()) / total if total else float("nan")

    return figure


def _precision(results: Sequence[PhotoResult]) -> Weighted:
    return _share_of_hits(results, [result.count for result in results])


def _recall(results: Sequence[PhotoResult]) -> Weighted:
    return _share_of_hits(results, [result.labelled for result in results])


def _f1(results: Sequence[PhotoResult]) -> Weighted:
    return _share_of_hits(results, [(result.count + result.labelled) / 2 for result in results])


def _count_mape(results: Sequence[PhotoResult]) -> Weighted:
    labelled = np.array([result.labelled for result in results], dtype=np.float64)
    counted = np.array([result.count for result in results], dtype=np.float64)
    shown = labelled > 0
    errors = np.abs(counted - labelled)[shown] / labelled[shown]

    def figure(weights: NDArray[np.int64]) -> float:
        drawn = weights[shown]
        return float((drawn * errors).sum() / drawn.sum()) if drawn.any() else float("nan")

    return figure


PAIRED_MEASURES: dict[str, PairedMeasure] = {
    "AP50": PairedMeasure(_ap50),
    "AP50-95": PairedMeasure(_ap50_95),
    "F1": PairedMeasure(_f1),
    "count MAPE": PairedMeasure(_count_mape, lower_is_better=True),
}

FIGURES: dict[str, PairedMeasure] = {
    "P": PairedMeasure(_precision),
    "R": PairedMeasure(_recall),
    "AP50": PAIRED_MEASURES["AP50"],
    "AP50-95": PAIRED_MEASURES["AP50-95"],
}


def mean_over_seeds(seeds: Sequence[Sequence[PhotoResult]], measure: PairedMeasure, seed: int = 0) -> Figure:
    """A detector's figure with its 95 % interval.

    Args:
        seeds: for each training seed the results of all photos, the same photos in the same order.
        measure: one of :data:`FIGURES`.
        seed: of the resampling.

    Raises:
        ValueError: other photos, or none.
    """
    prepared = [measure.prepare(results) for results in seeds]
    trees = _shared_trees(seeds, seeds)
    return _resampled(
        lambda drawn, weights: float(np.mean([prepared[i](weights) for i in drawn])), trees, len(seeds), seed
    )


def paired_difference(
    ours: Sequence[Sequence[PhotoResult]],
    theirs: Sequence[Sequence[PhotoResult]],
    measure: PairedMeasure,
    seed: int = 0,
) -> Difference:
    """The difference of two detectors with its 95 % interval.

    Args:
        ours: for each training seed the results of all photos.
        theirs: the same of the other detector: same photos in the same order, as many seeds.
        measure: what is compared, one of :data:`PAIRED_MEASURES`.
        seed: of the resampling.

    Raises:
        ValueError: other photos, another number of seeds, or none.
    """
    trees = _shared_trees(ours, theirs)
    first, second = ([measure.prepare(results) for results in side] for side in (ours, theirs))

    def difference(seeds: NDArray[np.int64], weights: NDArray[np.int64]) -> float:
        return float(np.mean([first[i](weights) - second[i](weights) for i in seeds]))

    found = _resampled(difference, trees, len(ours), seed)
    return Difference(found.value, found.low, found.high, _verdict(found.low, found.high, measure.lower_is_better))


def _resampled(
    statistic: Callable[[NDArray[np.int64], NDArray[np.int64]], float], trees: Sequence[str], seeds: int, seed: int
) -> Figure:
    """A statistic of training seeds and of how often each photo counts, over resampled trees and seeds."""
    names = sorted(set(trees))
    number_of_tree = {name: number for number, name in enumerate(names)}
    tree_of_photo = np.array([number_of_tree[tree] for tree in trees], dtype=np.int64)
    random = np.random.default_rng(seed)
    values = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))
        values.append(statistic(random.integers(seeds, size=seeds), drawn[tree_of_photo]))
    finite = [value for value in values if np.isfinite(value)]
    low, high = np.percentile(finite, (2.5, 97.5)) if finite else (float("nan"), float("nan"))
    return Figure(statistic(np.arange(seeds), np.ones(len(trees), dtype=np.int64)), float(low), float(high))


def _verdict(low: float, high: float, lower_is_better: bool) -> Verdict:
    if low > 0:
        return "worse" if lower_is_better else "better"
    if high < 0:
        return "better" if lower_is_better else "worse"
    return "not separable"


def _shared_trees(ours: Sequence[Sequence[PhotoResult]], theirs: Sequence[Sequence[PhotoResult]]) -> list[str]:
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} seeds cannot be paired with {len(theirs)}; give as many of both, at least one")
    photos = {tuple((result.tree, result.labelled) for result in results) for results in (*ours, *theirs)}
    if len(photos) != 1 or not next(iter(photos)):
        raise ValueError("the results are not of the same photos in the same order, or of none")
    return [tree for tree, _ in photos.pop()]
