"""What was stored is kept on the device: one row a record, as it was sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cloud_sync import clock
from cloud_sync.digests import digest_of, folded
from cloud_sync.messages import decode_envelope
from cloud_sync.outbox import new_id
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, example, messages_of, tree


def sent_rows(store: Store) -> list[dict[str, Any]]:
    return list(store.db.query("SELECT * FROM sent ORDER BY sequence"))


def test_what_is_put_back_is_the_message_that_was_sent(store: Store) -> None:
    """SYNC-107: the same id, number, revision, times and body."""
    enqueue(store, [example("count"), tree("2")])
    before = store.outbox.waiting("jetson-1", 0, 10)
    store.outbox.stored(messages_of(store.outbox))
    assert store.outbox.state().waiting == 0
    assert store.outbox.sent.queue_again([1, 2]) == 2
    assert store.outbox.waiting("jetson-1", 0, 10) == before
    assert sent_rows(store) == []


def test_what_was_sent_when_it_was_new_is_not_called_historical_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-104: and what was sent as history stays it."""
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    enqueue(store, [tree("1"), tree("2")])
    long_ago = (clock.now() - timedelta(days=30)).isoformat()
    store.db.execute("UPDATE outbox SET recorded_at = ?, boot = 'earlier' WHERE sequence = 1", [long_ago])
    store.outbox.stored(messages_of(store.outbox))
    store.db.execute("UPDATE sent SET recorded_at = ?, boot = 'earlier'", [long_ago])
    store.outbox.sent.queue_again([1, 2])
    envelopes = [decode_envelope(item.payload) for item in store.outbox.waiting("jetson-1", 0, 10)]
    assert [envelope.historical for envelope in envelopes] == [True, False]


def test_one_revision_of_a_record_is_kept(store: Store) -> None:
    """SYNC-107."""
    record = new_id()
    for revision in (1, 2, 3):
        with store.change():
            store.outbox.enqueue(record, revision, tree(str(revision)))
        if revision != 2:
            store.outbox.stored(messages_of(store.outbox))
    (row,) = sent_rows(store)
    assert (row["record"], row["revision"], row["sequence"]) == (record, 3, 3)
    assert row["digest"] == digest_of(row["message"])


def test_what_a_later_revision_will_replace_is_not_put_back(store: Store) -> None:
    """SYNC-111: unless that was refused, so that the server has nothing else."""
    record = new_id()
    with store.change():
        store.outbox.enqueue(record, 1, tree("1"))
    store.outbox.stored(messages_of(store.outbox))
    with store.change():
        store.outbox.enqueue(record, 2, tree("2"))
    (second,) = messages_of(store.outbox)
    assert store.outbox.sent.queue_again([1]) == 0
    store.outbox.rejected(second, "too new")
    assert store.outbox.sent.queue_again([1]) == 1


def test_digests_of_parts(store: Store) -> None:
    """SYNC-108."""
    enqueue(store, [tree(str(number)) for number in range(40)])
    messages = messages_of(store.outbox)
    store.outbox.stored(messages)
    digests = store.outbox.sent.digests(0, 256, 16)
    sums = [folded(sum(map(digest_of, part))) for part in (messages[:15], messages[15:31], messages[31:])]
    assert digests == {0: (15, sums[0]), 1: (16, sums[1]), 2: (9, sums[2])}
    assert store.outbox.sent.highest() == 40
    assert store.outbox.sent.lacking(
        16, 32, {digest_of(message) for message in messages if message != messages[19]}
    ) == [20]


def test_a_digest_is_as_published() -> None:
    """SYNC-108."""
    # printf 0190a000-0000-7000-8000-000000000001 | sha256sum | cut -c 1-10
    assert digest_of("0190a000-0000-7000-8000-000000000001") == 0x77B1C43E08
    assert folded(2**40 + 5) == 5


def test_comparing_reads_no_bodies(store: Store) -> None:
    """SYNC-113: sixty thousand of them are many megabytes on a slow card."""
    statements: list[str] = []
    store.db.conn.set_trace_callback(statements.append)
    store.outbox.sent.digests(0, 65_536, 4096)
    store.db.conn.set_trace_callback(None)
    plan = [row[3] for row in store.db.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    assert plan[0] == "SEARCH sent USING COVERING INDEX sent_digests (sequence>? AND sequence<?)", plan


def test_bulk_is_not_kept_twice_but_made_again(store: Store) -> None:
    """SYNC-107."""
    body = example("thumbnail")
    enqueue(store, [body])
    record = next(iter(store.db.query("SELECT record FROM outbox")))["record"]
    store.outbox.stored(messages_of(store.outbox))
    assert [row["body"] for row in sent_rows(store)] == [""]
    store.outbox.sent.queue_again([1])
    (waiting,) = store.outbox.waiting("jetson-1", 0, 1)
    assert waiting.payload == b""
    store.outbox.remake = lambda kind, wanted: body if (kind, wanted) == ("thumbnail", record) else None
    (waiting,) = store.outbox.waiting("jetson-1", 0, 1)
    assert decode_envelope(waiting.payload).body == body.model_dump(mode="json")
