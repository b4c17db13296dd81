"""What differs with PostgreSQL: that a commit is on the disk, and what happens when it is locked or away."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text

from cloud_sync.messages import Answers
from cloud_sync.server.database import Database, Record
from cloud_sync.server.errors import DatabaseError
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.postgresql import PostgreSQL, need_postgresql


@pytest.fixture(scope="module")
def durable() -> Iterator[PostgreSQL]:
    """One that is ended and started again here."""
    need_postgresql()
    server = PostgreSQL()
    yield server
    server.remove()


def give(database: Database, *messages: dict[str, Any]) -> list[str]:
    """Store messages and return what was answered."""
    results: list[str] = []

    def note(_device: str, answers: Answers) -> None:
        results.extend(answer.result for answer in answers.answers)

    Worker(database, queue.Queue(), note).process([Delivery(received(one), lambda: None) for one in messages])
    return results


def test_a_commit_is_on_the_disk_whatever_the_role_was_given(postgresql: PostgreSQL) -> None:
    """SYNC-022."""
    url = postgresql.make_database()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    database = Database(url)
    with database.write() as session:
        assert session.scalar(text("SHOW synchronous_commit")) == "on"
    database.close()


def test_a_server_that_cannot_keep_its_word_is_named(postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture) -> None:
    """SYNC-022: the tests' own runs without fsync."""
    Database(postgresql.make_database()).close()
    assert "PostgreSQL runs with fsync off: a power cut can lose or damage what it has committed" in caplog.text


def test_a_locked_table_asks_for_a_retry_and_loses_nothing(postgresql_database: Database, postgresql_url: str) -> None:
    """SYNC-046."""
    sent = [envelope(), envelope(version=99)]
    with psycopg.connect(postgresql_url) as other:
        other.execute("LOCK TABLE record IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        assert give(postgresql_database, *sent) == ["retry", "retry"]
        assert time.monotonic() - begun < 10
    assert give(postgresql_database, *sent) == ["stored", "rejected"]


def test_a_database_that_was_away_takes_messages_again_at_once(durable: PostgreSQL) -> None:
    """SYNC-046: also the first message after that, though the connection it is to go through is stale."""
    database = Database(durable.make_database())
    assert give(database, envelope()) == ["stored"]
    durable.stop()
    lost = envelope()
    assert give(database, lost) == ["retry"]
    durable.start()
    assert give(database, lost) == ["stored"]
    durable.stop()
    durable.start()
    assert give(database, envelope()) == ["stored"]
    with database.read() as session:
        assert len(session.scalars(select(Record)).all()) == 3
    database.close()


@pytest.mark.slow
def test_what_was_answered_outlives_a_kill(durable: PostgreSQL) -> None:
    """SYNC-022."""
    database = Database(durable.make_database())
    sent = [envelope() for _ in range(200)]
    for fields in sent:
        assert give(database, fields) == ["stored"]
    durable.kill()
    durable.start()
    with database.engine.connect() as connection:
        connection.invalidate()
    with database.read() as session:
        held = set(session.scalars(select(Record.message)))
    assert held == {fields["message"] for fields in sent}
    database.close()


def test_one_message_that_postgresql_does_not_take_holds_up_no_other(postgresql_database: Database) -> None:
    """SYNC-047: a key longer than its usual index bears, and what is JSON but no text."""
    long = dict.fromkeys(("orchard", "block", "tree"), "果园" * 90)
    sent = [envelope(), envelope(body={**EXAMPLES["tree"], **long}), envelope(body={**EXAMPLES["tree"], "x": "\0"})]
    assert sorted(give(postgresql_database, *sent)) == ["rejected", "stored", "stored"]


def test_a_wrong_address_is_named_without_the_password() -> None:
    with pytest.raises(DatabaseError, match="check --database") as caught:
        Database("postgresql://pomona:secret@127.0.0.1:1/pomona")
    assert "secret" not in str(caught.value)
