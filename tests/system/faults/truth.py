"""What the device has recorded, what the server holds, and whether they are the same: record for record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import text

from cloud_sync.server.database import Database
from device.store import FILE_NAME, PhotoFiles
from tests.system.faults.card import Card

# How the device fares is no row of a table, and there is a later word on it at any moment.
_IS_RECORD = "type != 'health'"
_MESSAGES = f"SELECT record, type, revision, message, body FROM journal WHERE {_IS_RECORD} ORDER BY revision"
# tables whose rows are records: they count revisions
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%revision INTEGER NOT NULL DEFAULT 1%'"
# columns that hold an id where the message holds a name, or have another spelling
_REFERENCES = {"orchard", "block", "tree", "visit", "photo", "photos", "labels", "counts", "boxes"}
# all that was ever queued: the outbox forgets what the server has stored
_JOURNAL = """
    CREATE TABLE IF NOT EXISTS journal AS SELECT * FROM outbox WHERE 0;
    CREATE UNIQUE INDEX IF NOT EXISTS journal_message ON journal (message);
    CREATE TRIGGER IF NOT EXISTS journal_keeps AFTER INSERT ON outbox
    BEGIN INSERT OR IGNORE INTO journal SELECT * FROM outbox WHERE message = new.message; END;
"""


class Held(NamedTuple):
    """A record as one side has it."""

    type: str
    revision: int
    message: str
    body: str


@dataclass(frozen=True)
class Differences:
    """What is not as it must be; empty when all is well.

    Attributes:
        found: one sentence each.
        records: how many records were compared.
    """

    found: tuple[str, ...]
    records: int


def keep_journal(home: Path) -> None:
    """Have the device's database note each message with the transaction that queues it."""
    with closing(sqlite3.connect(home / FILE_NAME)) as database:
        database.executescript(_JOURNAL)


def device_records(home: Path) -> dict[str, Held]:
    """The latest revision of each record that was ever queued, by id."""
    with _reading(home) as database:
        rows = database.execute(_MESSAGES)
        return {row["record"]: _held(row["type"], row["revision"], row["message"], row["body"]) for row in rows}


def server_records(url: str, device: str) -> dict[str, Held]:
    """What the server holds of a device, by record id."""
    columns = "record, type, revision, message, body"
    rows = _ask(url, f"SELECT {columns} FROM record WHERE device = :device AND {_IS_RECORD}", device=device)
    return {record: _held(kind, revision, message, body) for record, kind, revision, message, body in rows}


def waiting(home: Path) -> int:
    """How many records wait in the outbox."""
    with _reading(home) as database:
        (number,) = database.execute(f"SELECT count(*) FROM outbox WHERE {_IS_RECORD}").fetchone()
    return int(number)


def queued(home: Path) -> int:
    """How many messages were ever queued."""
    with _reading(home) as database:
        (number,) = database.execute("SELECT count(*) FROM journal").fetchone()
    return int(number)


def compare(home: Path, url: str, device: str, *, thumbnails_remade: bool = False) -> Differences:
    """Device and server record for record, once everything was sent.

    Args:
        home: the device's store.
        url: the server's database.
        device: name of the device.
        thumbnails_remade: some were sent again, made anew of their photos: like the former ones, but not to the byte.
    """
    ours, theirs = device_records(home), server_records(url, device)
    if thumbnails_remade:
        for held in (ours, theirs):
            held.update({key: record._replace(body="") for key, record in held.items() if record.type == "thumbnail"})
    found = []
    if number := waiting(home):
        found.append(f"{number} messages still wait on the device")
    found += [f"{_named(key, ours[key])} is missing at the server" for key in ours.keys() - theirs.keys()]
    found += [
        f"{_named(key, theirs[key])} is at the server and not on the device" for key in theirs.keys() - ours.keys()
    ]
    twice = "SELECT natural_key FROM record WHERE device = :device GROUP BY natural_key HAVING count(*) > 1"
    found += [f"{key} is at the server twice" for (key,) in _ask(url, twice, device=device)]
    found += [f"dead letter on {topic}: {why}" for topic, why in _ask(url, "SELECT topic, reason FROM dead_letter")]
    found += [
        f"{_named(key, ours[key])} differs: device {str(ours[key])[:500]}, server {str(theirs[key])[:500]}"
        for key in ours.keys() & theirs.keys()
        if ours[key] != theirs[key]
    ]
    return Differences(tuple(found + check_device(home)), len(ours))


