"""Fixing the counting threshold and the count bias of a bundle on held-out training photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from export.evaluate.matching import RESAMPLES, PhotoResult, by_tree, count_bias
from export.runtime.manifest import Counting, StageBias

_RESAMPLES_SEED = 0


def unbiased_threshold(results: Sequence[PhotoResult]) -> float:
    """The score at which as many detections count as there are labels, over all photos together.

    Args:
        results: one label in held-out photos, with every detection down to a low score.

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


def counting_of(results: Sequence[PhotoResult]) -> Counting:
    """Threshold and bias per stage of one label, from held-out photos.

    The bias of a tree is counted at the threshold that the other trees give, since at its own it would be too small.
    Its variance comes from resampling trees, so it says how far another set of trees could lie.
    """
    trees = by_tree(results)
    biases: dict[str, list[PhotoResult]] = {}
    for tree, photos in trees.items():
        others = [result for result in results if result.tree != tree]
        threshold = unbiased_threshold(others) if any(other.labelled for other in others) else None
        for photo in photos:
            if photo.stage and photo.labelled and threshold is not None:
                counted = replace(photo, counted=photo.scores >= threshold)
                biases.setdefault(photo.stage, []).append(counted)
    stages = {stage: bias for stage, photos in biases.items() if (bias := _bias(photos)) is not None}
    return Counting(threshold=round(unbiased_threshold(results), 4), stages=stages)


def _bias(photos: Sequence[PhotoResult]) -> StageBias | None:
    trees = list(by_tree(photos).values())
    if len(trees) < 2:  # one tree says nothing of how far the next may lie
        return None
    random = np.random.default_rng(_RESAMPLES_SEED)
    resampled = [
        count_bias([photo for i in random.integers(len(trees), size=len(trees)) for photo in trees[i]])
        for _ in range(RESAMPLES)
    ]
    return StageBias(bias=round(count_bias(photos), 4), variance=round(float(np.var(resampled)), 6), trees=len(trees))
