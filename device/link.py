"""What this device was told of its link to the server: whether its bytes are paid for."""

from __future__ import annotations

from typing import Literal, get_args

from cloud_sync.metered import is_metered
from device.store import Store

Metered = Literal["yes", "no", "auto"]
METERED: tuple[Metered, ...] = get_args(Metered)
_SETTING = "metered"


def read_metered(store: Store) -> Metered:
    """Whether the link is metered; ``auto``, which asks NetworkManager, until somebody says otherwise."""
    row = store.one("SELECT value FROM device_setting WHERE name = ?", [_SETTING])
    return next((known for known in METERED if row is not None and known == row["value"]), "auto")


def is_sparing(store: Store) -> bool:
    """Whether bytes are to be spared now: as somebody said, or else as NetworkManager knows."""
    known = read_metered(store)
    return is_metered() if known == "auto" else known == "yes"


def write_metered(store: Store, metered: Metered) -> None:
    """Say whether the link is metered.

    Raises:
        StoreError: the store cannot be written.
    """
    with store.change() as db:
        db.table("device_setting").upsert({"name": _SETTING, "value": metered}, pk="name")
