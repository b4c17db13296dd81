"""The device's outbox: messages wait here, in the store's own database, until the server has answered for them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import uuid6
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from cloud_sync import clock
from cloud_sync.greeting import Greeting
from cloud_sync.lanes import Lane, Recent
from cloud_sync.messages import BODIES, Body, HealthBody
from cloud_sync.sent import SentLog, create_sent
from cloud_sync.timekeeping import RELEASED, Timekeeper

MIGRATIONS = Migrations("outbox")
# as a floor the last known time is good enough by the hour, and writing it more often would wear the card
_KNOWN_TIME_STEP = timedelta(hours=1)

_RECENT_FOR_S = 60.0  # how long it may be taken for granted what is recent
_BULK = [kind for kind, body in BODIES.items() if body.LANE == "bulk"]
_IS_BULK = f"type IN ({', '.join(map(repr, _BULK))})"
_IS_RECENT = "(boot = :boot OR (clock_synchronised = 1 AND recorded_at >= :since))"
_IN_LANE = {
    Lane.FRESH: f"NOT {_IS_BULK} AND {_IS_RECENT}",
    Lane.BACKLOG: f"NOT {_IS_BULK} AND NOT {_IS_RECENT}",
    Lane.BULK: _IS_BULK,
}


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


@MIGRATIONS()
def keep_what_was_stored(db: Database) -> None:
    """What was answered for is kept, so that a server that lost it can be given it again; and the queue has lanes."""
    # historical: as what it was sent, once that is decided for good
    db.execute("ALTER TABLE outbox ADD COLUMN historical INTEGER CHECK (historical IN (0, 1))")
    create_sent(db)
    # holds all that tells the lane of a message, so that those of another lane cost nothing but this
    db.execute("DROP INDEX outbox_waiting")
    db.execute(
        "CREATE INDEX outbox_waiting ON outbox (sequence, type, boot, clock_synchronised, recorded_at, rejected) "
        "WHERE rejected IS NULL"
    )
    db.execute("ALTER TABLE store_identity ADD COLUMN server TEXT")


@MIGRATIONS()
def add_known_time(db: Database) -> None:
    """What the device's own clock said where the time is another, and the last time that was known."""
    db.execute("ALTER TABLE outbox ADD COLUMN device_clock TEXT")
    db.execute("ALTER TABLE store_identity ADD COLUMN known_time TEXT")
    db.execute("ALTER TABLE sent ADD COLUMN device_clock TEXT")


class OutboxError(RuntimeError):
    """The outbox cannot be read or written, for instance because the disk is full."""

    exit_code = 1


