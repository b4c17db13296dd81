"""Fixing the counting threshold and the count bias of a bundle on held-out training photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from export.evaluate.matching import PhotoResult, count_bias, with_interval
from export.runtime.manifest import Counting, StageBias

_RESAMPLES_SEED = 0


def unbiased_threshold(results: Sequence[PhotoResult]) -> float:
    """The score at which as many detections count as there are labels, over all photos together.

    Args:
        results: one label in held-out photos, with every detection down to a low score.

    Raises:
        ValueError: no label in these photos, so nothing to be unbiased about.
    """
    labelled = sum(result.labelled for result in results)
    if not labelled:
        raise ValueError("no labelled object in the held-out photos; a threshold cannot be chosen")
    scores = np.sort(np.concatenate([result.scores for result in results]))[::-1]
    if len(scores) <= labelled:
        return float(scores[-1]) if len(scores) else 0.5
    return float((scores[labelled - 1] + scores[labelled]) / 2)


def counting_of(results: Sequence[PhotoResult]) -> Counting:
    """Threshold and bias per stage of one label, from held-out photos.

    The variance of each bias comes from resampling trees, so it says how far another set of trees could lie.
    """
    threshold = round(unbiased_threshold(results), 4)
    counted = [replace(result, counted=result.scores >= threshold) for result in results]
    stages: dict[str, StageBias] = {}
    for stage in dict.fromkeys(result.stage for result in counted):
        chosen = [result for result in counted if result.stage == stage and result.labelled]
        if not stage or not chosen:
            continue
        bias = with_interval(count_bias, chosen, _RESAMPLES_SEED)
        deviation = (bias.high - bias.low) / (2 * 1.96)
        trees = len({result.tree for result in chosen})
        stages[stage] = StageBias(bias=round(bias.value, 4), variance=round(deviation**2, 6), trees=trees)
    return Counting(threshold=threshold, stages=stages)
