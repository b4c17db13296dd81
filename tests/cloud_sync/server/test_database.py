"""Opening the database: settings that keep records, and errors that say what is wrong."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from cloud_sync.server.database import Database, Device
from cloud_sync.server.errors import DatabaseError


def test_a_commit_is_on_the_disk(database: Database) -> None:
    """SYNC-022."""
    with database.read() as session:
        values = {
            name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.add(Device(name="a", last_seen=datetime.now(timezone.utc)))
            session.flush()
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    with database.read() as session:
        assert session.get(Device, "a") is None


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.write(), database.read() as session:
        assert session.get(Device, "a") is None


def test_moments_come_back_in_utc(database: Database) -> None:
    moment = datetime(2024, 9, 1, 10, tzinfo=timezone(timedelta(hours=8)))
    with database.write() as session:
        session.add(Device(name="a", last_seen=moment))
    with database.read() as session:
        found = session.get(Device, "a")
        assert found is not None
        assert found.last_seen == moment
        assert found.last_seen.tzinfo is timezone.utc


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////missing/folder/x.sqlite", "postgresql+nodriver://u:secret@h/d"]
)
def test_what_cannot_be_opened_is_named_without_the_password(url: str) -> None:
    with pytest.raises(DatabaseError, match="check --database") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_on_a_full_disk_the_remedy_is_space(tmp_path: Path) -> None:
    def fill(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 2")

    event.listen(Engine, "connect", fill)
    try:
        with pytest.raises(DatabaseError, match=r"x\.sqlite: database or disk is full; free some space on its disk"):
            Database.in_file(tmp_path / "x.sqlite")
    finally:
        event.remove(Engine, "connect", fill)


def test_any_folder_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "50% of? #1"
    folder.mkdir()
    Database.in_file(folder / "x.sqlite").close()
    assert (folder / "x.sqlite").exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    file.write_text("no database at all, but some text that is long enough to look like one" * 20)
    with pytest.raises(DatabaseError, match=r"x\.sqlite: file is not a database"):
        Database.in_file(file)
