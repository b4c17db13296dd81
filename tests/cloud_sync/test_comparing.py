"""Both sides of a comparison, a real store and a real database, with no network between them."""

from __future__ import annotations

import itertools
import logging
import queue
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from cloud_sync import comparing
from cloud_sync.comparing import Comparison
from cloud_sync.digests import DigestAnswer, Missing, digest_of
from cloud_sync.messages import Answers
from cloud_sync.outbox import new_id
from cloud_sync.sender import Sender
from cloud_sync.server.database import Database, Record, ReplacedRevision
from cloud_sync.server.reconcile import answer
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from cloud_sync.window import SendWindow
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, tree

HOUR = 3600.0


class Ends:
    """A device and a server that has what the device was answered for."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.store.db.execute("PRAGMA synchronous = OFF")
        self.database = Database(f"sqlite:///{folder / 'server.sqlite'}")
        self.comparison = Comparison(self.store.outbox.store, self.store.outbox.sent, HOUR)
        self.now = 0.0
        self.bytes = 0
        self.questions = 0
        self._sender = Sender(self.store.outbox, "jetson-1", SendWindow(400, 30.0, 600.0))
        self._worker = Worker(self.database, queue.Queue(), self._hear)

    def _hear(self, _device: str, answers: Answers) -> None:
        for said in answers.answers:  # as if it had been sent by this sender
            self._sender._window.sent(said.message, 0, 0.0)
        self._sender.note_answers(answers.model_dump_json(exclude_defaults=True).encode())

    def send(self) -> int:
        """Send all that waits, have it stored and hear the answers."""
        sent = 0
        while waiting := self.store.outbox.waiting("jetson-1", 0, 500):
            sent += len(waiting)
            now = datetime.now(timezone.utc)
            items = [Received(f"pomona/v1/jetson-1/up/{item.type}", item.payload, b"", now) for item in waiting]
            self._worker.process([Delivery(item, lambda: None) for item in items])
            self._sender.settle()
        return sent

    def record(self, number: int) -> None:
        enqueue(self.store, [tree(str(number)) for number in range(number)])
        self.send()

    def change(self, record: str, revision: int) -> None:
        with self.store.change():
            self.store.outbox.enqueue(record, revision, tree(str(revision)))

    def compare(self, most_questions: int = 10_000) -> int:
        """One round; returns how many messages it puts back."""
        before = self.store.outbox.state().waiting
        self.comparison.greeted(self.now, at_once=True)
        for _ in range(10 * most_questions):
            question = self.comparison.step(self.now, quiet=True)
            if question is not None:
                self.questions += 1
                assert self.questions <= most_questions
                with self.database.read() as session:
                    said = answer(session, "jetson-1", question)
                payload = said.model_dump_json(exclude_defaults=True).encode()
                self.bytes += len(question.model_dump_json()) + len(payload)
                self.comparison.take_answer(payload)
            elif self.comparison.is_over(self.now):
                break
        else:
            pytest.fail("the round does not end")
        return self.store.outbox.state().waiting - before

    def lose(self, where: Callable[[int], bool]) -> int:
        """The server loses the records of some numbers, and all it knew of them."""
        with self.database.write() as session:
            lost = [row for row in session.scalars(select(Record)) if where(row.sequence)]
            for row in lost:
                session.execute(delete(ReplacedRevision).where(ReplacedRevision.record == row.record))
                session.delete(row)
            return len(lost)

    def held(self) -> dict[str, tuple[int, str, int]]:
        with self.database.read() as session:
            rows = session.execute(select(Record.record, Record.revision, Record.message, Record.sequence))
            return {record: (revision, message, sequence) for record, revision, message, sequence in rows}

    def known(self) -> dict[str, tuple[int, str, int]]:
        rows = self.store.db.execute("SELECT record, revision, message, sequence FROM sent")
        return {record: (revision, message, sequence) for record, revision, message, sequence in rows}

    def close(self) -> None:
        self.store.close()
        self.database.close()


@contextmanager
def opened_ends() -> Iterator[Ends]:
    with TemporaryDirectory() as folder, closing(Ends(Path(folder))) as ends:
        yield ends


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    with closing(Ends(tmp_path)) as made:
        yield made


def test_where_nothing_is_lost_a_round_is_one_question(ends: Ends) -> None:
    """SYNC-109, SYNC-113."""
    ends.record(300)
    assert ends.compare() == 0
    assert (ends.questions, ends.bytes < 700) == (1, True)


def test_an_empty_store_asks_nothing(ends: Ends) -> None:
    assert ends.compare() == 0
    assert ends.questions == 0


def test_a_server_that_has_lost_all_gets_all_of_it_for_one_question(ends: Ends) -> None:
    """SYNC-111, SYNC-113."""
    ends.record(600)
    before = ends.held()
    assert ends.lose(lambda _: True) == 600
    assert ends.compare() == 600
    assert ends.questions == 1
    ends.send()
    assert ends.held() == before


def test_what_a_restored_server_has_lost_since_its_backup_is_put_back(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-111: and said once."""
    caplog.set_level(logging.WARNING, "cloud_sync")
    ends.record(500)
    before = ends.held()
    ends.lose(lambda number: number > 437)
    assert ends.compare() == 63
    assert caplog.messages == [
        "the server no longer has 63 records it had stored, and is sent them again; was it restored from a backup?"
    ]
    ends.send()
    assert ends.held() == before
    assert ends.compare() == 0


