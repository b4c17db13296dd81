"""Taking over a registry: orchard, blocks and trees under the names the server has given them.

A tree that got its code in the field and means a registered one becomes that tree, with all that was recorded of it.
The server knows what it has said itself, so nothing of this is sent back but counts that came of photos of both.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from cloud_sync.documents import RegisteredTree, RegistryDocument
from cloud_sync.outbox import new_id
from device.names import clean_name
from device.orchard_places import OrchardPlace
from device.orchards import Block, BlockSettings, register_block
from device.recording import Visit, record_hand_count, record_tree_count
from device.store import Store

_TOLD = ("latitude", "longitude", "row", "position", "vigour")


def apply_registry(store: Store, registry: RegistryDocument) -> None:
    """Take over a registry; applying it again changes nothing.

    Raises:
        InputError: a name or number that this device cannot keep, or a block that it knows in another orchard.
        StoreError: the store cannot be written.
    """
    place = OrchardPlace(registry.region, registry.county, registry.county_area_ha)
    for told in registry.blocks:
        settings = BlockSettings(told.area_m2, told.trees or None, told.trees_per_ha, told.variety, told.fruit_weight_g)
        block = register_block(store, told.block, registry.orchard, settings, registry.yield_unit, place)
        with store.change():
            known = {row["code"]: row["id"] for row in store.db.query("SELECT * FROM tree WHERE block = ?", [block.id])}
            for tree in told.registered:
                _apply_tree(store, block, tree, known)


def _apply_tree(store: Store, block: Block, told: RegisteredTree, known: dict[str, str]) -> None:
    code = clean_name(told.tree)
    values: dict[str, Any] = {field: value for field in _TOLD if (value := getattr(told, field)) is not None}
    values |= {"code": code, "provisional": 0}
    was = [clean_name(former) for former in told.was]
    tree = known.get(code) or next((known[former] for former in was if former in known), None)
    if tree is None:
        tree = new_id()
        store.db.table("tree").insert({"id": tree, "block": block.id, **values})
    else:
        store.db.table("tree").update(tree, values)
    known[code] = tree
    for former in was:
        other = known.pop(former, None)
        if other is not None and other != tree:
            _join(store, block, tree, other)
        alias = {"block": block.id, "code": former, "tree": tree}
        store.db.table("tree_alias").upsert(alias, pk=("block", "code"))


def _join(store: Store, block: Block, tree: str, other: str) -> None:
    """Make what was recorded of another tree this tree's."""
    counts = list(store.db.query("SELECT * FROM tree_count WHERE tree = ?", [other]))
    store.db.execute("UPDATE photo SET tree = ? WHERE tree = ?", [tree, other])
    store.db.execute("DELETE FROM tree_count WHERE tree = ?", [other])
    _join_reviews(store, tree, other)
    store.db.execute("UPDATE tree_alias SET tree = ? WHERE tree = ?", [tree, other])
    store.db.execute("DELETE FROM tree WHERE id = ?", [other])
    for count in counts:
        _count_anew(store, block, tree, count)


def _join_reviews(store: Store, tree: str, other: str) -> None:
    """What a person set as this tree's count goes before the other's; reviews of photos go with these."""
    same = "AND EXISTS (SELECT 1 FROM tree_review AS second WHERE second.visit = tree_review.visit AND second.tree = ? "
    same += "AND second.label = tree_review.label AND NOT second.taken_back)"
    store.db.execute(f"DELETE FROM tree_review WHERE tree = ? {same}", [other, tree])  # noqa: S608  (our own words)
    store.db.execute(f"DELETE FROM tree_review WHERE tree = ? AND taken_back {same}", [tree, other])  # noqa: S608
    # of two that were taken back neither counts
    store.db.execute("UPDATE OR REPLACE tree_review SET tree = ? WHERE tree = ?", [tree, other])


def _count_anew(store: Store, block: Block, tree: str, former: dict[str, Any]) -> None:
    """Count a tree that took over photos of a visit; what a person counted on it goes before the other's."""
    row = store.one("SELECT * FROM visit WHERE id = ?", [former["visit"]]) or {}
    visit = Visit(block, date.fromisoformat(row["day"]), row["stage"], row["area_m2"], row["area_trees"])
    code = (store.one("SELECT code FROM tree WHERE id = ?", [tree]) or {})["code"]
    record_tree_count(store, visit, (row["id"], tree), code, former["model"])
    count = store.one(
        "SELECT * FROM tree_count WHERE visit = ? AND tree = ? AND label = ?", [row["id"], tree, former["label"]]
    )
    assert count is not None  # it was recorded a line above
    told = {field: former[field] if count[field] is None else count[field] for field in ("by_hand", "own", "both")}
    record_hand_count(store, visit, {**count, "code": code}, told)


def registered_code(store: Store, block: Block, code: str) -> str:
    """The code of a tree that may be named by one it got in the field."""
    row = store.one(
        "SELECT tree.code FROM tree_alias JOIN tree ON tree.id = tree_alias.tree "
        "WHERE tree_alias.block = ? AND tree_alias.code = ?",
        [block.id, code],
    )
    return str(row["code"]) if row else code
