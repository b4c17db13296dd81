"""Which bundle counts on this device, since when, and which was to and does not: one record, told when it changes.

A device that nobody has enrolled has no name to tell it by: the row waits in revision 0, and is told by its name later.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from cloud_sync import clock
from cloud_sync.errors import IdentityError
from cloud_sync.identity import is_enrolled, read_identity
from cloud_sync.messages import ModelStateBody
from cloud_sync.outbox import new_id
from device.names import LONGEST, clean_name
from device.store import Store


@dataclass(frozen=True)
class ModelState:
    """What counts here; None where nothing is known.

    Attributes:
        model: the bundle that counts.
        engine: what runs it.
        since: the device's clock when it began to count, as the message spells it.
        candidate: a bundle that came last and has not counted yet.
        refused: why it will not.
    """

    model: str | None = None
    engine: str | None = None
    since: str | None = None
    candidate: str | None = None
    refused: str | None = None

    @property
    def began(self) -> datetime | None:
        """When the bundle began to count."""
        return None if self.since is None else datetime.fromisoformat(self.since.replace("Z", "+00:00"))


def read_model_state(store: Store) -> ModelState:
    """What counts here."""
    row = _row(store)
    return ModelState() if row is None else ModelState(**{field: row[field] for field in ModelState.__annotations__})


def note_counting(store: Store, model: str, engine: str) -> None:
    """Note what has just counted; inside a change. A candidate that counts is none any more.

    Args:
        store: the device's records, inside a change.
        model: identity of the bundle.
        engine: what runs it.
    """
    before = read_model_state(store)
    after = before
    if (before.model, before.engine) != (model, engine):
        after = replace(before, model=model, engine=engine, since=clock.now_text())
    if before.candidate == model:
        after = replace(after, candidate=None, refused=None)
    if after != before or _waits_for_a_name(store):
        _note(store, after)


def note_candidate(store: Store, candidate: str, refused: str | None = None) -> None:
    """Note a bundle that came to count here, or why it will not.

    Args:
        store: the device's records.
        candidate: its identity, or what is known of it.
        refused: why it will not count, None where it may.

    Raises:
        StoreError: the store cannot be written.
    """
    with store.change():
        before = read_model_state(store)
        known = candidate == before.model and refused is None
        after = replace(before, candidate=None if known else _name(candidate), refused=_name(refused))
        if after != before:
            _note(store, after)


def tell_model_state(store: Store, device: str) -> None:
    """Queue what was noted before this device had this name, if there is something.

    Args:
        store: the device's records.
        device: its name.

    Raises:
        StoreError: the store cannot be written.
    """
    with store.change():
        row = _row(store)
        if row is not None and row["device"] != device:
            _note(store, read_model_state(store), device)


def _row(store: Store) -> dict[str, Any] | None:
    return store.one("SELECT * FROM model_state")


def _waits_for_a_name(store: Store) -> bool:
    row = _row(store)
    return row is not None and row["device"] is None and is_enrolled(store.folder)


def _note(store: Store, state: ModelState, device: str | None = None) -> None:
    row = _row(store) or {"id": new_id(), "revision": 0, "device": None}
    device = device or row["device"] or _device_name(store)
    values = {**row, **asdict(state)}
    if device is not None and state.model is not None:
        values |= {"device": device, "revision": row["revision"] + 1}
        body = ModelStateBody.model_validate({"device": device, **asdict(state)})
        store.outbox.enqueue(values["id"], values["revision"], body)
    store.db.table("model_state").upsert(values, pk="id")


def _device_name(store: Store) -> str | None:
    if not is_enrolled(store.folder):
        return None
    try:
        return read_identity(store.folder).name
    except IdentityError:  # sending says what is wrong with it
        return None


def _name(text: str | None) -> str | None:
    """Something as a message can hold it."""
    if text is None:
        return None
    return clean_name("".join(character if character.isprintable() else " " for character in text))[:LONGEST]
