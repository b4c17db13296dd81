"""Spatially blocked validation: every point is judged by a classifier that saw no point of its block."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.maps.blocks import block_of
from models.maps.resampling import Interval, Matrix
from models.orchards.accuracy import confusion, with_intervals
from models.orchards.blocks import split
from models.orchards.classifiers import fit
from models.orchards.plans import columns_of, groups_of_plan
from models.orchards.points import LabelledPoints


@dataclass(frozen=True)
class Validation:
    """How to validate.

    Attributes:
        block_km: side of a block.
        folds: into how many folds the blocks are dealt.
        seed: of everything random.
    """

    block_km: float = 10.0
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a classifier did on blocks it had not seen.

    Attributes:
        classifier: its key.
        groups: the groups of features it had.
        features: how many.
        mapped: (n,) what it said of each point.
        matrix: (2, 2) points by what it said (rows) and what is there (columns).
        accuracy: its figures with intervals.
        chosen: the settings chosen in each fold.
        seconds: how long choosing, training and judging took.
    """

    classifier: str
    groups: tuple[str, ...]
    features: int
    mapped: NDArray[np.bool_]
    matrix: Matrix
    accuracy: dict[str, Interval]
    chosen: tuple[dict[str, Any], ...]
    seconds: float


def evaluate(points: LabelledPoints, classifier: str, plan: str, validation: Validation) -> Evaluation:
    """Judge every point by a classifier trained, settings and all, on other blocks.

    Args:
        points: with their features.
        classifier: key in :data:`models.orchards.classifiers.CLASSIFIERS`.
        plan: key in :data:`models.orchards.plans.PLANS`.
        validation: blocks and folds.

    Raises:
        MapError: a plan whose features are not there, too few blocks, no such classifier.
    """
    groups = groups_of_plan(plan, points.names)
    columns = columns_of(points.names, groups)
    features = points.features[:, columns]
    blocks = block_of(points.lon, points.lat, validation.block_km)
    started = time.perf_counter()
    mapped = np.zeros(len(points), dtype=bool)
    chosen = []
    for train, test in split(points.orchard, blocks, validation.folds, validation.seed):
        fitted = fit(
            classifier,
            features[train],
            points.orchard[train],
            blocks[train],
            seed=validation.seed,
        )
        mapped[test] = fitted.orchard_probability(features[test]) >= 0.5
        chosen.append(fitted.chosen)
    return Evaluation(
        classifier=classifier,
        groups=groups,
        features=len(columns),
        mapped=mapped,
        matrix=confusion(points.orchard, mapped),
        accuracy=with_intervals(points.orchard, mapped, blocks, seed=validation.seed),
        chosen=tuple(chosen),
        seconds=time.perf_counter() - started,
    )