@contextlib.contextmanager
def outbox_errors() -> Iterator[None]:
    """Turn what SQLite says of the disk and of locks into an error that names the remedy.

    Raises:
        OutboxError: the outbox cannot be read or written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutboxError(f"the outbox cannot be used: {error}; free some disk space or stop what locks it") from error


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
        payload: the envelope as JSON; empty when its body was not kept and cannot be made again.
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

    Attributes:
        store: id of the database.
        sent: what the server has stored.
        remake: makes the body of a record again, given its type and id, where it was not kept; None when it cannot.

    Args:
        db: the store's database, migrated.
        timekeeper: tells the time of records; None knows what the kernel knows.
    """

    def __init__(self, db: Database, timekeeper: Timekeeper | None = None) -> None:
        self._db = db
        self._timekeeper = timekeeper or Timekeeper()
        self._recent: tuple[float, Recent] | None = None
        self.sent = SentLog(db)
        self.remake: Callable[[str, str], Body | None] = lambda _kind, _record: None
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
        raised, written = self._db.execute("SELECT raised, known_time FROM store_identity").fetchone()
        known_time = datetime.fromisoformat(written) if written else RELEASED
        made = self._timekeeper.read(known_time)
        if made.is_known and abs(made.at - known_time) > _KNOWN_TIME_STEP:
            # the last one, not the latest: what a clock wrongly called right has left behind heals
            self._db.execute("UPDATE store_identity SET known_time = ?", [made.at.isoformat()])
        # plain SQL: this stands in the way of counting, and the library's insert takes seven times as long
        self._db.execute(
            "INSERT INTO outbox "
            "(message, record, revision, type, version, recorded_at, clock_synchronised, device_clock, boot, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(new_id(), record, revision + raised, body.TYPE, body.VERSION),
                *(made.at.isoformat(), int(made.is_known)),
                *(made.device_clock.isoformat() if made.device_clock else None, clock.boot_id()),
                body.model_dump_json(exclude_none=True),
            ],
        )

    def report(self, record: str, revision: int, body: HealthBody) -> None:
        """Queue how the device fares in the place of what waits of that, whose news are old.

        Args:
            record: id of the record.
            revision: its revision, at least; it becomes higher than any that was queued or stored here.
            body: what it says.

        Raises:
            RuntimeError: called outside a transaction.
        """
        # a process that was started again within the second comes with the revision of the one before
        known, raised = self._db.execute(
            "SELECT max(coalesce((SELECT max(revision) FROM outbox WHERE record = :record), 0), "
            "coalesce((SELECT max(revision) FROM sent WHERE record = :record), 0)), raised FROM store_identity",
            {"record": record},
        ).fetchone()
        self._db.execute("DELETE FROM outbox WHERE type = 'health'")  # literal, so that its index serves
        self.enqueue(record, max(revision, known - raised + 1), body)

    def lane(self, lane: Lane, start: int, at_most: int) -> list[int]:
        """Numbers of the next messages of a lane.

        Args:
            lane: the lane.
            start: lowest number.
            at_most: how many.
        """
        recent = self._what_is_recent()
        rows = self._db.execute(
            "SELECT sequence FROM outbox WHERE rejected IS NULL AND sequence >= :start "  # noqa: S608  (our own names)
            f"AND {_IN_LANE[lane]} ORDER BY sequence LIMIT :at_most",
            {"start": start, "at_most": at_most, "boot": recent.boot, "since": recent.since},
        )
        return [sequence for (sequence,) in rows]

    def newest(self) -> int:
        """The highest number there is, 0 when nothing waits."""
        (newest,) = self._db.execute("SELECT max(sequence) FROM outbox").fetchone()
        return newest or 0

    def count_waiting(self, *, with_bulk: bool) -> int:
        """How many messages wait, with or without bulk."""
        lanes = "" if with_bulk else f" AND NOT {_IS_BULK}"
        (count,) = self._db.execute(f"SELECT count(*) FROM outbox WHERE rejected IS NULL{lanes}").fetchone()  # noqa: S608
        return int(count)

    def waiting(self, device: str, after: int, at_most: int) -> list[Waiting]:
        """Messages that wait, in order.

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

    def _envelope(self, device: str, row: dict[str, Any]) -> bytes:
        body = row["body"] or self._remade(row["type"], row["record"])
        if not body:
            return b""
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
            **({"historical": True} if self._is_historical(row) else {}),
            "type": row["type"],
            "version": row["version"],
            "body": json.loads(body),
        }
        if row["device_clock"] is not None:
            envelope["device_clock"] = row["device_clock"]
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()

    def _remade(self, kind: str, record: str) -> str:
        body = self.remake(kind, record)
        return body.model_dump_json(exclude_none=True) if body else ""

    def _is_historical(self, row: dict[str, Any]) -> bool:
        if row["historical"] is not None:
            return bool(row["historical"])
        return self._what_is_recent().is_historical(
            row["recorded_at"], clock_synchronised=bool(row["clock_synchronised"]), boot=row["boot"]
        )

    def _what_is_recent(self) -> Recent:
        now = time.monotonic()
        if self._recent is None or now - self._recent[0] > _RECENT_FOR_S:
            self._recent = now, Recent.now(self._timekeeper.read())
        return self._recent[1]

    def stored(self, messages: Iterable[str]) -> int:
        """Take out messages the server has committed, and older revisions of their records; returns how many were here.

        What a newer revision has replaced must not stay: answered later, it would look like the work of a store that
        has lost the newer one.
        """
        with self._db.atomic():
            return sum(self._take_out(message) for message in messages)

    def _take_out(self, message: str) -> int:
        found = list(self._db.query("DELETE FROM outbox WHERE message = ? RETURNING *", [message]))
        if not found:
            return 0
        (row,) = found
        self._keep(row)
        older = self._db.execute(
            "DELETE FROM outbox WHERE record = ? AND revision < ?", [row["record"], row["revision"]]
        )
        return 1 + int(older.rowcount)

    def _keep(self, row: dict[str, Any]) -> None:
        # bulk is not kept twice: what it was made from is on this device
        kept = {"historical": int(self._is_historical(row)), "body": "" if row["type"] in _BULK else row["body"]}
        self.sent.keep({**row, **kept})

    def outdated(self, message: str, held: int) -> bool:
        """Act on the server's word that it holds the message's revision, or a higher one, from another message.

        Where a newer revision waits here, it stands for this one, which is forgotten. A message that was stored before
        has been overtaken by a revision this store does not know, and is let be. Otherwise, this store does
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
            if row["historical"] is not None:  # stored before and put back for a comparison: what is held came later
                self._keep(row)
                self.sent.overtaken.add(message)
                return False
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

    def greeted(self, greeting: Greeting) -> int:
        """Note what the server says of itself, and where it has learned put refused messages back; returns how many."""
        (known,) = self._db.execute("SELECT server FROM store_identity").fetchone()
        said = greeting.model_dump_json()
        if known == said:
            return 0
        with self._db.atomic():
            self._db.execute("UPDATE store_identity SET server = ?", [said])
            has_learned = known is not None and greeting.knows_more_than(Greeting.model_validate_json(known))
            return self.replay_rejected() if has_learned else 0

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
