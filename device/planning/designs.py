"""How trees are chosen: at a fixed interval of the walk, spread out over the ground, or in strata of trees alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, radians

import numpy as np
from numpy.typing import NDArray

from calibration.periodicity import step_against_frame
from calibration.plan import Population, Promise, allocate, one_population, trees_needed
from calibration.strata import cut_strata, stratum_spread
from calibration.tree_choice import Indices, out_of_step, spread_out, walking_order, within_strata
from device.errors import InputError
from device.planning.past import PastVisit, Spread
from device.planning.tree_lists import TreeList

SYSTEMATIC, SPREAD_OUT, STRATIFIED = DESIGNS = ("systematic", "spread-out", "stratified")
PROPORTIONAL, NEYMAN = ALLOCATIONS = ("proportional", "neyman")
# where nobody says how far apart trees stand: a row about twice as far from the next as its trees from each other
_ROW_SPACING = 2.0
# past counts divide a block into strata where nearly every tree has one
_NEARLY_ALL = 0.9
_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, eq=False)
class Draw:
    """Trees that were chosen.

    Attributes:
        design: how, of :data:`DESIGNS`.
        chosen: their indices.
        population: all trees, in strata or in one.
        stratum: (N,) stratum of each tree.
        names: (L,) names of the strata; None without.
        allocation: how trees were divided among strata, of :data:`ALLOCATIONS`; None without.
        spread: how much trees differ, within strata where that is known.
        warnings: why more trees were chosen than would do, and what past counts say against them.
    """

    design: str
    chosen: Indices
    population: Population
    stratum: NDArray[np.intp]
    names: tuple[str, ...] | None
    allocation: str | None
    spread: Spread
    warnings: tuple[str, ...] = ()

    @property
    def sample(self) -> NDArray[np.int64]:
        """(L,) chosen trees of each stratum."""
        return np.bincount(self.stratum[self.chosen], minlength=len(self.population.sizes)).astype(np.int64)


@dataclass(frozen=True)
class Wanted:
    """What is asked of a draw.

    Attributes:
        promise: what it shall keep.
        number: trees to choose, None for as many as the promise needs.
        seed: repeats the draw.
    """

    promise: Promise
    number: int | None
    seed: int


@dataclass(frozen=True, eq=False)
class Strata:
    """Trees that are alike, and what was seen of them apart from what they were told apart by.

    Attributes:
        values: (N,) by what they are told apart, NaN where unknown.
        known: what trees of a range of values are called, the range to come: ``vigour {}``.
        unknown: what trees without a value are called.
        visits: visits that tell the spread inside the strata.
    """

    values: NDArray[np.float64]
    known: str
    unknown: str
    visits: Sequence[PastVisit]

    def names(self, stratum: NDArray[np.intp]) -> tuple[str, ...]:
        """(L,) what the trees of each stratum have in common."""
        parts = [self.values[stratum == number] for number in range(int(stratum.max()) + 1)]
        return tuple(
            self.unknown if np.isnan(part).all() else self.known.format(_range(float(part.min()), float(part.max())))
            for part in parts
        )


def _range(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def vigour_strata(trees: TreeList, visits: Sequence[PastVisit]) -> Strata:
    """By the vigour of the trees, which plans and estimates call alike."""
    return Strata(trees.vigour, "vigour {}", "vigour unknown", visits)


def find_strata(trees: TreeList, visits: Sequence[PastVisit]) -> Strata | None:
    """By what the trees can be told apart: their vigour, else the counts of a visit to nearly all; None by nothing."""
    if np.isfinite(trees.vigour).any():
        return vigour_strata(trees, visits)
    for visit in visits:
        counts = visit.of(trees)
        if np.isfinite(counts).mean() >= _NEARLY_ALL:
            others = [other for other in visits if other is not visit]
            return Strata(counts, f"{{}} in {visit.day.year}", f"not counted in {visit.day.year}", others)
    return None


def draw_systematic(trees: TreeList, spread: Spread, wanted: Wanted, visits: Sequence[PastVisit]) -> Draw:
    """Trees at a fixed interval of a walk along the rows, from a random start.

    Args:
        trees: all trees.
        spread: how much they differ.
        wanted: what is asked for.
        visits: earlier visits; those to nearly all trees tell whether the interval keeps step with a pattern.
    """
    population = one_population(len(trees), spread.variance, spread.degrees_of_freedom, along_rows=True)
    number = _number(population, wanted)
    position = np.arange(len(trees)) if trees.position is None else trees.position
    chosen = out_of_step(_walk(trees), position, number, wanted.seed)
    draw = _without_strata(SYSTEMATIC, chosen, population, spread)
    return replace(draw, warnings=(*_more_than(number, len(chosen)), *_in_step(trees, len(chosen), visits)))


def _more_than(number: int, chosen: int) -> tuple[str, ...]:
    """Why more trees were chosen than would do."""
    why = (
        f"{chosen:,} trees and not {number:,}: with {number:,} the walk would keep step with the rows and meet the "
        "same few places of every row"
    )
    return () if chosen == number else (why,)


def _in_step(trees: TreeList, sample: int, visits: Sequence[PastVisit]) -> tuple[str, ...]:
    """Of the latest visit that shows such a pattern; a tree it did not count is taken for a middling one."""
    walk = _walk(trees)
    for visit in visits:
        counts = visit.of(trees)
        known = np.isfinite(counts)
        if known.mean() >= _NEARLY_ALL and (
            found := step_against_frame(np.where(known, counts, counts[known].mean())[walk], sample)
        ):
            return found
    return ()


def draw_spread_out(trees: TreeList, spread: Spread, wanted: Wanted) -> Draw:
    """Trees that keep apart from one another.

    Raises:
        InputError: it is not known where trees stand.
    """
    population = one_population(len(trees), spread.variance, spread.degrees_of_freedom)
    chosen = spread_out(_places(trees), _number(population, wanted), np.random.default_rng(wanted.seed))
    return _without_strata(SPREAD_OUT, chosen, population, spread)


def draw_stratified(trees: TreeList, spread: Spread, wanted: Wanted, strata: Strata, allocation: str | None) -> Draw:
    """Trees of each stratum, at a fixed interval of a walk past them.

    Args:
        trees: all trees.
        spread: how much they differ, for where nothing is known of their strata.
        wanted: what is asked for.
        strata: by what they are told apart.
        allocation: of :data:`ALLOCATIONS`; None for Neyman's where the spread inside strata is known.

    Raises:
        InputError: Neyman's allocation without that spread.
    """
    stratum = cut_strata(strata.values)
    population, inside = _inside(trees, spread, stratum, strata)
    if allocation == NEYMAN and inside is spread:
        raise InputError(
            "--allocation neyman needs the spread inside each stratum: past counts of ten trees or more, two in each, "
            "from another year than the counts that make the strata; plan with --allocation proportional"
        )
    allocation = allocation or (PROPORTIONAL if inside is spread else NEYMAN)
    neyman = allocation == NEYMAN
    if wanted.number is None:
        sample = trees_needed(population, wanted.promise, neyman=neyman)
    else:
        sample = allocate(wanted.number, population, neyman=neyman)
    chosen = within_strata(_walk(trees), stratum, sample, np.random.default_rng(wanted.seed))
    return Draw(STRATIFIED, chosen, population, stratum, strata.names(stratum), allocation, inside)


def _inside(trees: TreeList, spread: Spread, stratum: NDArray[np.intp], strata: Strata) -> tuple[Population, Spread]:
    """The strata with the spread inside them, as the latest visit that saw enough of each shows it."""
    sizes = np.bincount(stratum).astype(np.int64)
    for visit in strata.visits if np.isfinite(spread.degrees_of_freedom) else ():
        counts = visit.of(trees)
        seen = np.isfinite(counts)
        population = stratum_spread(counts[seen], stratum[seen], sizes)
        if population is not None:
            within = float(population.shares @ population.variances)
            source = f"inside the strata, seen on {int(seen.sum())} trees in {visit.day.year}"
            return population, Spread(within, population.degrees_of_freedom, source)
    return Population(sizes, np.full(len(sizes), spread.variance), spread.degrees_of_freedom), spread


def _number(population: Population, wanted: Wanted) -> int:
    return wanted.number or int(trees_needed(population, wanted.promise)[0])


def _without_strata(design: str, chosen: Indices, population: Population, spread: Spread) -> Draw:
    nowhere = np.zeros(int(population.sizes[0]), np.intp)
    return Draw(design, chosen, population, nowhere, None, None, spread)


def _walk(trees: TreeList) -> Indices:
    if trees.row is None or trees.position is None:
        return np.arange(len(trees))
    return walking_order(trees.row, trees.position)


def _places(trees: TreeList) -> NDArray[np.float64]:
    """(N, 2) where each tree stands, in metres or, where that is not known, in tree spacings."""
    if trees.placed.all():
        east = _METRES_PER_DEGREE * cos(radians(float(trees.latitude.mean())))
        return np.column_stack((trees.latitude * _METRES_PER_DEGREE, trees.longitude * east))
    if trees.row is None or trees.position is None:
        raise InputError(
            "--design spread-out needs to know where trees stand; give --rows, or --trees FILE with row and position "
            "or latitude and longitude"
        )
    return np.column_stack((trees.row * _ROW_SPACING, trees.position.astype(np.float64)))
