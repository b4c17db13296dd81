"""Gaps in the numbers of a store: seen, waited for, and asked for where they stay."""

from __future__ import annotations

import json
import queue
from typing import Any

import pytest

from cloud_sync.outbox import new_id
from cloud_sync.server import gaps
from cloud_sync.server.database import Database
from cloud_sync.server.gaps import Gap, Gaps
from cloud_sync.server.reconcile import Reconciler
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import envelope, received

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
