"""What the server has stored, kept on the device, so that a server that loses it can be given it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlite_utils import Database

from cloud_sync.digests import digest_of, folded

# What a message is made of; the same columns in the outbox and here.
_COLUMNS = "sequence, message, record, revision, type, version, recorded_at, clock_synchronised, boot, historical, body"
_PLACES = ", ".join(f":{column}" for column in _COLUMNS.split(", "))


def create_sent(db: Database) -> None:
    """Make the table: one row a record, the revision that was answered for last."""
    db.execute(
        """
        CREATE TABLE sent (
            sequence INTEGER PRIMARY KEY,
            message TEXT NOT NULL,
            record TEXT NOT NULL UNIQUE,
            revision INTEGER NOT NULL,
            type TEXT NOT NULL,
            version INTEGER NOT NULL,
            recorded_at TEXT NOT NULL,
            clock_synchronised INTEGER NOT NULL,
            boot TEXT NOT NULL,
            historical INTEGER NOT NULL,
            body TEXT NOT NULL,
            digest INTEGER NOT NULL
        ) STRICT
        """
    )
    # holds all that a comparison reads, so that it does not go through the bodies
    db.execute("CREATE INDEX sent_digests ON sent (sequence, digest)")


class SentLog:
    """The messages the server has stored, one a record.

    Attributes:
        overtaken: messages of which the server said, since it greeted, that it holds a later revision of their record,
            one this store does not know. It does not lack them.

    Args:
        db: the store's database, migrated.
    """

    def __init__(self, db: Database) -> None:
        self.overtaken: set[str] = set()
        self._db = db

    def keep(self, row: dict[str, Any]) -> None:
        """Keep a message that has left the outbox, instead of the earlier ones of its record.

        Args:
            row: its row of the outbox; ``historical`` says as what it was sent.
        """
        self._db.execute("DELETE FROM sent WHERE record = ? AND revision <= ?", [row["record"], row["revision"]])
        self._db.execute(
            f"INSERT OR IGNORE INTO sent ({_COLUMNS}, digest) VALUES ({_PLACES}, :digest)",  # noqa: S608  (our own names)
            {**row, "digest": digest_of(row["message"])},
        )

    def highest(self) -> int:
        """The highest number that was stored, 0 when there is none."""
        (highest,) = self._db.execute("SELECT max(sequence) FROM sent").fetchone()
        return highest or 0

    def digests(self, low: int, high: int, width: int) -> dict[int, tuple[int, int]]:
        """How much was stored in each part of a range.

        Args:
            low: first number.
            high: number behind the last.
            width: numbers in a part.

        Returns:
            Number of messages and folded sum of their digests, by part; parts are counted from ``low``, empty ones are
            left out.
        """
        rows = self._db.execute(
            "SELECT (sequence - :low) / :width, count(*), sum(digest) FROM sent "
            "WHERE sequence >= :low AND sequence < :high GROUP BY 1",
            {"low": low, "high": high, "width": width},
        )
        return {part: (count, folded(total)) for part, count, total in rows}

    def lacking(self, low: int, high: int, held: set[int]) -> list[int]:
        """Numbers in a range whose messages the server does not hold.

        Args:
            low: first number.
            high: number behind the last.
            held: digests of the messages that it holds there.
        """
        rows = self._db.execute(
            "SELECT sequence, digest, message FROM sent WHERE sequence >= ? AND sequence < ?", [low, high]
        )
        return [sequence for sequence, digest, message in rows if digest not in held and message not in self.overtaken]

    def numbers(self, low: int, high: int, at_most: int) -> list[int]:
        """The first numbers in a range that were stored.

        Args:
            low: first number.
            high: number behind the last.
            at_most: how many.
        """
        rows = self._db.execute(
            "SELECT sequence FROM sent WHERE sequence >= ? AND sequence < ? ORDER BY sequence LIMIT ?",
            [low, high, at_most],
        )
        return [sequence for (sequence,) in rows]

    def queue_again(self, sequences: Iterable[int]) -> int:
        """Put messages back into the outbox as they were, but not those of which a later revision is known.

        Args:
            sequences: their numbers.

        Returns:
            How many were put back.
        """
        with self._db.atomic():
            return sum(self._queue_again(sequence) for sequence in sequences)

    def _queue_again(self, sequence: int) -> int:
        # deleting first takes the write lock, so that nothing is recorded in between
        found = list(
            self._db.query(
                "DELETE FROM sent WHERE sequence = ? AND message NOT IN (SELECT value FROM json_each(?)) "
                "AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.record = sent.record AND outbox.rejected IS NULL) "
                "RETURNING *",
                [sequence, json.dumps([*self.overtaken])],
            )
        )
        for row in found:
            self._db.execute(f"INSERT INTO outbox ({_COLUMNS}) VALUES ({_PLACES})", row)  # noqa: S608  (our own names)
        return len(found)