def _ask(url: str, query: str, **parameters: str) -> Sequence[Any]:
    database = Database(url, create=False)
    with database.read() as session:
        rows = session.execute(text(query), parameters).all()
    database.close()
    return rows


def check_device(home: Path) -> list[str]:
    """What is wrong with a device's own records: each row has its message, numbers have no gap, photos are whole."""
    found = []
    with _reading(home) as database:
        (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
        if integrity != "ok":
            found.append(f"the database is damaged: {integrity}")
        found += [f"foreign key: {tuple(row)}" for row in database.execute("PRAGMA foreign_key_check")]
        sequences = [row["sequence"] for row in database.execute("SELECT sequence FROM journal ORDER BY sequence")]
        if sequences != list(range(1, len(sequences) + 1)):
            found.append("the sequence numbers have a gap or a double")
        messages = {row["record"]: (row["revision"], json.loads(row["body"])) for row in database.execute(_MESSAGES)}
        for (table,) in database.execute(_TABLES).fetchall():
            for row in database.execute(f"SELECT * FROM {table}"):
                revision, body = messages.pop(row["id"], (0, {}))
                if revision != row["revision"] or _contradicts(row, body):
                    found.append(f"{table} {dict(row)} has the message {str(body)[:500]} of revision {revision}")
        found += [f"message {str(body)[:500]} belongs to no row" for _, body in messages.values()]
        files = PhotoFiles(home / "photos")
        for row in database.execute("SELECT sha256, suffix FROM photo"):
            path = files.path(row["sha256"], row["suffix"])
            if not path.exists() or PhotoFiles.digest(path.read_bytes()) != row["sha256"]:
                found.append(f"photo {path.name} is missing or not what it was")
    return found


def _contradicts(row: sqlite3.Row, body: dict[str, Any]) -> bool:
    """Whether a message says something else than the row it was made of, of what both name alike."""
    alike = set(row.keys()) - _REFERENCES & body.keys()
    return any(row[column] != body.get(column) for column in alike if not isinstance(body.get(column), list | dict))


def check_card(home: Path, card: Card) -> list[str]:
    """What differs between the photos that were put on the card and the counts recorded of them."""
    with _reading(home) as database:
        rows = database.execute(
            "SELECT code, machine, by_hand, (SELECT count(*) FROM photo WHERE photo.tree = tree.id) AS photos "
            "FROM tree_count JOIN tree ON tree.id = tree_count.tree"
        ).fetchall()
    expected = {
        tree: (machine, card.by_hand.get(tree), len(card.fruit[tree]))
        for tree, machine in card.machine_counts().items()
    }
    recorded = {row["code"]: (row["machine"], row["by_hand"], row["photos"]) for row in rows}
    return [
        f"tree {tree}: count, count by hand and photos are {recorded.get(tree)}, must be {expected.get(tree)}"
        for tree in sorted(expected.keys() | recorded.keys())
        if expected.get(tree) != recorded.get(tree)
    ]


def _reading(home: Path) -> closing[sqlite3.Connection]:
    database = sqlite3.connect(home / FILE_NAME, timeout=30)
    database.row_factory = sqlite3.Row
    return closing(database)


def _held(kind: str, revision: int, message: str, body: Any) -> Held:
    """With the body in one spelling, whatever spelling the database keeps."""
    values = json.loads(body) if isinstance(body, str) else body
    return Held(kind, revision, message, json.dumps(values, sort_keys=True))


def _named(record: str, held: Held) -> str:
    return f"{held.type} {record} revision {held.revision}"
