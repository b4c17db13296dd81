"""The sampling plan of a block: which of its trees to photograph, so that their mean is as precise as promised."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.guard_rails import FEW_TREES
from calibration.plan import Promise, relative_half_width
from calibration.tree_choice import Indices, walking_order
from device.errors import InputError
from device.orchards import Block
from device.planning.block_trees import find_trees
from device.planning.designs import (
    SPREAD_OUT,
    STRATIFIED,
    SYSTEMATIC,
    Draw,
    Wanted,
    draw_spread_out,
    draw_stratified,
    draw_systematic,
    find_strata,
)
from device.planning.past import PastVisit, Spread, find_spread, past_visits
from device.planning.tree_lists import TreeList
from device.store import Store

_SEEDS = 10_000


@dataclass(frozen=True)
class Wishes:
    """What somebody asks of a plan; None leaves the choice to the plan.

    Attributes:
        promise: what it shall keep.
        trees: file that lists the block's trees.
        rows: rows of the block, as typed.
        number: trees to photograph, instead of as many as the promise needs.
        cv: spread between trees, instead of what was seen.
        design: how trees are chosen.
        allocation: how they are divided among strata.
        seed: decides the draw.
        label: what is counted.
    """

    promise: Promise
    trees: Path | None = None
    rows: str | None = None
    number: int | None = None
    cv: float | None = None
    design: str | None = None
    allocation: str | None = None
    seed: int | None = None
    label: str = "apple"


@dataclass(frozen=True, eq=False)
class Plan:
    """A sampling plan.

    Attributes:
        block: the block.
        trees: all its trees.
        draw: those that were chosen, and how.
        walk: (n,) their indices in the order they are walked past.
        promise: what was asked for.
        precision: half width / mean that the chosen trees keep in the assured share of draws.
        seed: repeats the draw.
        notes: what to know before relying on it.
    """

    block: Block
    trees: TreeList
    draw: Draw
    walk: Indices
    promise: Promise
    precision: float
    seed: int
    notes: tuple[str, ...]


def make_plan(store: Store, block: Block, wishes: Wishes) -> Plan:
    """Plan a visit.

    Args:
        store: the device's records.
        block: the block to visit.
        wishes: what is asked for.

    Raises:
        InputError: its trees are not known, a file about them is wrong, or the wishes do not go together.
        CalibrationError: a number that cannot be, such as a precision of nothing.
    """
    trees, notes = find_trees(store, block, wishes.trees, wishes.rows)
    visits = past_visits(store, block, wishes.label)
    seed = _usual_seed(block) if wishes.seed is None else wishes.seed
    wanted = Wanted(wishes.promise, wishes.number, seed)
    draw = _draw(trees, visits, find_spread(visits, wishes.cv), wanted, wishes)
    return Plan(
        block=block,
        trees=trees,
        draw=draw,
        walk=_as_walked(trees, draw.chosen),
        promise=wishes.promise,
        precision=relative_half_width(draw.population, draw.sample, wishes.promise),
        seed=seed,
        notes=(*notes, *draw.warnings, *_notes(draw, visits_known=bool(visits) or wishes.cv is not None)),
    )


def _draw(trees: TreeList, visits: Sequence[PastVisit], spread: Spread, wanted: Wanted, wishes: Wishes) -> Draw:
    strata = find_strata(trees, visits)
    design = wishes.design or (SYSTEMATIC if strata is None else STRATIFIED)
    if design != STRATIFIED and wishes.allocation is not None:
        raise InputError(
            f"--allocation {wishes.allocation} divides trees among strata, and there are none; give --trees FILE with "
            "a column vigour, or leave --allocation out"
        )
    if design == SYSTEMATIC:
        return draw_systematic(trees, spread, wanted, visits)
    if design == SPREAD_OUT:
        return draw_spread_out(trees, spread, wanted)
    if strata is None:
        raise InputError(
            "--design stratified needs something to tell trees apart by: --trees FILE with a column vigour, or past "
            "counts of nearly all trees"
        )
    return draw_stratified(trees, spread, wanted, strata, wishes.allocation)


def _usual_seed(block: Block) -> int:
    """The same trees each time the block is planned, and others than in another block."""
    name = f"{block.orchard}/{block.name}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "big") % _SEEDS


def _as_walked(trees: TreeList, chosen: Indices) -> Indices:
    """Up one row that has a chosen tree and down the next that has one."""
    if trees.row is None or trees.position is None:
        return chosen[chosen.argsort()]
    return chosen[walking_order(trees.row[chosen], trees.position[chosen])]


def _notes(draw: Draw, *, visits_known: bool) -> tuple[str, ...]:
    notes = []
    if not visits_known:
        notes.append(
            "nothing was counted here yet, and blocks differ in how much their trees do: plan again after the first "
            "visit, which may need fewer or more trees"
        )
    if len(draw.chosen) < min(FEW_TREES, int(draw.population.sizes.sum())):
        notes.append(f"fewer than {FEW_TREES} trees say little of how much trees differ: photograph {FEW_TREES}")
    return tuple(notes)
