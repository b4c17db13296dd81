"""Trees counted in earlier visits, put into the store without their photos."""

from __future__ import annotations

from collections.abc import Mapping

from cloud_sync.messages import Stage
from cloud_sync.outbox import new_id
from device.orchards import Block
from device.recording import LABEL_OF_STAGE
from device.store import Store

Place = tuple[float, float]


def plant(store: Store, block: Block, places: Mapping[str, Place | None]) -> None:
    """Register trees by code, with latitude and longitude where they have one."""
    rows = [(new_id(), block.id, code, *(place or (None, None))) for code, place in places.items()]
    columns = "id, block, code, latitude, longitude, provisional"
    with store.change() as db:
        db.conn.executemany(f"INSERT INTO tree ({columns}) VALUES (?, ?, ?, ?, ?, 1)", rows)


def count(store: Store, block: Block, day: str, fruit: Mapping[str, int], stage: Stage = "ripening") -> None:
    """A visit with the counts of its trees; trees that are not registered yet are."""
    known = {row["code"]: row["id"] for row in store.db.query("SELECT id, code FROM tree WHERE block = ?", [block.id])}
    plant(store, block, dict.fromkeys(set(fruit) - set(known)))
    known = {row["code"]: row["id"] for row in store.db.query("SELECT id, code FROM tree WHERE block = ?", [block.id])}
    visit = new_id()
    store.db.table("visit").insert({"id": visit, "block": block.id, "day": day, "stage": stage})
    shared = {"visit": visit, "label": LABEL_OF_STAGE[stage], "model": "m", "sides_rule": "s", "attribution": "a"}
    store.db.table("tree_count").insert_all(
        {"id": new_id(), "tree": known[code], "machine": number, "photos": "[]", **shared}
        for code, number in fruit.items()
    )