@settings(max_examples=12, deadline=None)
@given(
    changed=st.lists(st.integers(0, 24), max_size=15),
    lost=st.sets(st.integers(1, 40), max_size=30),
)
def test_whatever_the_server_has_lost_one_round_makes_it_complete(changed: list[int], lost: set[int]) -> None:
    """SYNC-111: also where records had been changed, and changes wait."""
    with opened_ends() as ends:
        records = [new_id() for _ in range(25)]
        revisions = dict.fromkeys(records, 1)
        for record in records:
            ends.change(record, 1)
        ends.send()
        for place in changed:
            revisions[records[place]] += 1
            ends.change(records[place], revisions[records[place]])
            if place % 2:
                ends.send()
        ends.lose(lambda number: number in lost)
        ends.compare()
        ends.send()
        held = ends.held()
        assert held == ends.known()
        assert {record: revision for record, (revision, _, _) in held.items()} == revisions


def test_what_a_round_costs_does_not_grow_with_the_store(ends: Ends) -> None:
    """SYNC-113."""
    count = 5000
    messages = [new_id() for _ in range(count)]
    with ends.store.change() as db:
        db.conn.executemany(
            "INSERT INTO sent VALUES (?, ?, ?, 1, 'tree', 1, '', 1, '', 0, '{}', ?, NULL)",
            ((number, message, message, digest_of(message)) for number, message in enumerate(messages, 1)),
        )
    insert_records(ends.database, ends.store.outbox.store, messages)
    assert ends.compare() == 0
    assert (ends.questions, ends.bytes < 700) == (1, True)
    ends.bytes = 0
    lost = set(random.Random(1).sample(range(1, count), 20))
    assert ends.lose(lambda number: number in lost) == 20
    assert ends.compare() == 20
    assert ends.bytes < 20 * 1000, "each of the scattered losses costs its own way down"


def insert_records(database: Database, store: str, messages: list[str]) -> None:
    now = datetime.now(timezone.utc)
    with database.write() as session:
        session.execute(
            Record.__table__.insert(),  # type: ignore[attr-defined]
            [
                {
                    "device": "jetson-1",
                    "record": message,
                    "type": "tree",
                    "version": 1,
                    "revision": 1,
                    "message": message,
                    "natural_key": "",
                    "store": store,
                    "sequence": number,
                    "boot": "",
                    "recorded_at": now,
                    "clock_synchronised": True,
                    "historical": False,
                    "received_at": now,
                    "digest": digest_of(message),
                    "body": {},
                }
                for number, message in enumerate(messages, 1)
            ],
        )


def test_what_a_restored_device_no_longer_knows_is_let_be(ends: Ends) -> None:
    """SYNC-112: the server holds more of this store than the device remembers, at the numbers that it uses again."""
    first = new_id()
    ends.change(first, 1)
    ends.record(20)
    with closing(sqlite3.connect(":memory:")) as backup:
        ends.store.db.conn.backup(backup)
        ends.change(first, 2)
        ends.record(20)
        backup.backup(ends.store.db.conn)
    ends.record(10)
    held = ends.held()
    # the backup's revision is put back once: the server says that it holds a later one, and is left in peace
    assert ends.compare() == 1
    assert ends.send() == 1
    assert ends.held() == held
    assert round_without_greeting(ends) == 0


def round_without_greeting(ends: Ends) -> int:
    ends.now += 2 * HOUR
    before = ends.store.outbox.state().waiting
    while (question := ends.comparison.step(ends.now, quiet=True)) is not None:
        with ends.database.read() as session:
            ends.comparison.take_answer(answer(session, "jetson-1", question).model_dump_json().encode())
    ends.comparison.step(ends.now, quiet=True)
    assert ends.comparison.is_over(ends.now)
    return ends.store.outbox.state().waiting - before


def test_lost_messages_are_found_where_the_server_holds_as_many_others(ends: Ends) -> None:
    """SYNC-110, SYNC-111: it is not enough to count, and single messages are compared one by one."""
    ends.record(40)
    with closing(sqlite3.connect(":memory:")) as backup:
        ends.store.db.conn.backup(backup)
        ends.record(5)
        backup.backup(ends.store.db.conn)
    ends.record(5)
    lost = [message for _, message, number in ends.known().values() if number in (33, 34, 35, 41, 42)]
    with ends.database.write() as session:
        session.execute(delete(Record).where(Record.message.in_(lost)))
    assert ends.compare() == 5


def test_questions_come_one_at_a_time_and_only_after_a_greeting(ends: Ends) -> None:
    """SYNC-109: an older server would bury them."""
    ends.record(3)
    comparison = ends.comparison
    assert comparison.step(1e9, quiet=True) is None
    comparison.greeted(0.0, at_once=True)
    assert comparison.step(0.0, quiet=True) is not None
    assert comparison.step(1.0, quiet=True) is None
    assert comparison.step(9.0, quiet=True) is None


