"""What is refused, what is old, and records for others: replay, prune and export on both databases."""

from __future__ import annotations

import json
import queue
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, update

from cloud_sync.batch import encode_batch
from cloud_sync.messages import BODIES
from cloud_sync.outbox import new_id
from cloud_sync.server import dead_letters, screening
from cloud_sync.server.database import Database, DeadLetter, Device, Record, ReplacedRevision
from cloud_sync.server.dead_letters import Choice, replay, throw_away
from cloud_sync.server.exporting import export, schema_of
from cloud_sync.server.pruning import Pruned, prune
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)


class Server:
    """A database, and messages given to it as if they came at a moment."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def give(self, *messages: dict[str, Any] | Received, at: datetime = NOON) -> None:
        worker = Worker(self.database, queue.Queue(), lambda _device, _answers: None)
        for message in messages:
            sent = message if isinstance(message, Received) else received(message)
            when = Received(sent.topic, sent.payload, sent.correlation, at)
            worker.process([Delivery(when, lambda: None)])

    def letters(self) -> list[DeadLetter]:
        with self.database.read() as session:
            return list(session.scalars(select(DeadLetter).order_by(DeadLetter.id)))

    def count(self, table: Any) -> int:
        with self.database.read() as session:
            return session.scalars(select(func.count()).select_from(table)).one()

    def records(self) -> list[Record]:
        with self.database.read() as session:
            return list(session.scalars(select(Record).order_by(Record.record)))


@pytest.fixture
def server(each_database: Database) -> Server:
    return Server(each_database)


def of_the_future(**changes: Any) -> dict[str, Any]:
    """A message that this server knows only once :func:`learn` has taught it."""
    return envelope("tree", version=2, body={**EXAMPLES["tree"], "rootstock": "M9"}, **changes)


@pytest.fixture
def learn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands for a newer Pomona."""
    return lambda: monkeypatch.setattr(BODIES["tree"], "VERSION", 2)


def test_what_a_newer_server_understands_is_stored_and_answered(server: Server, learn: Any) -> None:
    """SYNC-053."""
    sent = [of_the_future(device=device, sequence=9) for device in ("a", "b")]
    server.give(*sent, envelope(device="a", version=77))
    assert [replayed.reason is None for replayed in replay(server.database, Choice())] == [False] * 3
    learn()
    results = list(replay(server.database, Choice()))
    said = [(device, answer.message, answer.result) for one in results for device, answer in one.replies]
    assert said == [(fields["device"], fields["message"], "stored") for fields in sent]
    assert [one.reason for one in results][2] == "tree version 77 is newer than 2, which is known here"
    assert {record.message for record in server.records()} == {fields["message"] for fields in sent}
    assert {record.received_at for record in server.records()} == {NOON}
    (left,) = server.letters()
    assert left.reason == "tree version 77 is newer than 2, which is known here"
    assert left.received_at == NOON


@pytest.mark.parametrize("chosen", ["id", "device"])
def test_only_what_was_chosen_is_replayed(server: Server, learn: Any, chosen: str) -> None:
    """SYNC-053."""
    server.give(of_the_future(device="a"), of_the_future(device="b"))
    learn()
    letter = server.letters()[1]
    assert len(list(replay(server.database, Choice((letter.id,)) if chosen == "id" else Choice(device="b")))) == 1
    assert [record.device for record in server.records()] == ["b"]
    assert [left.device for left in server.letters()] == ["a"]


def test_a_later_revision_that_came_meanwhile_stays(server: Server, learn: Any) -> None:
    """SYNC-050, SYNC-053."""
    early = of_the_future()
    later = envelope(record=early["record"], revision=2)
    server.give(early, later)
    learn()
    (replayed,) = replay(server.database, Choice())
    ((_, answer),) = replayed.replies
    assert (answer.result, answer.revision) == ("outdated", 2)
    assert server.letters() == []
    assert [record.message for record in server.records()] == [later["message"]]


