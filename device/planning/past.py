"""What earlier visits tell of a block: each tree's count, and how much trees differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from calibration.guard_rails import FEW_TREES
from calibration.plan import known_spread, seen_spread
from device.orchards import Block
from device.planning.tree_lists import TreeList
from device.store import Store


@dataclass(frozen=True)
class PastVisit:
    """An earlier visit's counts.

    Attributes:
        day: the day.
        fruit: count of each tree by its code; the reviewed one where there is one.
    """

    day: date
    fruit: dict[str, int]

    def of(self, trees: TreeList) -> NDArray[np.float64]:
        """(N,) count of each tree, NaN where it was not visited."""
        return np.array([self.fruit.get(code, np.nan) for code in trees.codes])


@dataclass(frozen=True)
class Spread:
    """How much trees differ.

    Attributes:
        variance: variance between trees / squared mean.
        degrees_of_freedom: how well it is known, infinite where it was given.
        source: where it comes from, in words.
    """

    variance: float
    degrees_of_freedom: float
    source: str

    @property
    def cv(self) -> float:
        """Standard deviation / mean."""
        return sqrt(self.variance)


def past_visits(store: Store, block: Block, label: str) -> list[PastVisit]:
    """The visit of each year that saw most trees, latest year first."""
    counted: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in store.db.query(
        "SELECT visit.id, visit.day, tree.code, coalesce(reviewed, machine) AS fruit FROM tree_count "
        "JOIN visit ON visit.id = tree_count.visit JOIN tree ON tree.id = tree_count.tree "
        "WHERE visit.block = ? AND label = ? ORDER BY visit.day, visit.rowid",
        [block.id, label],
    ):
        counted[row["day"], row["id"]][row["code"]] = row["fruit"]
    best: dict[int, PastVisit] = {}
    for (day, _), fruit in counted.items():
        visit = PastVisit(date.fromisoformat(day), fruit)
        if len(fruit) >= len(best.get(visit.day.year, PastVisit(visit.day, {})).fruit):
            best[visit.day.year] = visit
    return [best[year] for year in sorted(best, reverse=True)]


def find_spread(visits: Sequence[PastVisit], cv: float | None = None) -> Spread:
    """How much trees differ, as was given, seen, or is known of other orchards.

    Raises:
        CalibrationError: a given spread that is not above zero.
    """
    if cv is not None:
        return Spread(known_spread(cv), inf, "as given")
    told = [visit for visit in visits if len(visit.fruit) > 1 and any(visit.fruit.values())]
    trees = len(set().union(*(visit.fruit for visit in told)))
    variance, degrees_of_freedom = seen_spread([list(visit.fruit.values()) for visit in told], trees)
    source = "no count here yet, so as in other orchards"
    if told:
        years = ", ".join(str(visit.day.year) for visit in reversed(told))
        source = f"seen on {trees} trees in {years}"
        if trees < FEW_TREES:
            source += ", helped out by other orchards"
    return Spread(variance, degrees_of_freedom, source)
