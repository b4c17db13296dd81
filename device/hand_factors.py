"""What people told of trees by hand, as factors of a visit: fruit that photos miss, show twice, or lend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.errors import CalibrationError
from calibration.shared_factors import SharedFactor
from calibration.sides import (
    LARGER_SIDE,
    own_share,
    seen_twice_taken_off,
    share_seen_twice,
    side_factor,
    target_tree_only,
    times_for_both,
    unknown_seen_twice,
    unknown_side_factor,
    whole_photo,
)
from calibration.visibility import BOTH_SIDES, LEAST_TREES, HandCount, TreeKind, visibility_of
from device.orchards import Block
from device.recording import ATTRIBUTION
from device.sampled_visits import SampledVisit
from device.sides import LARGER, SUM, SUM_OF_TWO, count_by_side, counted_photos, of_other_sides
from device.store import Store

_OF_TREES = """
    FROM tree_count JOIN visit ON visit.id = tree_count.visit JOIN block ON block.id = visit.block
    JOIN orchard ON orchard.id = block.orchard
"""


def visibility(store: Store, block: Block, visit: SampledVisit) -> SharedFactor:
    """Fruit there for each one counted, from trees counted by hand whose kind is most alike.

    Where nobody has reviewed a count of the visit, they are held against the model's counts, whose bias is then in the
    visibility. Where somebody has, they are held against reviewed counts. Only counts whose sides were joined as the
    visit's are teach it, since what that leaves out or has twice is in the visibility too.

    Raises:
        CalibrationError: counts by hand that nothing can be learned from.
    """
    own = "AND orchard.name = ? AND variety IS ? AND training_system IS ?"
    trees = _counted_by_hand(store, visit, own, (block.orchard, block.variety, block.training_system))
    if len(trees) < LEAST_TREES:
        trees = _counted_by_hand(store, visit)
    kind = TreeKind(block.orchard, block.variety or "", block.training_system or "", visit.stage)
    return visibility_of(kind, trees, "reviewed" if visit.model is None else "machine")


def _counted_by_hand(
    store: Store, visit: SampledVisit, alike: str = "", kind: tuple[str | None, ...] = ()
) -> list[HandCount]:
    """The trees whose counts can be held against those of the visit: all, or those that are alike."""
    counted, chosen, models = "machine", "model = ?", [visit.model]
    if visit.model is None:
        counted, chosen, models = "reviewed", "reviewed IS NOT NULL", []
    rows = store.db.query(
        f"SELECT {counted} AS counted, by_hand, stage, orchard.name AS orchard, coalesce(variety, '') AS variety, "
        f"coalesce(training_system, '') AS training {_OF_TREES} "
        f"WHERE label = ? AND by_hand IS NOT NULL AND stage = ? AND sides = ? AND {chosen} {alike}",
        [visit.label, visit.stage, visit.sides, *models, *kind],
    )
    return [HandCount(**row) for row in rows]


def review_doubt(store: Store, visit: SampledVisit) -> str | None:
    """What to know where reviewing some trees costs an estimate what trees counted by hand told it; None where not."""
    if all(tree.reviewed is None for tree in visit.trees):
        return None
    models = sorted({tree.model for tree in visit.trees})
    (counted,) = store.db.execute(
        f"SELECT count(*) {_OF_TREES} WHERE label = ? AND by_hand IS NOT NULL AND stage = ? AND sides = ? "
        f"AND model IN ({', '.join('?' * len(models))})",
        [visit.label, visit.stage, visit.sides, *models],
    ).fetchone()
    reviewed = len(_counted_by_hand(store, visit))
    if not reviewed < LEAST_TREES <= counted:
        return None
    return (
        f"{counted} trees counted by hand tell what photos miss, and once trees are reviewed only reviewed counts are "
        f"held against them: {reviewed} of those are; review {LEAST_TREES - reviewed} more of the trees counted by "
        "hand, or take the reviews back"
    )


def sides(store: Store, block: Block, visit: SampledVisit, per_counted: float = 1.0) -> SharedFactor:
    """What the sides of a tree leave to be multiplied, by the visit's rule.

    What both sides show is learned from trees of the orchard, trained alike, on which people counted it at this stage
    and which have photos of two sides. Of the fruit that a side shows no more can be there twice than the side counts.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        per_counted: own fruit to be seen for each one the model counts: people see what it misses.

    Raises:
        CalibrationError: what was told contradicts the photos of all trees together.
    """
    if visit.sides == LARGER:
        return LARGER_SIDE
    told = _seen_from_both(store, block, visit)
    if len(told) < LEAST_TREES:
        factor = unknown_seen_twice() if visit.sides == SUM else unknown_side_factor()
    else:
        first, second, both = np.array(told, dtype=np.float64).T * [[per_counted], [per_counted], [1.0]]
        both = np.minimum(both, np.minimum(first, second))
        if visit.sides == SUM:
            factor = seen_twice_taken_off(share_seen_twice(first, second, both))
        else:
            factor = times_for_both(side_factor(first, first + second - both))
        factor = replace(factor, choice=f"{factor.choice}, seen on {len(told)} trees")
    others = [tree.code for tree in visit.trees if tree.sides_rule != SUM_OF_TWO]
    if visit.sides == SUM and others:
        factor = replace(factor, warnings=(*factor.warnings, of_other_sides(others)))
    return factor


def _seen_from_both(store: Store, block: Block, visit: SampledVisit) -> list[tuple[int, int, int]]:
    """Count of each of two sides, and fruit that can be seen from both, of the trees that tell."""
    rows = store.db.query(
        f"SELECT tree_count.visit, tree_count.tree, model, both {_OF_TREES} WHERE label = ? AND both IS NOT NULL "
        "AND stage = ? AND orchard.name = ? AND coalesce(training_system, '') = ?",
        [visit.label, visit.stage, block.orchard, block.training_system or ""],
    )
    models = {tree.model for tree in visit.trees}
    told = []
    for row in [row for row in rows if row["model"] in models]:
        counts = count_by_side(counted_photos(store, (row["visit"], row["tree"]), visit.label))
        if len(counts) == 2:
            first, second = counts.values()
            told.append((first, second, row["both"]))
    return told


def background(store: Store, block: Block, visit: SampledVisit) -> SharedFactor:
    """Neighbours' fruit: told apart at the count, or taken off as a share that people told on some trees."""
    if any(tree.attribution != ATTRIBUTION for tree in visit.trees):
        return target_tree_only()
    rows = list(
        store.db.query(
            f"SELECT own, coalesce(reviewed, machine) AS counted {_OF_TREES} "
            "WHERE label = ? AND own IS NOT NULL AND stage = ? AND orchard.name = ?",
            [visit.label, visit.stage, block.orchard],
        )
    )
    if len(rows) < LEAST_TREES:
        return whole_photo()
    return own_share([row["own"] for row in rows], [row["counted"] for row in rows])


def told_by_hand(store: Store, block: Block, visit: SampledVisit) -> str:
    """What hand counts tell of a visit: the same text for as long as an estimate would take the same from them."""
    try:
        told = [visibility(store, block, visit)]
        if BOTH_SIDES not in told[0].includes:
            told += [sides(store, block, visit), background(store, block, visit)]
    except CalibrationError as error:
        return str(error)
    return "; ".join(f"{each.name} {each.factor.value:.6g} ± {each.factor.standard_error:.6g}" for each in told)
