"""The device's outbox: messages wait here, in the store's own database, until the server has answered for them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import uuid6
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from cloud_sync import clock
from cloud_sync.messages import Body, HealthBody

MIGRATIONS = Migrations("outbox")


@MIGRATIONS()
def create_outbox(db: Database) -> None:
    """Identity of the database and the queue."""
    # raised: what is added to revisions, since the server held higher ones than this store knew
    db.execute(
        "CREATE TABLE store_identity (store TEXT NOT NULL, created_at TEXT NOT NULL, raised INTEGER NOT NULL) STRICT"
    )
    db.table("store_identity").insert({"store": new_id(), "created_at": clock.now().isoformat(), "raised": 0})
    # AUTOINCREMENT: a sequence number is never used again, also after its row was deleted
    db.execute(
        """
        CREATE TABLE outbox (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            message TEXT NOT NULL UNIQUE,
            record TEXT NOT NULL,
            revision INTEGER NOT NULL CHECK (revision >= 1),
            type TEXT NOT NULL,
            version INTEGER NOT NULL CHECK (version >= 1),
            recorded_at TEXT NOT NULL,
            clock_synchronised INTEGER NOT NULL CHECK (clock_synchronised IN (0, 1)),
            boot TEXT NOT NULL,
            body TEXT NOT NULL,
            rejected TEXT,
            UNIQUE (record, revision)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX outbox_waiting ON outbox (sequence) WHERE rejected IS NULL")


@MIGRATIONS()
def index_health(db: Database) -> None:
    """Find what waits of a device's health in a queue of thousands; costs the other messages nothing."""
    db.execute("CREATE INDEX outbox_health ON outbox (sequence) WHERE type = 'health'")


def new_id() -> str:
    """A fresh id: UUID version 7, which sorts by time where the clock is right and is unique where it is not."""
    return str(uuid6.uuid7())


@dataclass(frozen=True)
class Waiting:
    """A message in the outbox, ready to be sent.

    Attributes:
        sequence: its place in the store's order.
        message: its id.
        type: type of the record.
        version: version of the body.
        payload: the envelope as JSON.
    """

    sequence: int
    message: str
    type: str
    version: int
    payload: bytes


@dataclass(frozen=True)
class OutboxState:
    """How much waits.

    Attributes:
        waiting: messages the server has not answered for.
        rejected: messages the server refused; they are kept for a newer server.
        oldest: when the oldest waiting record was made, None when nothing waits.
    """

    waiting: int
    rejected: int
    oldest: datetime | None


class Outbox:
    """The queue of one store. Its owner opens the transactions, so that a record and its message commit together.

    Args:
        db: the store's database, migrated.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self.store: str = next(iter(db.query("SELECT store FROM store_identity")))["store"]

    def enqueue(self, record: str, revision: int, body: Body) -> None:
        """Queue one revision of a record.

        Args:
            record: id of the record.
            revision: its revision here, which was queued for no other body; on the wire it may be higher.
            body: what it says.

        Raises:
            RuntimeError: called outside the transaction that stores the record.
        """
        if not self._db.conn.in_transaction:
            raise RuntimeError("a message is queued in the transaction that stores its record")
        (raised,) = self._db.execute("SELECT raised FROM store_identity").fetchone()
        self._db.table("outbox").insert(
            {
                "message": new_id(),
                "record": record,
                "revision": revision + raised,
                "type": body.TYPE,
                "version": body.VERSION,
                "recorded_at": clock.now().isoformat(),
                "clock_synchronised": int(clock.is_synchronised()),
                "boot": clock.boot_id(),
                "body": body.model_dump_json(exclude_none=True),
            }
        )

    def report(self, record: str, revision: int, body: HealthBody) -> None:
        """Queue how the device fares in the place of what waits of that, whose news are old.

        Args:
            record: id of the record.
            revision: its revision, higher than any before.
            body: what it says.

        Raises:
            RuntimeError: called outside a transaction.
        """
        self._db.execute("DELETE FROM outbox WHERE type = 'health'")  # literal, so that its index serves
        self.enqueue(record, revision, body)

    def waiting(self, device: str, after: int, at_most: int) -> list[Waiting]:
        """The next messages to send, in order.

        Args:
            device: name to put into the envelopes.
            after: sequence number after which to begin.
            at_most: how many.
        """
        rows = self._db.query(
            "SELECT * FROM outbox WHERE rejected IS NULL AND sequence > ? ORDER BY sequence LIMIT ?", [after, at_most]
        )
        return [
            Waiting(row["sequence"], row["message"], row["type"], row["version"], self._envelope(device, row))
            for row in rows
        ]

    def _envelope(self, device: str, row: dict[str, object]) -> bytes:
        envelope = {
            "message": row["message"],
            "device": device,
            "store": self.store,
            "sequence": row["sequence"],
            "record": row["record"],
            "revision": row["revision"],
            "recorded_at": row["recorded_at"],
            "clock_synchronised": bool(row["clock_synchronised"]),
            "boot": row["boot"],
            "type": row["type"],
            "version": row["version"],
            "body": json.loads(str(row["body"])),
        }
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()

    def stored(self, messages: Iterable[str]) -> int:
        """Forget messages the server has committed, and older revisions of their records; returns how many were here.

        What a newer revision has replaced must not stay: answered later, it would look like the work of a store that
        has lost the newer one.
        """
        with self._db.atomic():
            return sum(
                self._db.execute(
                    "DELETE FROM outbox WHERE record = (SELECT record FROM outbox WHERE message = :message) "
                    "AND revision <= (SELECT revision FROM outbox WHERE message = :message)",
                    {"message": message},
                ).rowcount
                for message in messages
            )

    def outdated(self, message: str, held: int) -> bool:
        """Act on the server's word that it holds the message's revision, or a higher one, from another message.

        Where a newer revision waits here, it stands for this one, which is forgotten. Where none does, this store does
        not know what it has sent before, as one that was restored from a backup: the message is queued anew with a
        revision above the one held, and all later revisions of this store are raised with it.

        Args:
            message: its id.
            held: the revision the server holds.

        Returns:
            Whether it was queued anew.
        """
        with self._db.atomic():
            # deleting first takes the write lock, so that nothing is queued in between
            found = list(self._db.query("DELETE FROM outbox WHERE message = ? RETURNING *", [message]))
            if not found or self._has_newer(found[0]["record"], found[0]["revision"]):
                return False
            (row,) = found
            self._db.execute("UPDATE store_identity SET raised = raised + ?", [held + 1 - row["revision"]])
            again = {**row, "message": new_id(), "revision": held + 1, "rejected": None}
            del again["sequence"]
            self._db.table("outbox").insert(again)
            return True

    def _has_newer(self, record: str, revision: int) -> bool:
        newer = self._db.execute("SELECT 1 FROM outbox WHERE record = ? AND revision > ?", [record, revision])
        return newer.fetchone() is not None

    def rejected(self, message: str, reason: str) -> None:
        """Keep a message the server refused, with its reason, out of the way of the others."""
        self._db.execute("UPDATE outbox SET rejected = ? WHERE message = ?", [reason or "no reason given", message])

    def replay_rejected(self) -> int:
        """Put refused messages back into the queue, for a server that has learned; returns how many."""
        return int(self._db.execute("UPDATE outbox SET rejected = NULL WHERE rejected IS NOT NULL").rowcount)

    def state(self, *, health: bool = True) -> OutboxState:
        """How much waits and how much was refused.

        Args:
            health: whether what the device says of itself counts too; to people it is no record.
        """
        row = next(
            iter(
                self._db.query(
                    "SELECT count(*) FILTER (WHERE rejected IS NULL) AS waiting, count(rejected) AS rejected, "
                    "min(recorded_at) FILTER (WHERE rejected IS NULL) AS oldest FROM outbox "
                    "WHERE :health OR type != 'health'",
                    {"health": health},
                )
            )
        )
        oldest = datetime.fromisoformat(row["oldest"]) if row["oldest"] else None
        return OutboxState(row["waiting"], row["rejected"], oldest)
