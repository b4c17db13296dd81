"""What is sent next: lanes of a real outbox, gathered by age and size."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloud_sync import clock
from cloud_sync.gathering import Gatherer, Gathering
from cloud_sync.lanes import Lane
from cloud_sync.window import SendWindow
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, example, tree

pytestmark = pytest.mark.usefixtures("up_for_an_hour")


@pytest.fixture(autouse=True)
def _right_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)


@pytest.fixture
def gatherer(store: Store) -> Gatherer:
    return Gatherer(store.outbox, SendWindow(100, 30.0, 600.0))


def grow_old(store: Store, sequences: range, days: float = 30) -> None:
    """Make records as if they had been made long ago, before the machine was last started."""
    then = (clock.now() - timedelta(days=days)).isoformat()
    for sequence in sequences:
        store.db.execute(
            "UPDATE outbox SET recorded_at = ?, clock_synchronised = 1, boot = 'earlier' WHERE sequence = ?",
            [then, sequence],
        )


def seen(gatherer: Gatherer, now: float = 0.0) -> dict[Lane, list[int]]:
    gatherer.look(now)
    if gatherer.next_lane() is None:
        return {}
    return {lane: list(gatherer.queue(lane)) for lane in gatherer.settings.lanes}


def test_each_message_is_in_one_lane(store: Store, gatherer: Gatherer) -> None:
    """SYNC-103."""
    enqueue(store, [tree("1"), example("thumbnail"), tree("3"), example("count"), example("thumbnail")])
    grow_old(store, range(1, 3))
    assert seen(gatherer) == {Lane.FRESH: [3, 4], Lane.BACKLOG: [1], Lane.BULK: [2, 5]}


def test_a_lane_has_its_share_of_the_window_and_leaves_the_rest(store: Store) -> None:
    """SYNC-103: a backlog nobody answers for takes no room from what is made today."""
    window = SendWindow(20, 30.0, 600.0)
    for sequence in range(1, 16):
        window.sent(f"m{sequence}", sequence, 0.0, Lane.BACKLOG)
    assert window.room(Lane.BACKLOG) == 0
    assert window.room(Lane.FRESH) == 5


def test_a_long_backlog_is_gone_through_once_a_minute_and_not_each_time(store: Store, gatherer: Gatherer) -> None:
    """SYNC-103: what a look costs does not grow with the backlog."""
    enqueue(store, [tree(str(number)) for number in range(300)])
    grow_old(store, range(1, 299))
    statements: list[str] = []
    assert seen(gatherer)[Lane.FRESH] == [299, 300]
    store.db.conn.set_trace_callback(statements.append)
    assert seen(gatherer, 1.0)[Lane.FRESH] == [299, 300]
    store.db.conn.set_trace_callback(None)
    assert any("sequence >= 299" in statement for statement in statements)
    enqueue(store, [tree("new")])
    assert seen(gatherer, 2.0)[Lane.FRESH] == [299, 300, 301]


def test_when_the_clock_becomes_right_what_is_recent_is_found_within_a_minute(
    store: Store, gatherer: Gatherer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-103, SYNC-104."""
    enqueue(store, [tree("this morning"), tree("now")])
    store.db.execute("UPDATE outbox SET boot = 'before noon', clock_synchronised = 1 WHERE sequence = 1")
    monkeypatch.setattr(clock, "is_synchronised", lambda: False)
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    assert seen(gatherer, 0.0) == {Lane.FRESH: [2], Lane.BACKLOG: [1], Lane.BULK: []}
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    monkeypatch.setattr("time.monotonic", lambda: 61.0)
    assert seen(gatherer, 61.0)[Lane.FRESH] == [1, 2]


def test_reading_a_lane_reads_no_body(store: Store) -> None:
    """The bodies of a backlog are many megabytes; its index is not."""
    for lane in Lane:
        statements: list[str] = []
        store.db.conn.set_trace_callback(statements.append)
        store.outbox.lane(lane, 0, 10)
        store.db.conn.set_trace_callback(None)
        plan = [row[3] for row in store.db.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
        assert plan == ["SEARCH outbox USING COVERING INDEX outbox_waiting (sequence>?)"], plan


def test_a_metered_link_waits_for_more_and_leaves_bulk(store: Store, gatherer: Gatherer) -> None:
    """SYNC-105: by age."""
    gatherer.settings = Gathering(most_wait_s=300.0, enough=10, with_bulk=False)
    enqueue(store, [tree("1"), example("thumbnail")])
    assert seen(gatherer, 0.0) == {}
    enqueue(store, [tree("2")])
    assert seen(gatherer, 299.0) == {}
    assert seen(gatherer, 300.0) == {Lane.FRESH: [1, 3], Lane.BACKLOG: []}


def test_a_metered_link_does_not_wait_when_there_is_enough(store: Store, gatherer: Gatherer) -> None:
    """SYNC-105: by size; and what is left over of it does not begin to wait."""
    gatherer.settings = Gathering(most_wait_s=300.0, enough=10, with_bulk=False)
    enqueue(store, [tree(str(number)) for number in range(10)])
    assert seen(gatherer, 0.0)[Lane.FRESH] == list(range(1, 11))
    store.db.execute("DELETE FROM outbox WHERE sequence < 10")
    assert seen(gatherer, 1.0)[Lane.FRESH] == [10]
    store.db.execute("DELETE FROM outbox")
    assert seen(gatherer, 2.0) == {}
    enqueue(store, [tree("next")])
    assert seen(gatherer, 3.0) == {}
    assert seen(gatherer, 303.0)[Lane.FRESH] == [11]
