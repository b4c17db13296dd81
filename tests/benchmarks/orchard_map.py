"""How well orchards are told from everything else on real points, on blocks that were not trained on.

    POMONA_DATA=data python -m tests.benchmarks.orchard_map california-classifiers

The tables of docs/results/orchard-map.md, one a name: ``python -m tests.benchmarks.orchard_map --help``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path

import numpy as np

from models.maps.blocks import block_of
from models.maps.resampling import Interval
from models.orchards.accuracy import with_intervals
from models.orchards.classifiers import CLASSIFIERS, fit
from models.orchards.comparison import Compared, Run, compare
from models.orchards.evaluation import Validation
from models.orchards.plans import columns_of, groups_of_plan
from models.orchards.points import LabelledPoints
from tests.benchmarks.orchard_points import california, corsica

_FIGURES = ("overall", "kappa", "users", "producers", "share_difference")
_HEAD = ("OA", "kappa", "UA", "PA", "mapped less true share, points of 100")
_PAPER_POINTS = 200  # of each class, as the paper labelled


def _figure(name: str, interval: Interval) -> str:
    scale, form = (100, "+.1f") if name == "share_difference" else (1, ".3f")
    value, low, high = (scale * number for number in (interval.value, interval.low, interval.high))
    return f"{value:{form}} ({low:{form}} to {high:{form}})" if isfinite(low) else f"{value:{form}}"


def _row(name: str, accuracy: dict[str, Interval], *more: str) -> None:
    print("| " + " | ".join([name, *(_figure(figure, accuracy[figure]) for figure in _FIGURES), *more]) + " |")


def _head(first: str, *more: str) -> None:
    columns = [first, *_HEAD, *more]
    print("| " + " | ".join(columns) + " |")
    print("| --- |" + " ---: |" * (len(columns) - 1))


def _compared(points: LabelledPoints, runs: list[Run], validation: Validation) -> None:
    blocks = len(np.unique(block_of(points.lon, points.lat, validation.block_km)))
    print(f"{len(points)} points, {points.orchard.sum()} of orchards, {blocks} blocks of {validation.block_km:g} km\n")
    _head("", "features", "OA less the first")
    for one in compare(points, runs, validation):
        _compared_row(one)


def _compared_row(one: Compared) -> None:
    less = "" if one.less is None else f"{one.less.value:+.3f} ({one.less.low:+.3f} to {one.less.high:+.3f})"
    found = one.evaluation
    _row(one.run.name, found.accuracy, str(found.features), less)


def _classifiers(plan: str) -> list[Run]:
    return [Run(recipe.title, name, plan) for name, recipe in CLASSIFIERS.items()]


def _california_classifiers(data: Path) -> None:
    _compared(california(data)[0], _classifiers("spectral+elevation"), Validation(block_km=10))


def _few(points: LabelledPoints, classifier: str, plan: str) -> dict[str, Interval]:
    """As many points as the paper's: 200 and 200 drawn from four fifths of the blocks, judged on the rest, in turn."""
    features = points.features[:, columns_of(points.names, groups_of_plan(plan, points.names))]
    rng = np.random.default_rng(0)
    blocks = block_of(points.lon, points.lat, 10)
    dealt = rng.permutation(blocks.max() + 1) % 5
    mapped = np.zeros(len(points), bool)
    for fold in range(5):
        pool, test = np.flatnonzero(dealt[blocks] != fold), np.flatnonzero(dealt[blocks] == fold)
        few = [rng.choice(pool[points.orchard[pool] == there], _PAPER_POINTS, False) for there in (True, False)]
        train = np.sort(np.concatenate(few))
        fitted = fit(classifier, features[train], points.orchard[train], blocks[train])
        mapped[test] = fitted.orchard_probability(features[test]) >= 0.5
    return with_intervals(points.orchard, mapped, blocks)


def _california_few(data: Path) -> None:
    points, _ = california(data)
    _head("classifier")
    for name, recipe in CLASSIFIERS.items():
        _row(recipe.title, _few(points, name, "spectral+elevation"))


def _california_plans(data: Path) -> None:
    points, _ = california(data)
    _head("features")
    for plan in ("spectral", "spectral+elevation", "elevation"):
        _row(plan.replace("+", ", "), _few(points, "random-forest", plan))


def _california_trees(data: Path) -> None:
    points, _ = california(data, vines_are_orchards=False)
    _head("classifier")
    for name in ("random-forest", "svm"):
        _row(CLASSIFIERS[name].title, _few(points, name, "spectral+elevation"))


def _california_halves(data: Path) -> None:
    """200 and 200 points of one half of the valley, judged on the other."""
    points, zone = california(data)
    blocks = block_of(points.lon, points.lat, 10)
    _head("")
    for here, name in ((0, "trained in the north, judged in the south"), (1, "the other way round")):
        rng = np.random.default_rng(0)
        test = np.flatnonzero(zone != here)
        few = [
            rng.choice(np.flatnonzero((zone == here) & (points.orchard == there)), _PAPER_POINTS, False)
            for there in (True, False)
        ]
        train = np.sort(np.concatenate(few))
        fitted = fit("random-forest", points.features[train], points.orchard[train], blocks[train])
        mapped = fitted.orchard_probability(points.features[test]) >= 0.5
        _row(name, with_intervals(points.orchard[test], mapped, blocks[test]))


def _corsica_classifiers(data: Path) -> None:
    _compared(corsica(data), _classifiers("spectral+elevation+radar"), Validation(block_km=5))


def _corsica_plans(data: Path) -> None:
    plans = ("spectral", "spectral+elevation", "spectral+radar", "spectral+elevation+radar", "radar", "elevation")
    runs = [Run(plan.replace("+", ", "), "random-forest", plan) for plan in plans]
    _compared(corsica(data), runs, Validation(block_km=5))


_TABLES: dict[str, Callable[[Path], None]] = {
    "california-classifiers": _california_classifiers,
    "california-plans": _california_plans,
    "california-few": _california_few,
    "california-halves": _california_halves,
    "california-trees": _california_trees,
    "corsica-classifiers": _corsica_classifiers,
    "corsica-plans": _corsica_plans,
}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=_TABLES)
    arguments = parser.parse_args()
    if "POMONA_DATA" not in os.environ:
        parser.error("set POMONA_DATA to the folder of real data")
    _TABLES[arguments.table](Path(os.environ["POMONA_DATA"]))


if __name__ == "__main__":
    main()
