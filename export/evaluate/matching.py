"""Detections against labels: matching, average precision, count errors, and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.runtime.detections import pairwise_iou

RESAMPLES = 1000
# overlaps beyond one half at which AP50-95 matches too, as COCO does
CLOSER_OVERLAPS = tuple(round(0.55 + 0.05 * step, 2) for step in range(9))


@dataclass(frozen=True)
class PhotoResult:
    """One label in one photo.

    Attributes:
        tree: what is resampled as one: the tree, or the photo that tiles were cut from.
        stage: growth stage.
        scores: (N,) scores of all detections, best first.
        matched: (N,) whether each found a label of its own.
        counted: (N,) whether each reaches the counting threshold.
        labelled: number of labels.
        closely: (N, 9) the same as ``matched`` at each of :data:`CLOSER_OVERLAPS`; None where it was not asked for.
        row: orchard row.
    """

    tree: str
    stage: str
    scores: NDArray[np.float32]
    matched: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    labelled: int
    closely: NDArray[np.bool_] | None = None
    row: str = ""

    @property
    def count(self) -> int:
        """Number counted."""
        return int(self.counted.sum())

    def at_all_overlaps(self) -> NDArray[np.bool_]:
        """(N, 10) whether each detection found a label at overlaps of 0.5, 0.55 … 0.95.

        Raises:
            ValueError: the photo was matched at an overlap of one half alone.
        """
        if self.closely is None:
            raise ValueError("AP50-95 needs matches at all overlaps; detect with every_overlap=True")
        return np.concatenate((self.matched[:, None], self.closely), axis=1)


def match(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.float32], iou_threshold: float = 0.5
) -> NDArray[np.bool_]:
    """Give each label to the best-scored detection that overlaps it enough (COCO's rule).

    Args:
        boxes: (N, 4) corners of the detections.
        scores: (N,) their scores, falling.
        labels: (M, 4) corners of the labelled objects.
        iou_threshold: least intersection over union.

    Returns:
        (N,) whether each detection found a label that no better one had taken.
    """
    if np.any(np.diff(scores) > 0):
        raise ValueError("detections must be sorted, best first")
    matched = np.zeros(len(boxes), dtype=np.bool_)
    if not len(labels):
        return matched
    iou = pairwise_iou(boxes, labels.astype(np.float32))
    for i in range(len(boxes)):
        best = int(iou[i].argmax())
        if iou[i, best] >= iou_threshold:
            matched[i] = True
            iou[:, best] = -1.0
    return matched


def match_closely(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(N, 9) the result of :func:`match` at each of :data:`CLOSER_OVERLAPS`."""
    return np.stack([match(boxes, scores, labels, overlap) for overlap in CLOSER_OVERLAPS], axis=1)


def average_precision(results: Sequence[PhotoResult]) -> float:
    """Area under the precision-recall curve of all photos together, precision made monotone; NaN without labels."""
    return float(average_precisions([result.matched[:, None] for result in results], results)[0])


def average_precision_50_95(results: Sequence[PhotoResult]) -> float:
    """Mean of the average precisions at overlaps of 0.5, 0.55 … 0.95, as COCO's.

    Raises:
        ValueError: a photo was matched at an overlap of one half alone.
    """
    return float(average_precisions([result.at_all_overlaps() for result in results], results).mean())


def average_precisions(
    matched: Sequence[NDArray[np.bool_]],
    results: Sequence[PhotoResult],
    weights: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Average precision of every column of matches.

    Args:
        matched: for each photo (N, columns) whether its detections found a label, by different rules.
        results: the photos.
        weights: (photos,) how often each photo counts; None counts each once.
    """
    often = np.ones(len(results), np.int64) if weights is None else weights
    labelled = int(sum(number * result.labelled for number, result in zip(often, results, strict=True)))
    if not labelled:
        return np.full(matched[0].shape[1] if matched else 1, np.nan)
    scores = np.concatenate([result.scores for result in results])
    order = np.argsort(-scores, kind="stable")
    repeated = np.repeat(often, [len(result.scores) for result in results])[order, None]
    return area_under_curve(np.concatenate(matched)[order], repeated, labelled)


def area_under_curve(matched: NDArray[np.bool_], weights: NDArray[np.int64], labelled: int) -> NDArray[np.float64]:
    """Average precisions (columns,) of detections sorted best first.

    Args:
        matched: (N, columns) whether each found a label.
        weights: (N, 1) how often each counts.
        labelled: number of labels.
    """
    hits = np.cumsum(matched * weights, axis=0)
    share = hits / np.maximum(np.cumsum(weights, axis=0), 1)
    envelope = np.maximum.accumulate(share[::-1], axis=0)[::-1]
    areas: NDArray[np.float64] = (envelope * matched * weights).sum(axis=0) / labelled
    return areas


def precision(results: Sequence[PhotoResult]) -> float:
    """Share of the counted detections that match a label; NaN when nothing was counted."""
    counted = sum(result.count for result in results)
    hits = sum(int((result.matched & result.counted).sum()) for result in results)
    return hits / counted if counted else float("nan")


def recall(results: Sequence[PhotoResult]) -> float:
    """Share of the labels that a counted detection matches; NaN without labels."""
    labelled = sum(result.labelled for result in results)
    hits = sum(int((result.matched & result.counted).sum()) for result in results)
    return hits / labelled if labelled else float("nan")


def f1(results: Sequence[PhotoResult]) -> float:
    """Harmonic mean of precision and recall; NaN where neither counted nor labelled is anything."""
    both = sum(result.count + result.labelled for result in results)
    hits = sum(int((result.matched & result.counted).sum()) for result in results)
    return 2 * hits / both if both else float("nan")


def count_mape(results: Sequence[PhotoResult]) -> float:
    """Mean of |counted - labelled| / labelled over photos that have labels, as a share."""
    errors = [abs(result.count - result.labelled) / result.labelled for result in results if result.labelled]
    return float(np.mean(errors)) if errors else float("nan")


def count_r2(results: Sequence[PhotoResult]) -> float:
    """1 - Σ(counted - labelled)² / Σ(labelled - mean)²: agreement with the counts themselves, not with a fit."""
    labelled = np.array([result.labelled for result in results], dtype=np.float64)
    counted = np.array([result.count for result in results], dtype=np.float64)
    spread = float(((labelled - labelled.mean()) ** 2).sum()) if len(results) else 0.0
    return 1 - float(((counted - labelled) ** 2).sum()) / spread if spread else float("nan")


def count_bias(results: Sequence[PhotoResult]) -> float:
    """(counted - labelled) / labelled over all photos together, as a share."""
    labelled = sum(result.labelled for result in results)
    return sum(result.count for result in results) / labelled - 1 if labelled else float("nan")


def by_tree(results: Sequence[PhotoResult]) -> dict[str, list[PhotoResult]]:
    """The photos of each tree."""
    trees: dict[str, list[PhotoResult]] = {}
    for result in results:
        trees.setdefault(result.tree, []).append(result)
    return trees


@dataclass(frozen=True)
class Figure:
    """A measured figure with its 95 % interval.

    Attributes:
        value: the figure on all photos.
        low: 2.5th percentile over resampled photos.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float


def with_interval(
    measure: Callable[[Sequence[PhotoResult]], float], results: Sequence[PhotoResult], seed: int = 0
) -> Figure:
    """A figure and its percentile bootstrap interval; trees are resampled with replacement, with all their photos."""
    trees = list(by_tree(results).values())
    random = np.random.default_rng(seed)
    values = [
        measure([result for i in random.integers(len(trees), size=len(trees)) for result in trees[i]])
        for _ in range(RESAMPLES)
    ]
    finite = [value for value in values if np.isfinite(value)]
    low, high = np.percentile(finite, (2.5, 97.5)) if finite else (float("nan"), float("nan"))
    return Figure(measure(results), float(low), float(high))
