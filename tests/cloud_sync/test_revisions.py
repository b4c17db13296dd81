"""Outbox and server together: what becomes of a record's revisions, whatever is lost, doubled, late or restored."""

from __future__ import annotations

import itertools
import queue
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from cloud_sync.messages import Answers
from cloud_sync.outbox import Outbox, new_id
from cloud_sync.sender import Sender
from cloud_sync.server.database import Database, Record
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from cloud_sync.window import SendWindow
from device.store.database import Store
from tests.cloud_sync.helpers import tree


class Line:
    """A device and a server; what is between them loses, doubles and delays as the test says."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.database = Database(f"sqlite:///{folder / 'server.sqlite'}")
        self._worker = Worker(self.database, queue.Queue(), lambda _device, answers: self.down.append(answers))
        self.record = new_id()
        self.up: list[bytes] = []
        self.down: list[Answers] = []
        self.revision = 0
        self._contents = itertools.count(1)
        self.content = 0
        self._backup: tuple[sqlite3.Connection, int] | None = None

    def change(self, _place: int = 0) -> None:
        self.revision += 1
        self.content = next(self._contents)
        with self.store.change():
            body = tree("1").model_copy(update={"latitude": self.content / 100_000})
            self.store.outbox.enqueue(self.record, self.revision, body)

    def send(self, place: int) -> None:
        waiting = self.store.outbox.waiting("jetson-1", 0, 1000)
        self.up += [waiting[place % len(waiting)].payload] if waiting else []

    def arrive(self, place: int) -> None:
        if self.up:
            payload = self.up[place % len(self.up)]
            item = Received("pomona/v1/jetson-1/up/tree", payload, b"", datetime.now(timezone.utc))
            self._worker.process([Delivery(item, lambda: None)])

    def hear(self, place: int) -> None:
        if self.down:
            sender = Sender(self.store.outbox, "jetson-1", SendWindow(10, 30.0, 600.0))
            sender.note_answers(self.down[place % len(self.down)].model_dump_json(exclude_defaults=True).encode())
            sender.settle()

    def backup(self, _place: int = 0) -> None:
        copy = sqlite3.connect(":memory:")
        self.store.db.conn.backup(copy)
        self._close_backup()
        self._backup = copy, self.revision

    def restore(self) -> None:
        assert self._backup is not None
        copy, self.revision = self._backup
        copy.backup(self.store.db.conn)
        self.store.outbox = Outbox(self.store.db)

    def drain(self, _place: int = 0) -> None:
        """Everything works: send, store and answer until nothing waits."""
        for _ in range(100):
            if self.store.outbox.state().waiting == 0:
                return
            self.send(0)
            self.arrive(-1)
            self.hear(-1)
        pytest.fail("the outbox is not emptied")

    def held(self) -> int:
        """The content the server holds."""
        with self.database.read() as session:
            return round(float(session.scalars(select(Record)).one().body["latitude"]) * 100_000)

    def raised(self) -> int:
        (raised,) = self.store.db.execute("SELECT raised FROM store_identity").fetchone()
        return int(raised)

    def _close_backup(self) -> None:
        if self._backup is not None:
            self._backup[0].close()

    def close(self) -> None:
        self._close_backup()
        self.store.close()
        self.database.close()


@contextmanager
def opened_line() -> Iterator[Line]:
    with TemporaryDirectory() as folder, closing(Line(Path(folder))) as line:
        yield line


def steps(*names: str) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 5)), max_size=25)


def take(line: Line, steps_to_take: list[tuple[str, int]]) -> None:
    for name, place in steps_to_take:
        getattr(line, name)(place)


@given(taken=steps("change", "send", "arrive", "hear"))
def test_in_a_store_that_never_stopped_the_last_change_wins_and_no_revision_is_raised(
    taken: list[tuple[str, int]],
) -> None:
    """SYNC-035, SYNC-040, SYNC-041, SYNC-050: whatever is lost, doubled, late or out of order."""
    with opened_line() as line:
        line.change()
        take(line, taken)
        line.drain()
        assert line.held() == line.content
        assert line.raised() == 0


@given(
    before=steps("change", "send", "arrive", "hear", "drain", "backup"),
    after=steps("change", "send", "arrive", "hear", "drain"),
)
def test_the_last_change_in_a_restored_store_reaches_the_server(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    """SYNC-035, SYNC-050: whatever it had sent between backup and restoration."""
    with opened_line() as line:
        line.change()
        line.backup()
        take(line, before)
        line.restore()
        take(line, after)
        line.change()
        line.drain()
        assert line.held() == line.content


def test_what_waits_in_a_backup_and_was_stored_since_does_not_undo_what_is_held() -> None:
    """SYNC-041: the server knows the message, though a later revision has replaced it."""
    with opened_line() as line:
        line.change()
        line.backup()
        line.drain()
        line.change()
        line.drain()
        line.restore()
        assert line.store.outbox.state().waiting == 1
        line.drain()
        assert (line.held(), line.raised()) == (2, 0)
        line.change()
        line.drain()
        assert (line.held(), line.raised()) == (3, 1)
