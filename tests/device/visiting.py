"""Photos of trees brought into a visit, as a technician would."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from cloud_sync.messages import Stage
from device.orchards import Block
from device.photo_naming import TreePhoto
from device.recording import Visit
from device.store import Store
from device.visits import ImportReport, import_photos
from export.runtime.counter import Counter
from tests.drawing import TAKEN_AT, save_photo

DAY = TAKEN_AT.date()


def photograph(folder: Path, tree: str, apples: int = 0, side: str = "a", **drawn: Any) -> TreePhoto:
    """A photo of one side of a tree with so many apples; further arguments as for the drawing."""
    return TreePhoto(save_photo(folder / tree / f"{side}.jpg", apples, **drawn), tree, side)


def bring_in(
    store: Store, counter: Counter, block: Block, *photos: TreePhoto, stage: Stage = "ripening", day: date = DAY
) -> ImportReport:
    """Import photos into a visit."""
    return import_photos(store, counter, Visit(block, day, stage), photos)


def table(store: Store, name: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    return list(store.db.query(f"SELECT * FROM {name} ORDER BY rowid"))


def queued(store: Store, *types: str) -> list[str]:
    """Types of the messages that wait, in order; of the given types or of all."""
    return [row["type"] for row in table(store, "outbox") if not types or row["type"] in types]
