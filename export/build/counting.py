"""Fixing the counting threshold and the count bias of a bundle on photos of the training set, by orchard row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from export.evaluate.matching import RESAMPLES, PhotoResult, by_tree, count_bias
from export.runtime.manifest import Counting, StageBias

_RESAMPLES_SEED = 0
# trees from which on an orchard row speaks for itself
LEAST_TREES = 3


def unbiased_threshold(results: Sequence[PhotoResult]) -> float:
    """The score at which as many detections count as there are labels, over all photos together.

    Args:
        results: one label in photos, with every detection down to a low score.

    Raises:
        ValueError: no label in these photos, so nothing to be unbiased about; or fewer detections than labels, so that
            even counting every one of them, noise and all, would count too few.
    """
    labelled = sum(result.labelled for result in results)
    if not labelled:
        raise ValueError("no labelled object in the held-out photos; a threshold cannot be chosen")
    scores = np.sort(np.concatenate([result.scores for result in results]))[::-1]
    if len(scores) <= labelled:
        raise ValueError(
            f"the detector finds {len(scores)} objects in the held-out photos, where {labelled} are labelled, even at "
            "the lowest score; train it longer"
        )
    return float((scores[labelled - 1] + scores[labelled]) / 2)


def threshold_of(results: Sequence[PhotoResult]) -> float:
    """The counting threshold: the mean over orchard rows of the unbiased ones.

    Rows differ more than trees of a row do, so another row is best counted at the mean over rows, each weighing the
    same. Where fewer than two rows are known, all photos together decide.

    Raises:
        ValueError: as :func:`unbiased_threshold`.
    """
    rows = full_rows(results)
    if len(rows) < 2:
        return unbiased_threshold(results)
    return float(np.mean([unbiased_threshold(row) for row in rows.values()]))


def full_rows(results: Sequence[PhotoResult]) -> dict[str, list[PhotoResult]]:
    """The photos of each orchard row that shows labels on enough trees to speak for itself."""
    rows: dict[str, list[PhotoResult]] = {}
    for result in results:
        if result.row and result.labelled:
            rows.setdefault(result.row, []).append(result)
    return {row: photos for row, photos in rows.items() if len(by_tree(photos)) >= LEAST_TREES}


def counting_of(results: Sequence[PhotoResult], trained_rows: Collection[str] = ()) -> Counting:
    """Threshold and bias per stage of one label.

    The bias of a tree is counted at the threshold that the other rows give (the other trees, where rows are not known),
    since at its own it would be too small. Its variance is that between rows: how far another row may be off.

    Args:
        results: the label in photos, with every detection down to a low score.
        trained_rows: those of the rows that the model was trained on.
    """
    rows = full_rows(results)
    units = rows if len(rows) > 1 else by_tree(results)
    biases: dict[str, list[PhotoResult]] = {}
    for photos in units.values():
        own = {id(photo) for photo in photos}
        others = [result for result in results if id(result) not in own]
        threshold = threshold_of(others) if any(other.labelled for other in others) else None
        for photo in photos:
            if photo.stage and photo.labelled and threshold is not None:
                counted = replace(photo, counted=photo.scores >= threshold)
                biases.setdefault(photo.stage, []).append(counted)
    stages = {stage: bias for stage, photos in biases.items() if (bias := _bias(photos, trained_rows)) is not None}
    return Counting(threshold=round(threshold_of(results), 4), stages=stages)


def _bias(photos: Sequence[PhotoResult], trained_rows: Collection[str]) -> StageBias | None:
    rows = full_rows(photos)
    if len(rows) > 1:  # rows of too few trees, and photos of no known row, say nothing of how rows differ
        photos = [photo for row in rows.values() for photo in row]
    trees = list(by_tree(photos).values())
    if len(trees) < 2:  # one tree says nothing of how far the next may lie
        return None
    if len(rows) > 1:
        of_rows = [count_bias(row) for row in rows.values()]
        bias, variance, known = float(np.mean(of_rows)), float(np.var(of_rows, ddof=1)), len(rows)
    else:
        bias, variance, known = count_bias(photos), _variance_between_trees(trees), 0
    trained = sum(tree[0].row in trained_rows for tree in trees)
    return StageBias(
        bias=round(bias, 4), variance=round(variance, 6), trees=len(trees), rows=known, trained_trees=trained
    )


def _variance_between_trees(trees: Sequence[Sequence[PhotoResult]]) -> float:
    random = np.random.default_rng(_RESAMPLES_SEED)
    resampled = [
        count_bias([photo for i in random.integers(len(trees), size=len(trees)) for photo in trees[i]])
        for _ in range(RESAMPLES)
    ]
    return float(np.var(resampled))
