"""How the trees of a visit were chosen, from what the person says and what is known of the block's trees."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.sampling import Design, SimpleRandom, Stratified, Systematic
from calibration.strata import cut_strata
from calibration.tree_choice import walking_order
from device.errors import InputError
from device.orchards import Block
from device.planning.block_trees import find_trees
from device.planning.designs import vigour_strata
from device.planning.tree_lists import row_and_position, rows_of
from device.sampled_visits import SampledVisit
from device.store import Store

_MOST_NAMED = 4
RANDOM, SYSTEMATIC, BY_VIGOUR, BY_ROW = DESIGNS = ("random", "systematic", "vigour", "row")


def design_of(
    store: Store, block: Block, visit: SampledVisit, name: str, listed: Path | None = None, *, whole_block: bool = True
) -> tuple[NDArray[np.intp], Design]:
    """The design, and the order its trees come in.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        name: one of :data:`DESIGNS`.
        listed: file that lists all trees of the block, which strata need.
        whole_block: whether the trees were chosen from the whole block, and not from a part of it whose number of trees
            nobody knows.

    Returns:
        (trees,) indices of the visit's trees, and the design of the trees in that order.

    Raises:
        InputError: an unknown design, strata without a list or with fewer than two sampled trees, or a sampled tree
            that the list does not have.
    """
    population = block.trees if whole_block else None
    as_they_come = np.arange(len(visit.trees))
    if name == RANDOM:
        return as_they_come, SimpleRandom(population)
    if name == SYSTEMATIC:
        told = [row_and_position(tree.code) for tree in visit.trees]
        row, position = rows_of(told) if all(told) else (None, None)
        if row is None or position is None:
            raise InputError(
                f"the walk past the trees of block {block.name} is not known, since their codes do not say row and "
                "position (R03-T07); estimate with --design random, which is on the safe side"
            )
        order = walking_order(row, position)
        places = tuple((int(row[tree]), int(position[tree])) for tree in order)
        return order, Systematic(population, places)
    if name in (BY_VIGOUR, BY_ROW):
        return as_they_come, _strata(store, block, visit, name, listed)
    raise InputError(f"design {name!r} is unknown; known are {', '.join(DESIGNS)}")


def _strata(store: Store, block: Block, visit: SampledVisit, name: str, listed: Path | None) -> Stratified:
    if listed is None:
        raise InputError(
            f"--design {name} needs to know how many trees stand in each stratum: list all trees of block {block.name} "
            f"with --trees FILE (columns tree and {'vigour' if name == BY_VIGOUR else 'row,position'})"
        )
    trees, _ = find_trees(store, block, listed)
    if name == BY_VIGOUR:
        if not np.isfinite(trees.vigour).any():
            raise InputError(f"{listed} has no vigour; add the column vigour, or estimate with --design random")
        stratum = cut_strata(trees.vigour)
        names = vigour_strata(trees, ()).names(stratum)
        labels = [names[number] for number in stratum.tolist()]
    elif trees.row is None:
        raise InputError(f"{listed} does not say in which row each tree stands; add the columns row,position")
    else:
        labels = [f"{name} {number}" for number in trees.row.tolist()]
    of_tree = dict(zip(trees.codes, labels, strict=True))
    for tree in visit.trees:
        if tree.code not in of_tree:
            raise InputError(f"tree {tree.code} was photographed and is not in {listed}; add it there")
    design = Stratified(
        tuple(of_tree[tree.code] for tree in visit.trees),
        {label: labels.count(label) for label in dict.fromkeys(labels)},
    )
    _require_two_trees(design, name)
    return design


def _require_two_trees(design: Stratified, name: str) -> None:
    sampled = Counter(design.strata)
    short = [label for label, trees in design.population.items() if sampled[label] < min(2, trees)]
    if short:
        named = ", ".join(short[:_MOST_NAMED]) + (f" and {len(short) - _MOST_NAMED} more" * (len(short) > _MOST_NAMED))
        raise InputError(
            f"--design {name} needs two photographed trees in every {'row' if name == BY_ROW else 'class of vigour'}, "
            f"and fewer stand in {named}; photograph more there, or estimate with --design random"
        )
