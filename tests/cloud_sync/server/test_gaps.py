"""Gaps in the numbers of a store: seen, waited for, and asked for where they stay."""

from __future__ import annotations

import json
import queue
from typing import Any

import pytest

from cloud_sync.comparing import Comparison
from cloud_sync.messages import Answers, HealthBody
from cloud_sync.outbox import new_id
from cloud_sync.server import gaps
from cloud_sync.server.database import Database
from cloud_sync.server.gaps import Gap, Gaps
from cloud_sync.server.reconcile import Reconciler
from cloud_sync.server.worker import Delivery, Worker
from device.store.database import Store
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

STORE = "0190a000-0000-7000-8000-000000000001"


def seen(*sequences: int, at: float = 0.0) -> Gaps:
    noted = Gaps()
    for sequence in sequences:
        noted.note("jetson-1", STORE, sequence, at)
    return noted


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        ([1, 2, 3], []),
        ([7, 8, 9], []),  # what was before this process is found by the device's comparison
        ([1, 2, 6], [(3, 5)]),
        ([1, 5, 3, 9], [(2, 8)]),
        ([9, 1, 2], []),
    ],
)
def test_numbers_that_were_skipped_are_seen(sequences: list[int], expected: list[tuple[int, int]]) -> None:
    """SYNC-114."""
    assert [(gap.low, gap.high) for gap in seen(*sequences).due(60.0)] == expected


def test_a_gap_is_given_time_and_looked_at_once() -> None:
    """SYNC-114: lanes overtake one another, and other processes take part."""
    noted = seen(1, 5)
    assert noted.due(59.0) == []
    assert noted.due(60.0) == [Gap("jetson-1", STORE, 2, 4)]
    assert noted.due(120.0) == []


def test_stores_without_end_take_memory_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-114: a device may make up store after store."""
    monkeypatch.setattr(gaps, "_MOST_STORES", 10)
    noted = Gaps()
    for _ in range(100):
        store = new_id()
        noted.note("jetson-1", store, 1, 0.0)
        noted.note("jetson-1", store, 5, 0.0)
    assert len(noted.due(60.0)) == 10
    assert len(noted._highest) == 10


def give(database: Database, *sequences: int) -> None:
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    worker.process([Delivery(received(envelope(sequence=number)), lambda: None) for number in sequences])


def test_what_has_come_since_is_not_missing(database: Database) -> None:
    """SYNC-114."""
    give(database, 1, 2, 4, 5, 9)
    with database.read() as session:
        missing = Gap("jetson-1", STORE, 2, 8).missing(session)
        assert missing is not None
        assert missing.ranges == [(3, 3), (6, 8)]
        assert Gap("jetson-1", STORE, 4, 5).missing(session) is None
        assert Gap("other", STORE, 4, 5).missing(session) is not None


def test_a_list_of_gaps_is_bounded(database: Database) -> None:
    """SYNC-114."""
    give(database, *range(2, 100, 2))
    with database.read() as session:
        missing = Gap("jetson-1", STORE, 1, 99).missing(session)
    assert missing is not None
    assert missing.ranges == [(number, number) for number in range(1, 32, 2)]


def test_what_was_not_looked_at_is_not_asked_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-114: of a month's backlog thousands are held a minute after the first record of today."""
    monkeypatch.setattr(gaps, "_MOST_HELD", 5)
    give(database, 1, 2, 4, 5, 6, 7, 8, 9)
    with database.read() as session:
        missing = Gap("jetson-1", STORE, 1, 20).missing(session)
        assert missing is not None
        assert missing.ranges == [(3, 3)]
        assert Gap("jetson-1", STORE, 4, 20).missing(session) is None


def test_the_server_asks_the_device(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-114."""
    monkeypatch.setattr(gaps, "_WAIT_S", 0.0)
    said: list[tuple[str, Any]] = []
    reconciler = Reconciler(database, lambda topic, payload: said.append((topic, json.loads(payload))))
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None, reconciler=reconciler)
    worker.process([Delivery(received(envelope(sequence=number)), lambda: None) for number in (1, 2, 7)])
    reconciler.ask_for_gaps()
    assert said == [("pomona/v1/jetson-1/down/missing", {"store": STORE, "ranges": [[3, 6]]})]
    reconciler.ask_for_gaps()
    assert len(said) == 1


def test_numbers_that_no_message_has_any_more_are_asked_for_once(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-039, SYNC-114: a day offline replaces a hundred health records before they are sent."""
    monkeypatch.setattr(gaps, "_WAIT_S", 0.0)
    asked: list[bytes] = []
    reconciler = Reconciler(database, lambda _topic, payload: asked.append(payload))
    stored: list[str] = []

    def answer(_device: str, answers: Answers) -> None:
        stored.extend(one.message for one in answers.answers if one.result == "stored")

    worker = Worker(database, queue.Queue(), answer, reconciler=reconciler)
    comparison = Comparison(store.outbox.store, store.outbox.sent, every_s=3600.0)
    boot = new_id()

    def report(times: int) -> None:
        for _ in range(times):
            with store.change():
                store.outbox.report(boot, 1, HealthBody.model_validate(EXAMPLES["health"]))

    def exchange() -> None:
        waiting = store.outbox.waiting("jetson-1", 0, 100)
        worker.process([Delivery(received(json.loads(one.payload)), lambda: None) for one in waiting])
        assert store.outbox.stored(stored) == len(waiting)
        stored.clear()
        reconciler.ask_for_gaps()

    report(1)
    exchange()
    report(100)
    exchange()
    (question,) = asked
    assert json.loads(question)["ranges"] == [[2, 100]]
    comparison.take_missing(question)
    assert comparison.step(0.0, quiet=True) is None
    assert store.outbox.state().waiting == 0
    for _ in range(20):
        report(1)
        exchange()
    assert len(asked) == 1
