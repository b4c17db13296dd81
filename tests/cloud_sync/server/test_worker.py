"""The worker against a real SQLite database: what is stored, what is answered, what survives."""

from __future__ import annotations

import json
import queue
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from cloud_sync.batch import encode_batch
from cloud_sync.messages import MOST_REASON, Answer, Answers
from cloud_sync.outbox import new_id
from cloud_sync.server import storing, worker
from cloud_sync.server.broker import MOST_PACKET_BYTES
from cloud_sync.server.database import Database, DeadLetter, Device, Record
from cloud_sync.server.screening import Received, Refused, screen
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

STORE = "0190a000-0000-7000-8000-000000000001"


class Bench:
    """A worker with its ends in hand: what it answered, what it confirmed, what is in the database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.answers: list[tuple[str, Answer]] = []
        self.batches: list[tuple[str, int]] = []
        self.confirmed = 0
        self.inbox: queue.Queue[Delivery] = queue.Queue()
        self.worker = Worker(database, self.inbox, self._answer)

    def _answer(self, device: str, answers: Answers) -> None:
        self.batches.append((device, len(answers.answers)))
        self.answers.extend((device, answer) for answer in answers.answers)

    def _confirm(self) -> None:
        self.confirmed += 1

    def give(self, *messages: Received | dict[str, Any]) -> list[tuple[str, str]]:
        """Process a batch; returns device and result of each new answer."""
        before = len(self.answers)
        batch = [message if isinstance(message, Received) else received(message) for message in messages]
        self.worker.process([Delivery(message, self._confirm) for message in batch])
        return [(device, answer.result) for device, answer in self.answers[before:]]

    def records(self) -> list[Record]:
        with self.database.read() as session:
            return list(session.scalars(select(Record).order_by(Record.device, Record.record)))

    def dead(self) -> list[DeadLetter]:
        with self.database.read() as session:
            return list(session.scalars(select(DeadLetter).order_by(DeadLetter.id)))

    def device(self, name: str = "jetson-1") -> Device:
        with self.database.read() as session:
            found = session.get(Device, name)
            assert found is not None
            return found


@pytest.fixture
def bench(each_database: Database) -> Bench:
    return Bench(each_database)


@pytest.fixture
def sqlite_bench(database: Database) -> Bench:
    return Bench(database)


@pytest.fixture
def postgresql_bench(postgresql_database: Database) -> Bench:
    return Bench(postgresql_database)


def test_a_record_is_stored_with_all_that_is_known_of_it(bench: Bench) -> None:
    """SYNC-040."""
    fields = envelope("count", sequence=7, revision=3)
    assert bench.give(fields) == [("jetson-1", "stored")]
    (record,) = bench.records()
    assert (record.device, record.record, record.type) == ("jetson-1", fields["record"], "count")
    assert (record.version, record.revision, record.sequence, record.store) == (1, 3, 7, STORE)
    assert record.natural_key == "count/Dongshan/A/2024-09-01/ripening/A-01/apple"
    assert (record.orchard, record.block) == ("Dongshan", "A")
    assert record.recorded_at == datetime(2024, 9, 1, 2, tzinfo=timezone.utc)
    assert record.clock_synchronised
    assert record.body == EXAMPLES["count"]
    assert bench.confirmed == 1
    assert bench.answers[0][1].message == fields["message"]


def test_answers_go_out_only_after_the_commit(bench: Bench) -> None:
    """SYNC-022."""
    order: list[str] = []
    event.listen(bench.database.engine, "commit", lambda _connection: order.append("commit"))
    bench.worker = Worker(bench.database, bench.inbox, lambda _device, _answers: order.append("answer"))
    bench.worker.process([Delivery(received(envelope()), lambda: order.append("confirm"))])
    assert order == ["commit", "answer", "confirm"]


def test_one_transaction_and_one_message_of_answers_a_device(bench: Bench) -> None:
    """SYNC-022."""
    commits: list[int] = []
    event.listen(bench.database.engine, "commit", lambda _connection: commits.append(1))
    bench.give(*[envelope(device=device, sequence=number) for number in range(1, 31) for device in ("a", "b")])
    assert len(commits) == 1
    assert bench.batches == [("a", 30), ("b", 30)]
    assert len(bench.records()) == 60


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("revisions", "expected"),
    [
        ([1, 2], ["stored", "stored"]),
        ([2, 1], ["stored", "outdated 2"]),
        ([1, 1], ["stored", "outdated 1"]),
        ([3, 1, 2], ["stored", "outdated 3", "outdated 3"]),
        ([1, 3, 2, 3, 4], ["stored", "stored", "outdated 3", "outdated 3", "stored"]),
    ],
)
def test_the_highest_revision_wins_in_any_order_and_what_was_never_stored_is_not_called_so(
    bench: Bench, revisions: list[int], expected: list[str], together: bool
) -> None:
    """SYNC-040, SYNC-050."""
    record = new_id()
    sent = [
        envelope(record=record, revision=revision, body={**EXAMPLES["tree"], "latitude": float(revision)})
        for revision in revisions
    ]
    for batch in [sent] if together else [[fields] for fields in sent]:
        bench.give(*batch)
    answers = [f"{answer.result} {answer.revision or ''}".strip() for _, answer in bench.answers]
    assert answers == expected
    (stored,) = bench.records()
    assert stored.revision == max(revisions)
    assert stored.body["latitude"] == float(max(revisions))


@pytest.mark.parametrize("together", [True, False])
def test_a_message_stored_before_is_answered_so_also_when_its_revision_was_replaced(
    bench: Bench, together: bool
) -> None:
    """SYNC-041: the same messages, delivered any number of times in any order, are one record."""
    record = new_id()
    first, second, third = (envelope(record=record, revision=revision) for revision in (1, 2, 3))
    sent = [first, second, first, third, second, first, third]
    results = [
        result for batch in ([sent] if together else [[fields] for fields in sent]) for result in bench.give(*batch)
    ]
    assert results == [("jetson-1", "stored")] * 7
    (stored,) = bench.records()
    assert (stored.revision, stored.message) == (3, third["message"])


def test_an_id_that_is_used_twice_harms_only_the_device_that_does_so(bench: Bench) -> None:
    """SYNC-047: ids are the devices' own, so the database must not stumble over them."""
    message, records = new_id(), [new_id(), new_id()]
    for revision in (1, 2, 3):
        sent = [envelope(record=record, revision=revision, message=message) for record in records]
        assert bench.give(*sent, envelope(device="b")) == [("jetson-1", "stored")] * 2 + [("b", "stored")]


