"""What the counts of a visit are multiplied by: fruit weight, detector, visibility, sides, neighbours' fruit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.fruit_weight import assumed_weight, given_weight
from calibration.shared_factors import SharedFactor, partly_reviewed
from calibration.sides import LARGER_SIDE, own_share, target_tree_only, whole_photo
from calibration.visibility import LEAST_TREES, Basis, HandCount, TreeKind, visibility_of
from device.by_hand import read_weighed_sample
from device.count_bias import detector_of
from device.orchards import Block
from device.recording import ATTRIBUTION
from device.sampled_visits import SampledVisit
from device.store import Store

# not asked of anybody yet; trees of one orchard are trained alike
_TRAINING = ""


def fruit_weight(block: Block, weight_g: float | None = None, weighed: Path | None = None) -> SharedFactor:
    """Single fruit weight: from fruit on a scale, as given now, the block's, or assumed.

    Raises:
        InputError: the file of weights is wrong.
        CalibrationError: a weight that is not above zero, or fewer than two on the scale.
    """
    if weighed is not None:
        return read_weighed_sample(weighed)
    weight_g = block.fruit_weight_g if weight_g is None else weight_g
    return assumed_weight() if weight_g is None else given_weight(weight_g)


def counts_and_factors(
    store: Store, block: Block, visit: SampledVisit, bundle: Path | None = None
) -> tuple[NDArray[np.float64], tuple[SharedFactor, ...]]:
    """The count of each tree as it enters the estimate, and all shared factors but the fruit weight.

    Where nobody has reviewed a count, trees counted by hand are held against the model's counts, whose bias is then in
    the visibility. Where somebody has, they are held against reviewed counts.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        bundle: folder of the bundle that counted, where it did not come with Pomona.

    Returns:
        (trees,) counts, and the factors.

    Raises:
        BundleError: a manifest cannot be read.
        CalibrationError: counts by hand that nothing can be learned from.
    """
    models = {tree.model for tree in visit.trees}
    machine = [tree.machine for tree in visit.trees]
    reviewed = [tree.reviewed for tree in visit.trees]
    detector = detector_of(models, visit.stage, visit.label, bundle)
    by_machine = not any(count is not None for count in reviewed) and len(models) == 1
    visibility = _visibility(store, block, visit, next(iter(models)) if by_machine else None)
    if detector.name in visibility.includes:
        counts = np.array(machine, dtype=np.float64)
    else:
        counts, detector = partly_reviewed(machine, reviewed, detector)
    return counts, (detector, visibility, LARGER_SIDE, _background(store, block, visit))


def _visibility(store: Store, block: Block, visit: SampledVisit, model: str | None) -> SharedFactor:
    """From trees counted by hand, against counts of a model or, without one, of people."""
    basis: Basis = "reviewed" if model is None else "machine"
    chosen = "reviewed IS NOT NULL" if model is None else "model = ?"
    rows = store.db.query(
        f"SELECT {'reviewed' if model is None else 'machine'} AS counted, by_hand, stage, "  # noqa: S608  (our words)
        "orchard.name AS orchard, coalesce(variety, '') AS variety FROM tree_count "
        "JOIN visit ON visit.id = tree_count.visit JOIN block ON block.id = visit.block "
        f"JOIN orchard ON orchard.id = block.orchard WHERE label = ? AND by_hand IS NOT NULL AND {chosen}",
        [visit.label] if model is None else [visit.label, model],
    )
    trees = [
        HandCount(row["counted"], row["by_hand"], row["orchard"], row["variety"], _TRAINING, row["stage"])
        for row in rows
    ]
    return visibility_of(TreeKind(block.orchard, block.variety or "", _TRAINING, visit.stage), trees, basis)


def _background(store: Store, block: Block, visit: SampledVisit) -> SharedFactor:
    """Neighbours' fruit: told apart at the count, or taken off as a share that people told on some trees."""
    if any(tree.attribution != ATTRIBUTION for tree in visit.trees):
        return target_tree_only()
    rows = list(
        store.db.query(
            "SELECT own, coalesce(reviewed, machine) AS counted FROM tree_count "
            "JOIN visit ON visit.id = tree_count.visit JOIN block ON block.id = visit.block "
            "JOIN orchard ON orchard.id = block.orchard "
            "WHERE label = ? AND own IS NOT NULL AND stage = ? AND orchard.name = ?",
            [visit.label, visit.stage, block.orchard],
        )
    )
    if len(rows) < LEAST_TREES:
        return whole_photo()
    return own_share([row["own"] for row in rows], [row["counted"] for row in rows])
