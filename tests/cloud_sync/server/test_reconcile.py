"""The server's side of a comparison: what it says it holds, and to whom."""

from __future__ import annotations

import json
import queue
from typing import Any

import pytest
from sqlalchemy import event, select

from cloud_sync.digests import DigestQuestion, digest_of, folded
from cloud_sync.greeting import Greeting
from cloud_sync.messages import BODIES
from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database, DeadLetter, Device
from cloud_sync.server.reconcile import Reconciler
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import envelope, received

STORE = "0190a000-0000-7000-8000-000000000001"


class Bench:
    """A worker that compares, with what it said to devices."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.said: list[tuple[str, Any]] = []
        say = Reconciler(database, lambda topic, payload: self.said.append((topic, json.loads(payload))))
        self.worker = Worker(database, queue.Queue(), lambda _device, _answers: None, reconciler=say)

    def give(self, *messages: Received | dict[str, Any]) -> list[tuple[str, Any]]:
        """Process messages; returns topic and content of all that was said but the answers."""
        self.said.clear()
        batch = [message if isinstance(message, Received) else received(message) for message in messages]
        self.worker.process([Delivery(message, lambda: None) for message in batch])
        return list(self.said)

    def dead(self) -> list[str]:
        with self.database.read() as session:
            return list(session.scalars(select(DeadLetter.reason)))


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


def asked(width: int, *blocks: int, device: str = "jetson-1", store: str = STORE) -> Received:
    question = DigestQuestion(store=store, width=width, blocks=list(blocks))
    return received(question.model_dump_json().encode(), topic=f"pomona/v1/{device}/up/digest")


def test_a_question_is_answered_with_what_is_held(bench: Bench) -> None:
    """SYNC-109, SYNC-110."""
    sent = [envelope(sequence=number) for number in (1, 2, 20, 300)]
    bench.give(*sent, envelope(sequence=3, device="other"), envelope(sequence=4, store=new_id()))
    digests = [digest_of(fields["message"]) for fields in sent]
    ((topic, said),) = bench.give(asked(256, 1, 0))
    assert topic == "pomona/v1/jetson-1/down/digest"
    assert (said["store"], said["width"]) == (STORE, 256)
    second, first = said["blocks"]
    assert (second["block"], first.get("block", 0)) == (1, 0)
    assert first["parts"] == [[2, folded(digests[0] + digests[1])], [1, digests[2]], *[[0, 0]] * 14]
    assert second["parts"] == [[0, 0], [0, 0], [1, digests[3]], *[[0, 0]] * 13]
    ((_, said),) = bench.give(asked(16, 0))
    assert sorted(said["blocks"][0]["messages"]) == sorted(digests[:2])


def test_an_answer_counts_what_came_before_the_question(bench: Bench) -> None:
    """SYNC-109: also in the same batch."""
    fields = envelope(sequence=5)
    ((_, said),) = bench.give(fields, asked(16, 0))
    assert said["blocks"] == [{"block": 0, "messages": [digest_of(fields["message"])]}]


def test_of_many_questions_of_a_device_the_last_is_answered(bench: Bench) -> None:
    """SYNC-109: whoever floods is answered once for each batch of messages."""
    said = bench.give(*[asked(16, 0)] * 50, asked(256, 0), asked(16, 7, device="other"))
    assert [(topic, content["width"]) for topic, content in said] == [
        ("pomona/v1/jetson-1/down/digest", 256),
        ("pomona/v1/other/down/digest", 16),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 15},
        {"width": 17},
        {"width": 16**13},
        {"width": "16"},
        {"blocks": []},
        {"blocks": [0] * 17},
        {"blocks": [-1]},
        {"width": 16**12, "blocks": [2**40]},
        {"store": "no id"},
    ],
)
def test_a_question_nobody_can_answer_is_a_dead_letter(bench: Bench, changes: dict[str, Any]) -> None:
    """SYNC-109."""
    question = {"store": STORE, "width": 16, "blocks": [0], **changes}
    item = received(json.dumps(question).encode(), topic="pomona/v1/jetson-1/up/digest")
    assert bench.give(item, envelope()) == []
    (reason,) = bench.dead()
    assert reason.startswith("digest: ")


def test_a_device_that_comes_is_greeted_and_one_that_goes_is_not(bench: Bench) -> None:
    """SYNC-106."""
    topic = "pomona/v1/jetson-1/state"
    ((where, said),) = bench.give(received(f'{{"online": true, "store": "{STORE}"}}'.encode(), topic=topic))
    assert where == "pomona/v1/jetson-1/down/server"
    greeting = Greeting.model_validate(said)
    assert greeting.accepts == {kind: body.VERSION for kind, body in BODIES.items()}
    assert greeting.version[0].isdigit()
    assert bench.give(received(f'{{"online": false, "store": "{STORE}"}}'.encode(), topic=topic)) == []


def test_a_question_is_a_sign_of_life(bench: Bench) -> None:
    """SYNC-060."""
    bench.give(asked(16, 0))
    with bench.database.read() as session:
        assert session.get(Device, "jetson-1") is not None


def test_a_stored_message_that_was_overtaken_is_answered_with_the_revision_held(database: Database) -> None:
    """SYNC-112: so that a restored device need not offer it again."""
    said: list[Any] = []
    worker = Worker(database, queue.Queue(), lambda _device, answers: said.extend(answers.answers))
    first = envelope(revision=1)
    second = {**envelope(record=first["record"]), "revision": 2}
    for fields in (first, second, first, second):
        worker.process([Delivery(received(fields), lambda: None)])
    assert [(answer.result, answer.revision) for answer in said] == [
        *(("stored", None), ("stored", None), ("stored", 2), ("stored", None))
    ]


def test_a_comparison_searches_an_index_and_reads_nothing_else(bench: Bench) -> None:
    """SYNC-113."""
    statements: list[tuple[str, Any]] = []
    bench.give(envelope(sequence=1))

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    event.listen(bench.database.engine, "before_cursor_execute", note)
    bench.give(asked(256, 0))
    bench.give(asked(16, 0))
    event.remove(bench.database.engine, "before_cursor_execute", note)
    plans = []
    with bench.database.read() as session:
        for statement, given in statements:
            if "digest" in statement:
                rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
                plans.append(next(row[3] for row in rows))
    assert len(plans) == 2
    assert all(plan.startswith("SEARCH record USING COVERING INDEX record_by_sequence") for plan in plans), plans


def test_a_database_that_cannot_be_read_stops_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-047: the device asks again."""

    def broken(*_: object) -> None:
        raise RuntimeError("no such column")

    monkeypatch.setattr("cloud_sync.server.reconcile.answer", broken)
    assert bench.give(asked(16, 0), envelope()) == []
    assert "cannot be compared" in caplog.text