def statements_of(bench: Bench) -> list[tuple[str, Any]]:
    """What ingest asks of the database, in all its cases."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        statements.append((statement, parameters[0] if many else parameters))

    event.listen(bench.database.engine, "before_cursor_execute", note)
    fields = envelope()
    bench.give(fields, envelope(device="b"), envelope(version=2))
    bench.give({**fields, "message": new_id()}, {**fields, "message": new_id(), "revision": 2}, fields)
    bench.give(fields)
    event.remove(bench.database.engine, "before_cursor_execute", note)
    asked = [(text, given) for text, given in statements if text.startswith(("SELECT", "UPDATE", "DELETE"))]
    for table in ("JOIN record", "FROM replaced_revision", "FROM dead_letter", "UPDATE record"):
        assert any(table in text for text, _ in asked), table
    return asked


def test_ingest_searches_and_never_reads_a_whole_table(sqlite_bench: Bench) -> None:
    """SYNC-047: what a batch costs does not grow with what is held."""
    asked = statements_of(sqlite_bench)
    with sqlite_bench.database.read() as session:
        for text, given in asked:
            plan = [row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given)]
            assert any(step.startswith("SEARCH") for step in plan), plan
            scanned = [step for step in plan if step.startswith("SCAN")]
            assert all(step.startswith("SCAN keys VIRTUAL TABLE") for step in scanned), plan  # those it was given


def test_ingest_searches_postgresql_too(postgresql_bench: Bench) -> None:
    """SYNC-047."""
    asked = statements_of(postgresql_bench)
    with postgresql_bench.database.engine.connect() as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")  # what is nearly empty is rather read than searched
        for text, given in asked:
            plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {text}", given))
            assert "Index" in plan, plan
            assert "Seq Scan" not in plan, plan


def test_answers_travel_in_packets_that_the_broker_takes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-051."""
    packets: list[Answers] = []
    bench.worker = Worker(bench.database, bench.inbox, lambda _device, answers: packets.append(answers))
    monkeypatch.setattr(worker, "screen", lambda item: Refused(item, "jetson-1", new_id(), "果" * MOST_REASON))
    bench.give(*[received(b"{") for _ in range(500)])
    lengths = [len(packet.model_dump_json().encode()) for packet in packets]
    assert max(lengths) < MOST_PACKET_BYTES / 2
    assert sum(len(packet.answers) for packet in packets) == 500
    assert len(packets) < 10


def test_the_same_record_id_on_two_devices_is_two_records(bench: Bench) -> None:
    """SYNC-040."""
    record = new_id()
    bench.give(envelope(device="a", record=record), envelope(device="b", record=record, revision=5))
    assert [(stored.device, stored.revision) for stored in bench.records()] == [("a", 1), ("b", 5)]


