"""What people told of trees by hand, as factors of a visit: fruit that photos miss, fruit of neighbours."""

from __future__ import annotations

from calibration.shared_factors import SharedFactor
from calibration.sides import own_share, target_tree_only, whole_photo
from calibration.visibility import LEAST_TREES, Basis, HandCount, TreeKind, visibility_of
from device.orchards import Block
from device.recording import ATTRIBUTION
from device.sampled_visits import SampledVisit
from device.store import Store

_OF_TREES = """
    FROM tree_count JOIN visit ON visit.id = tree_count.visit JOIN block ON block.id = visit.block
    JOIN orchard ON orchard.id = block.orchard
"""


def visibility(store: Store, block: Block, visit: SampledVisit) -> SharedFactor:
    """Fruit there for each one counted, from trees counted by hand whose kind is most alike.

    Where nobody has reviewed a count of the visit, they are held against the model's counts, whose bias is then in the
    visibility. Where somebody has, they are held against reviewed counts.

    Raises:
        CalibrationError: counts by hand that nothing can be learned from.
    """
    model = visit.model
    basis: Basis = "reviewed" if model is None else "machine"
    chosen = "reviewed IS NOT NULL" if model is None else "model = ?"
    rows = store.db.query(
        f"SELECT {'reviewed' if model is None else 'machine'} AS counted, by_hand, stage, "
        "orchard.name AS orchard, coalesce(variety, '') AS variety, coalesce(training_system, '') AS training "
        f"{_OF_TREES} WHERE label = ? AND by_hand IS NOT NULL AND {chosen}",
        [visit.label] if model is None else [visit.label, model],
    )
    kind = TreeKind(block.orchard, block.variety or "", block.training_system or "", visit.stage)
    return visibility_of(kind, [HandCount(**row) for row in rows], basis)


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
