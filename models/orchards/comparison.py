"""Classifiers and feature plans beside each other on the same folds: the paper's Tables 6 and 7."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.maps.blocks import block_of
from models.maps.rasters import BaseMask, FeatureRasters
from models.maps.resampling import Interval
from models.maps.runs import Work
from models.orchards.accuracy import differences
from models.orchards.area import M2_PER_HA
from models.orchards.evaluation import Evaluation, Validation, evaluate
from models.orchards.mapping import MapSettings, map_orchards, training_points
from models.orchards.points import LabelledPoints

TABLE_6_PLANS = ("1", "2", "3")


@dataclass(frozen=True, eq=False)
class Run:
    """A classifier with a plan, and a name to tell it by."""

    name: str
    classifier: str
    plan: str


@dataclass(frozen=True, eq=False)
class Compared:
    """What one run did.

    Attributes:
        run: which.
        evaluation: on blocks it had not seen.
        less: its overall accuracy less that of the first run on the same resamples; None for the first.
        mapped_ha: what it mapped as orchard; None where nothing was mapped.
    """

    run: Run
    evaluation: Evaluation
    less: Interval | None
    mapped_ha: float | None


@dataclass(frozen=True)
class Region:
    """Where each run maps, so that areas can be compared.

    Attributes:
        features: of the region.
        base: land cover that orchards can stand on.
        out: a folder for each run's map.
        work: what maps are made with.
    """

    features: FeatureRasters
    base: BaseMask | None
    out: Path
    work: Work


def compare(
    points: LabelledPoints,
    runs: Sequence[Run],
    validation: Validation,
    region: Region | None = None,
    told: Callable[[str, int, int], None] = lambda _stage, _done, _all: None,
) -> list[Compared]:
    """Judge each run on the same folds, and map a region with it where one is given.

    Args:
        points: labelled, with features, or with the region's.
        runs: the first is what the others are compared with.
        validation: blocks and folds.
        region: to map.
        told: is told which run is on.

    Raises:
        MapError: a plan whose features are not there, too few blocks, no such classifier.
    """
    if region is not None:
        points = training_points(region.features, points)
    evaluations: list[Evaluation] = []
    mapped: list[float | None] = []
    for done, run in enumerate(runs):
        told(run.name, done, len(runs))
        if region is None:
            evaluations.append(evaluate(points, run.classifier, run.plan, validation))
            mapped.append(None)
        else:
            settings = MapSettings(run.classifier, run.plan, validation, region.base)
            made = map_orchards(region.features, points, settings, region.work, region.out / run.name)
            evaluations.append(made.evaluation)
            mapped.append(made.areas.orchard / M2_PER_HA)
    blocks = block_of(points.lon, points.lat, validation.block_km)
    said = {run.name: evaluation.mapped for run, evaluation in zip(runs, evaluations, strict=True)}
    less = differences(points.orchard, said, blocks, seed=validation.seed)
    return [
        Compared(run, evaluation, less.get(run.name), ha)
        for run, evaluation, ha in zip(runs, evaluations, mapped, strict=True)
    ]