def test_a_stolen_name_is_dead_and_answered_to_the_thief(bench: Bench) -> None:
    """SYNC-042."""
    fields = envelope(device="victim")
    assert bench.give(received(fields, topic="pomona/v1/thief/up/tree")) == [("thief", "rejected")]
    assert bench.records() == []
    (letter,) = bench.dead()
    assert (letter.device, letter.topic) == ("thief", "pomona/v1/thief/up/tree")
    assert letter.message == fields["message"]
    assert "names device 'victim'" in letter.reason


def test_an_unreadable_message_is_kept_as_it_came(bench: Bench) -> None:
    """SYNC-044, SYNC-045."""
    message = new_id()
    item = received(b"\x00\xff{", correlation=f"{message}:1".encode())
    assert bench.give(item) == [("jetson-1", "rejected")]
    assert bench.answers[-1][1].message == message
    assert bench.answers[-1][1].reason
    (letter,) = bench.dead()
    assert (letter.payload, letter.correlation) == (b"\x00\xff{", f"{message}:1".encode())
    assert bench.give(received(b"{")) == []
    assert len(bench.dead()) == 2
    assert bench.confirmed == 2


def test_bad_messages_do_not_hold_up_good_ones(bench: Bench) -> None:
    """SYNC-047."""
    bad = received(b"{", correlation=f"{new_id()}:1".encode())
    results = bench.give(envelope(), bad, envelope(), envelope(version=9), envelope("count"))
    assert sorted(result for _, result in results) == ["rejected"] * 2 + ["stored"] * 3
    assert len(bench.records()) == 3


def test_the_lines_of_a_batch_are_stored_and_answered_singly(bench: Bench) -> None:
    """SYNC-016, SYNC-018: between messages that came alone, in the order they came."""
    first, second = envelope("tree"), envelope("count")
    later = {**first, "message": new_id(), "revision": 2}
    lines = [first, envelope(device="victim"), b"{", envelope(version=9), second]
    batch = encode_batch([line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines])
    on_batch = received(batch, topic="pomona/v1/jetson-1/up/batch", correlation=f"{new_id()}:1".encode())
    results = bench.give(on_batch, later)
    assert sorted(results) == [("jetson-1", "rejected")] * 2 + [("jetson-1", "stored")] * 3
    assert {stored.message for stored in bench.records()} == {later["message"], second["message"]}
    assert [letter.payload for letter in bench.dead() if letter.message is None] == [b"{"]
    assert len(bench.dead()) == 3
    assert bench.confirmed == 2
    assert sorted(bench.give(on_batch)) == [("jetson-1", "rejected")] * 2 + [("jetson-1", "stored")] * 2
    assert len(bench.records()) == 2


def test_batches_are_unfolded_no_faster_than_they_are_stored(database: Database) -> None:
    """SYNC-047: a few hundred of them, of 4 MiB each, would not fit the memory."""
    bench = Bench(database)
    bench.worker = Worker(database, bench.inbox, bench._answer, batch=4)
    payload = encode_batch([json.dumps(envelope()).encode() for _ in range(10)])
    bench.give(*[received(payload, topic="pomona/v1/jetson-1/up/batch")] * 2)
    assert bench.batches == [("jetson-1", 4)] * 5


def test_a_message_refused_twice_is_one_dead_letter_and_gone_once_it_is_stored(bench: Bench) -> None:
    """SYNC-048."""
    fields = envelope()
    bad = received({**fields, "version": 2})
    bench.give(bad)
    bench.give(bad, bad)
    assert len(bench.dead()) == 1
    bench.give(received({**fields, "device": "b"}, topic="pomona/v1/b/up/tree"))
    assert len(bench.dead()) == 1  # another device's message of the same id settles nothing
    bench.give(fields)
    assert bench.dead() == []