def test_the_lines_of_a_refused_batch_are_stored_singly(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-053: what nobody could unfold then."""
    lines = [envelope(device="jetson-1"), envelope(device="jetson-1", version=9)]
    payload = encode_batch([json.dumps(line).encode() for line in lines])
    with monkeypatch.context() as older:
        older.setattr("cloud_sync.batch.MOST_BYTES", 10)
        topic = "pomona/v1/jetson-1/up/batch"
        server.give(Received(topic, payload, f"{new_id()}:1".encode(), NOON))
    assert [letter.payload for letter in server.letters()] == [payload]
    (replayed,) = replay(server.database, Choice())
    assert sorted(answer.result for _, answer in replayed.replies) == ["rejected", "stored"]
    assert [record.message for record in server.records()] == [lines[0]["message"]]
    assert [letter.message for letter in server.letters()] == [lines[1]["message"]]


def test_a_replay_is_no_sign_of_life(server: Server, learn: Any) -> None:
    """SYNC-053, SYNC-060."""
    store = new_id()
    server.give(of_the_future(store=new_id()))
    server.give(envelope(store=store), at=NOON + timedelta(days=1))
    learn()
    list(replay(server.database, Choice()))
    with server.database.read() as session:
        device = session.get(Device, "jetson-1")
        assert device is not None
        assert (device.last_seen, device.store) == (NOON + timedelta(days=1), store)


def test_one_that_breaks_the_server_holds_up_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-047, SYNC-053."""
    good = of_the_future()
    server.give(of_the_future(device="bad"), good)
    monkeypatch.setattr(BODIES["tree"], "VERSION", 2)

    def mistaken(item: Received) -> Any:
        if "/bad/" in item.topic:
            raise KeyError("mistake")
        return screening.screen(item)

    monkeypatch.setattr(dead_letters, "screen", mistaken)
    first, second = replay(server.database, Choice())
    assert (first.reason, second.reason) == ("the server cannot store it: KeyError", None)
    assert [record.message for record in server.records()] == [good["message"]]
    assert [letter.reason for letter in server.letters()] == [first.reason]


def test_dead_letters_are_thrown_away_as_chosen(server: Server) -> None:
    server.give(*[envelope(device=device, version=9) for device in ("a", "a", "b", "c")])
    assert throw_away(server.database, Choice(device="a")) == 2
    assert throw_away(server.database, Choice((server.letters()[0].id, 99_999))) == 1
    assert [letter.device for letter in server.letters()] == ["c"]
    assert throw_away(server.database, Choice()) == 1


def revised(server: Server, kind: str, at: datetime) -> dict[str, Any]:
    """A record that came twice, a day apart."""
    first = envelope(kind)
    server.give(first, at=at)
    second = {**first, "message": new_id(), "revision": 2}
    server.give(second, at=at + timedelta(days=1))
    return second


def test_only_what_is_old_is_pruned_and_no_current_record(server: Server) -> None:
    for at in (NOON - timedelta(days=500), NOON):
        revised(server, "tree", at)
        server.give(envelope(version=9), at=at)
    before = NOON - timedelta(days=400)
    assert prune(server.database, before, pretend=True) == Pruned(1, 1, 0)
    assert (server.count(ReplacedRevision), server.count(DeadLetter)) == (2, 2)
    assert prune(server.database, before) == Pruned(1, 1, 0)
    assert (server.count(ReplacedRevision), server.count(DeadLetter), server.count(Record)) == (1, 1, 2)
    assert prune(server.database, before) == Pruned(0, 0, 0)


def test_current_records_go_only_where_their_type_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_sync.server.pruning._PORTION", 2)  # in several transactions
    old = NOON - timedelta(days=500)
    gone = [revised(server, "visit", old) for _ in range(5)]
    revised(server, "tree", old)
    revised(server, "visit", NOON)
    # the last of them was replaced just now, and its record is old all the same
    with server.database.write() as session:
        session.execute(update(ReplacedRevision).values(replaced_at=NOON))
    assert prune(server.database, NOON - timedelta(days=400), ["visit"]) == Pruned(5, 0, 5)
    assert sorted(record.type for record in server.records()) == ["tree", "visit"]
    # a device that still has it may send it again
    server.give(*gone)
    server.give(*[{**fields, "message": new_id(), "revision": 3} for fields in gone])
    assert server.letters() == []
    assert [record.revision for record in server.records()].count(3) == 5


def test_every_type_has_typed_columns_and_comes_back_as_it_was(server: Server, tmp_path: Path) -> None:
    sent = {kind: envelope(kind, sequence=5, revision=3) for kind in EXAMPLES}
    server.give(*sent.values())
    files = {written.type: written for written in export(server.database, tmp_path / "out")}
    assert files.keys() == EXAMPLES.keys()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{kind}.parquet" for kind in EXAMPLES}
    for kind, fields in sent.items():
        table = pq.read_table(files[kind].file)
        assert table.schema.equals(schema_of(BODIES[kind]))
        (row,) = table.to_pylist()
        assert (row["device"], row["record"], row["revision"]) == ("jetson-1", fields["record"], 3)
        assert row["recorded_at"] == datetime(2024, 9, 1, 2, tzinfo=timezone.utc)
        assert row["received_at"] == NOON
        read = {name: row[f"body_{name}" if f"body_{name}" in row else name] for name in BODIES[kind].model_fields}
        read = {name: dict(value) if name in {"counts", "versions"} else value for name, value in read.items()}
        body = BODIES[kind].model_validate({name: value for name, value in read.items() if value is not None})
        assert body == BODIES[kind].model_validate(EXAMPLES[kind])


def test_columns_have_the_types_of_what_they_hold(server: Server, tmp_path: Path) -> None:
    server.give(envelope("count"), envelope("photo"))
    files = {written.type: written.file for written in export(server.database, tmp_path)}
    (count,) = pq.read_table(files["count"]).to_pylist()
    assert (count["day"], count["machine"], count["photos"]) == (date(2024, 9, 1), 120, ["ab" * 32])
    (photo,) = pq.read_table(files["photo"]).to_pylist()
    assert (photo["latitude"], photo["taken_at"]) == (35.1, datetime(2024, 9, 1, 10, 11, 12))  # noqa: DTZ001


def test_what_a_newer_device_said_is_kept_as_json(server: Server, tmp_path: Path) -> None:
    """SYNC-012."""
    server.give(envelope("tree", body={**EXAMPLES["tree"], "rootstock": {"name": "M9", "since": None}}))
    (written,) = export(server.database, tmp_path)
    (row,) = pq.read_table(written.file).to_pylist()
    assert json.loads(row["other"]) == {"rootstock": {"name": "M9", "since": None}}


def test_only_what_came_since_then_and_what_this_pomona_can_read(server: Server, tmp_path: Path) -> None:
    server.give(envelope("tree"), at=NOON - timedelta(days=1))
    server.give(envelope("tree"), envelope("tree"))
    with server.database.write() as session:
        newest = session.scalars(select(Record).where(Record.received_at == NOON).limit(1)).one()
        newest.version = 99  # stored by a newer Pomona, before this one was put back
    (every,) = export(server.database, tmp_path)
    assert (every.records, every.skipped) == (2, 1)
    (some,) = export(server.database, tmp_path, NOON)
    assert (some.records, some.skipped, pq.read_table(some.file).num_rows) == (1, 1, 1)