def test_a_question_without_an_answer_is_asked_again_and_then_the_round_is_given_up_until_the_next(ends: Ends) -> None:
    """SYNC-109."""
    ends.record(3)
    comparison = ends.comparison
    comparison.greeted(0.0, at_once=True)
    asked = {now: question for now in range(5000) if (question := comparison.step(float(now), quiet=True)) is not None}
    first, second, third, next_round, *_ = asked
    assert (first, second, third) == (0, 11, 32)
    assert asked[0] == asked[11] == asked[32]
    assert 73 + 0.8 * HOUR <= next_round <= 74 + 1.2 * HOUR


def test_a_round_whose_question_was_lost_once_is_complete(ends: Ends) -> None:
    """SYNC-109, SYNC-111: an answer that comes twice then changes nothing."""
    ends.record(600)
    assert ends.lose(lambda number: number % 100 == 7) == 6
    comparison = ends.comparison
    comparison.greeted(0.0, at_once=True)
    while not comparison.is_over(ends.now):
        if comparison.step(ends.now, quiet=True) is None:
            continue
        ends.now += 11
        question = comparison.step(ends.now, quiet=True)
        assert question is not None
        with ends.database.read() as session:
            payload = answer(session, "jetson-1", question).model_dump_json().encode()
        comparison.take_answer(payload)
        comparison.take_answer(payload)
    assert ends.store.outbox.state().waiting == 6


def test_a_round_waits_for_the_line_to_be_quiet_but_not_for_ever(ends: Ends) -> None:
    """SYNC-109."""
    ends.record(3)
    comparison = ends.comparison
    comparison.greeted(0.0, at_once=True)
    begun = next(now for now in itertools.count(0, 10) if comparison.step(float(now), quiet=False) is not None)
    assert 600 <= begun <= 610


def test_devices_that_were_connected_do_not_all_ask_at_once(ends: Ends) -> None:
    """SYNC-109."""
    ends.record(3)
    moments = []
    for _ in range(30):
        comparison = Comparison(ends.store.outbox.store, ends.store.outbox.sent, HOUR)
        comparison.greeted(0.0, at_once=False)
        moments.append(next(now for now in range(100) if comparison.step(float(now), quiet=True) is not None))
    assert max(moments) <= 31
    assert max(moments) - min(moments) > 10


def test_answers_to_other_questions_and_nonsense_change_nothing(ends: Ends) -> None:
    """SYNC-109."""
    ends.record(3)
    comparison = ends.comparison
    comparison.greeted(0.0, at_once=True)
    question = comparison.step(0.0, quiet=True)
    assert question is not None
    empty = DigestAnswer(store=new_id(), width=16, blocks=[{"block": 0}])  # type: ignore[list-item]
    for payload in (b"", b"{}", b"\xff", empty.model_dump_json().encode()):
        comparison.take_answer(payload)
        comparison.take_missing(payload)
    late = empty.model_copy(update={"store": question.store, "width": 256})
    comparison.take_answer(late.model_dump_json().encode())
    assert comparison.step(1.0, quiet=True) is None
    assert ends.store.outbox.state().waiting == 0
    comparison.take_answer(empty.model_copy(update={"store": question.store}).model_dump_json().encode())
    comparison.step(1.0, quiet=True)
    assert ends.store.outbox.state().waiting == 3


def test_what_the_server_asks_for_is_put_back_where_it_was_stored(ends: Ends) -> None:
    """SYNC-114."""
    ends.record(10)
    enqueue(ends.store, [tree("waits")])
    store = ends.store.outbox.store
    ends.comparison.take_missing(Missing(store=new_id(), ranges=[(1, 10)]).model_dump_json().encode())
    ends.comparison.take_missing(Missing(store=store, ranges=[(3, 4), (9, 900)]).model_dump_json().encode())
    assert ends.comparison.is_busy
    ends.comparison.step(0.0, quiet=False)
    assert [item.sequence for item in ends.store.outbox.waiting("jetson-1", 0, 20)] == [3, 4, 9, 10, 11]


def test_much_is_put_back_in_portions(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-113: whoever records meanwhile does not wait for all of it."""
    monkeypatch.setattr(comparing, "_MOST_AT_ONCE", 7)
    ends.record(30)
    ends.lose(lambda number: number not in (5, 6))
    ends.comparison.greeted(0.0, at_once=True)
    question = ends.comparison.step(0.0, quiet=True)
    assert question is not None
    with ends.database.read() as session:
        ends.comparison.take_answer(answer(session, "jetson-1", question).model_dump_json().encode())
    waiting = []
    while not ends.comparison.is_over(0.0):
        question = ends.comparison.step(0.0, quiet=True)
        if question is not None:
            with ends.database.read() as session:
                ends.comparison.take_answer(answer(session, "jetson-1", question).model_dump_json().encode())
        waiting.append(ends.store.outbox.state().waiting)
    assert waiting[-1] == 28
    assert max(after - before for before, after in itertools.pairwise([0, *waiting])) <= 7