def test_dead_letters_of_one_device_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-048."""
    monkeypatch.setattr(storing, "MOST_DEAD_LETTERS", 5)
    results = bench.give(*[envelope(version=2) for _ in range(9)])
    assert results == [("jetson-1", "rejected")] * 9
    assert len(bench.dead()) == 5
    bench.give(envelope(device="b", version=2), received(b"{", topic="nonsense"))
    assert len(bench.dead()) == 7


def test_a_locked_database_asks_for_a_retry_and_loses_nothing(sqlite_bench: Bench, tmp_path: Path) -> None:
    """SYNC-046."""
    other = sqlite3.connect(tmp_path / "pomona.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sent = [envelope(), envelope(version=2)]
    begun = time.monotonic()
    assert sqlite_bench.give(*sent, *[received(b"{")] * 30) == [("jetson-1", "retry")] * 2
    assert time.monotonic() - begun < 1.5, "the lock was waited for once a message, not once a batch"
    other.execute("ROLLBACK")
    other.close()
    assert sqlite_bench.records() == []
    assert sqlite_bench.dead() == []
    assert sqlite_bench.give(*sent) == [("jetson-1", "stored"), ("jetson-1", "rejected")]


def test_a_full_database_asks_for_a_retry_and_loses_nothing(sqlite_bench: Bench) -> None:
    """SYNC-046."""

    def limit(pages: int) -> Callable[..., None]:
        return lambda connection, *_: connection.execute(f"PRAGMA max_page_count = {pages}") and None

    full = limit(1)
    event.listen(sqlite_bench.database.engine, "checkout", full)
    sent = [envelope(body={**EXAMPLES["tree"], "note": "x" * 9000}) for _ in range(30)]
    assert sqlite_bench.give(*sent) == [("jetson-1", "retry")] * 30
    assert sqlite_bench.give(envelope(version=2, type="x" * 60, body={"note": "x" * 90_000})) == [("jetson-1", "retry")]
    event.remove(sqlite_bench.database.engine, "checkout", full)
    event.listen(sqlite_bench.database.engine, "checkout", limit(100_000))
    assert sqlite_bench.give(*sent) == [("jetson-1", "stored")] * 30
    assert len(sqlite_bench.records()) == 30


def test_what_the_database_cannot_hold_is_buried_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-047: whatever it may be that one day a database does not take."""
    columns = storing._columns

    def strict(item: Any) -> dict[str, Any]:
        if item.body.get("note") == "poison":
            raise ValueError("too much for a database")
        return columns(item)

    monkeypatch.setattr(storing, "_columns", strict)
    poison = envelope(body={**EXAMPLES["tree"], "note": "poison"})
    results = bench.give(envelope(), poison, envelope())
    assert sorted(result for _, result in results) == ["rejected", "stored", "stored"]
    (letter,) = bench.dead()
    assert (letter.message, letter.reason) == (poison["message"], "the server cannot store it: ValueError")


def test_when_not_even_a_dead_letter_can_be_kept_the_fault_is_not_the_message_s(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-046: nothing is refused because the database is broken."""

    def broken(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(worker, "store", broken)
    assert bench.give(envelope(), envelope()) == [("jetson-1", "retry")] * 2
    assert bench.confirmed == 2


def test_a_mistake_in_the_screening_is_one_dead_letter(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-047."""

    def mistaken(item: Received) -> object:
        if item.payload == b"boom":
            raise KeyError("mistake")
        return screen(item)

    monkeypatch.setattr(worker, "screen", mistaken)
    assert bench.give(received(b"boom"), envelope()) == [("jetson-1", "stored")]
    assert [letter.payload for letter in bench.dead()] == [b"boom"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(
        st.tuples(st.binary(max_size=50), st.text(max_size=20), st.binary(max_size=50))
        | st.tuples(st.binary(max_size=50), st.just("pomona/v1/jetson-1/up/tree"), st.just(f"{new_id()}:1".encode()))
        | st.tuples(st.binary(max_size=50), st.just("pomona/v1/jetson-1/state"), st.just(b"")),
        max_size=5,
    )
)
def test_no_input_stops_the_worker(bench: Bench, messages: list[tuple[bytes, str, bytes]]) -> None:
    """SYNC-047."""
    bench.confirmed = 0
    bench.give(*[received(payload, topic=topic, correlation=correlation) for payload, topic, correlation in messages])
    assert bench.confirmed == len(messages)
    assert bench.give(envelope()) == [("jetson-1", "stored")]


def test_a_device_is_known_by_its_state_and_its_records(bench: Bench) -> None:
    """SYNC-060."""
    topic = "pomona/v1/jetson-1/state"
    online = received(f'{{"online": true, "store": "{STORE}"}}'.encode(), topic=topic)
    bench.give(online, envelope(sequence=5), envelope(sequence=3))
    device = bench.device()
    assert (device.online, device.store) == (True, STORE)
    bench.give(received(f'{{"online": false, "store": "{STORE}"}}'.encode(), topic=topic))
    assert not bench.device().online


def test_what_the_broker_repeats_is_no_sign_of_life(bench: Bench) -> None:
    """SYNC-060."""
    payload = f'{{"online": false, "store": "{STORE}"}}'.encode()
    first, later = datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2024, 1, 2, tzinfo=timezone.utc)
    bench.give(Received("pomona/v1/jetson-1/state", payload, b"", first))
    bench.give(Received("pomona/v1/jetson-1/state", payload, b"", later, retained=True))
    assert bench.device().last_seen == first
    bench.give(Received("pomona/v1/jetson-1/state", payload, b"", later))
    assert bench.device().last_seen == later
