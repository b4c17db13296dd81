"""Which documents the server has announced, which of them are in use here, and where their files lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from cloud_sync.documents import Catalogue, Notice
from cloud_sync.fetching import PART
from device.store import Store

State = Literal["announced", "applied", "refused"]
_FOLDER = "documents"


@dataclass(frozen=True)
class Shelved:
    """A document this device should have.

    Attributes:
        notice: which.
        state: ``announced`` and not fetched yet, ``applied``, or ``refused``.
        reason: why it was refused, or could not be fetched the last time.
    """

    notice: Notice
    state: State
    reason: str


def documents_folder(home: Path) -> Path:
    """Where documents lie, each under its SHA-256."""
    return home / _FOLDER


def note_catalogue(store: Store, catalogue: Catalogue) -> None:
    """Note what the server announces.

    What is new, or has another version now, is to be fetched; what it lists no more is no longer wanted.

    Raises:
        StoreError: the store cannot be written.
    """
    with store.change() as db:
        known = {(item.notice.kind, item.notice.name): item.notice for item in shelved(store)}
        listed = {(notice.kind, notice.name): notice for notice in catalogue.documents}
        for kind, name in known.keys() - listed.keys():
            db.execute("DELETE FROM document WHERE kind = ? AND name = ?", [kind, name])
        for key, notice in listed.items():
            before = known.get(key)
            if before is None or (before.sha256, before.version) != (notice.sha256, notice.version):
                row = {"kind": key[0], "name": key[1], "version": notice.version, "sha256": notice.sha256}
                row |= {"size_bytes": notice.size_bytes, "state": "announced", "reason": ""}
                db.table("document").upsert(row, pk=("kind", "name"))


def settle(store: Store, item: Shelved, state: State, reason: str = "") -> None:
    """Note what became of a document, if it is still the one that is wanted, and if that says something new.

    Raises:
        StoreError: the store cannot be written.
    """
    if (item.state, item.reason) == (state, reason):
        return
    notice = item.notice
    with store.change() as db:
        db.execute(
            "UPDATE document SET state = ?, reason = ?, used = iif(? = 'applied', sha256, used) "
            "WHERE kind = ? AND name = ? AND sha256 = ?",
            [state, reason, state, notice.kind, notice.name, notice.sha256],
        )


def shelved(store: Store) -> list[Shelved]:
    """Every document the server lists for this device, by kind and name."""
    return [
        Shelved(
            Notice(
                kind=row["kind"],
                name=row["name"],
                version=row["version"],
                sha256=row["sha256"],
                size_bytes=row["size_bytes"],
            ),
            cast("State", row["state"]),
            row["reason"],
        )
        for row in store.db.query("SELECT * FROM document ORDER BY kind, name")
    ]


def in_use(store: Store, kind: str, name: str) -> Path | None:
    """The file of the document that was applied last, also while a newer one waits; None where there is none."""
    row = store.one("SELECT used FROM document WHERE kind = ? AND name = ? AND used IS NOT NULL", [kind, name])
    path = documents_folder(store.folder) / row["used"] if row else None
    return path if path is not None and path.is_file() else None


def clear(store: Store) -> None:
    """Delete the files of documents, and parts of such, that are neither in use nor wanted.

    Raises:
        OSError: a file cannot be deleted.
    """
    kept = {row[0] for row in store.db.execute("SELECT sha256 FROM document UNION SELECT used FROM document")}
    for path in documents_folder(store.folder).glob("[0-9a-f]" * 64 + "*"):
        if path.name.removesuffix(PART) not in kept:
            path.unlink(missing_ok=True)
