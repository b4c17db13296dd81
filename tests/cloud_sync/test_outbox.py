"""The outbox: commits with the record, keeps the order, forgets only what is stored."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cloud_sync.messages import HealthBody, decode_body, decode_envelope
from cloud_sync.outbox import new_id
from device.store.database import Store
from tests.cloud_sync.helpers import EXAMPLES, enqueue, example, messages_of, tree


@pytest.mark.parametrize("kind", EXAMPLES)
def test_what_waits_is_a_valid_message(store: Store, kind: str) -> None:
    """SYNC-010."""
    enqueue(store, [example(kind)])
    (waiting,) = store.outbox.waiting("jetson-1", 0, 10)
    envelope = decode_envelope(waiting.payload)
    assert decode_body(envelope) == example(kind)
    assert (envelope.message, envelope.sequence) == (waiting.message, waiting.sequence)
    assert (envelope.device, envelope.store, envelope.type) == ("jetson-1", store.outbox.store, kind)


def test_message_and_record_commit_together(store: Store) -> None:
    """SYNC-013."""

    def fail() -> None:
        with store.change():
            store.outbox.enqueue(new_id(), 1, tree("A-01"))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert store.outbox.state().waiting == 0
    with pytest.raises(RuntimeError, match="transaction that stores its record"):
        store.outbox.enqueue(new_id(), 1, tree("A-01"))


def test_one_revision_of_a_record_is_queued_once(store: Store) -> None:
    """SYNC-013."""
    record = new_id()
    with store.change():
        store.outbox.enqueue(record, 1, tree("A-01"))
    with pytest.raises(Exception, match="UNIQUE"), store.change():
        store.outbox.enqueue(record, 1, tree("A-01"))


def test_order_is_that_of_the_commits_and_numbers_are_never_used_again(store: Store) -> None:
    """SYNC-013."""
    enqueue(store, [tree("1"), tree("2"), tree("3")])
    before = store.outbox.waiting("d", 0, 10)
    assert [waiting.sequence for waiting in before] == [1, 2, 3]
    assert [waiting.sequence for waiting in store.outbox.waiting("d", 1, 1)] == [2]
    assert store.outbox.stored(messages_of(store.outbox)) == 3
    enqueue(store, [tree("4")])
    assert [waiting.sequence for waiting in store.outbox.waiting("d", 0, 10)] == [4]


def test_a_refused_message_is_kept_and_can_be_put_back(store: Store) -> None:
    """SYNC-027."""
    enqueue(store, [tree("1"), tree("2")])
    first, second = messages_of(store.outbox)
    store.outbox.rejected(first, "too new")
    assert messages_of(store.outbox) == [second]
    state = store.outbox.state()
    assert (state.waiting, state.rejected) == (1, 1)
    assert store.outbox.replay_rejected() == 1
    assert messages_of(store.outbox) == [first, second]


def test_a_stored_revision_takes_the_older_ones_of_its_record_with_it(store: Store) -> None:
    """SYNC-021: refused ones too, since nobody needs them any more."""
    record = new_id()
    with store.change():
        for revision in (1, 2, 3, 4):
            store.outbox.enqueue(record, revision, tree(str(revision)))
        store.outbox.enqueue(new_id(), 1, tree("other"))
    first, second, third, fourth, other = messages_of(store.outbox)
    store.outbox.rejected(first, "too new")
    assert store.outbox.stored([third]) == 3
    assert store.outbox.state().rejected == 0
    assert messages_of(store.outbox) == [fourth, other]
    assert store.outbox.stored([second]) == 0


def health(uptime_s: int) -> HealthBody:
    return HealthBody(device="jetson-1", uptime_s=uptime_s, waiting=0, rejected=0)


def test_of_what_waits_of_a_device_s_health_the_last_is_kept(store: Store) -> None:
    """SYNC-039: of earlier boots and what the server refused too, and nothing but health."""
    enqueue(store, [tree("A-01")])
    for record, revision in ((new_id(), 900), (this_boot := new_id(), 1), (this_boot, 60)):
        with store.change():
            store.outbox.report(record, revision, health(revision))
        store.outbox.rejected(messages_of(store.outbox)[-1], "type 'health' is unknown here")
    store.outbox.replay_rejected()
    kept, last = (decode_envelope(item.payload) for item in store.outbox.waiting("jetson-1", 0, 10))
    assert (kept.type, last.type, last.record, last.revision) == ("tree", "health", this_boot, 60)
    assert last.sequence == 4


def test_an_answer_for_health_that_was_replaced_on_its_way_changes_nothing(store: Store) -> None:
    """SYNC-039, SYNC-021: the later revision waits until the server has answered for it."""
    record = new_id()
    with store.change():
        store.outbox.report(record, 1, health(1))
    (first,) = messages_of(store.outbox)
    with store.change():
        store.outbox.report(record, 2, health(2))
    (second,) = messages_of(store.outbox)
    assert store.outbox.stored([first]) == 0
    assert not store.outbox.outdated(first, 2)
    assert messages_of(store.outbox) == [second]
    assert store.outbox.stored([second]) == 1


def test_health_of_a_process_that_was_started_again_within_the_second_comes_above_the_former_s(store: Store) -> None:
    """SYNC-039, SYNC-035: else the server would hold it for the work of a store that was restored."""
    record, revisions = new_id(), []
    for _ in range(3):
        with store.change():
            store.outbox.report(record, 900, health(900))
        (waiting,) = store.outbox.waiting("jetson-1", 0, 10)
        revisions.append(decode_envelope(waiting.payload).revision)
        if len(revisions) == 2:
            assert store.outbox.stored([waiting.message]) == 1
    assert revisions == [900, 901, 902]


def test_replacing_health_looks_at_nothing_else_in_the_queue(store: Store) -> None:
    """SYNC-039: a month offline must not be read every quarter of an hour."""
    plan = store.db.execute("EXPLAIN QUERY PLAN DELETE FROM outbox WHERE type = 'health'").fetchall()
    assert "INDEX outbox_health" in plan[0][-1]


def test_an_outdated_message_is_forgotten_where_a_newer_revision_waits(store: Store) -> None:
    """SYNC-035."""
    record = new_id()
    with store.change():
        store.outbox.enqueue(record, 1, tree("1"))
        store.outbox.enqueue(record, 2, tree("2"))
    first, second = messages_of(store.outbox)
    assert not store.outbox.outdated(first, 2)
    assert messages_of(store.outbox) == [second]
    assert not store.outbox.outdated(first, 2)


def test_an_outdated_message_without_a_newer_revision_is_queued_anew_above_the_one_held(store: Store) -> None:
    """SYNC-035: this store does not know what it has sent, so it was restored."""
    record = new_id()
    with store.change():
        store.outbox.enqueue(record, 2, tree("2"))
        store.outbox.enqueue(new_id(), 1, tree("other"))
    (before, other) = store.outbox.waiting("d", 0, 10)
    assert store.outbox.outdated(before.message, 5)
    with store.change():
        store.outbox.enqueue(record, 3, tree("3"))
    waiting = store.outbox.waiting("d", 0, 10)
    assert waiting[0] == other
    again, later = (decode_envelope(item.payload) for item in waiting[1:])
    assert (again.record, again.revision, again.body["tree"]) == (record, 6, "2")
    assert again.message != before.message
    assert again.sequence > other.sequence
    assert again.recorded_at == decode_envelope(before.payload).recorded_at
    assert (later.revision, later.body["tree"]) == (7, "3")
    assert not store.outbox.outdated(before.message, 5), "the answer may come twice"


def test_what_was_stored_before_does_not_undo_what_has_overtaken_it(store: Store) -> None:
    """SYNC-112: not even where the server has forgotten that it had stored it."""
    enqueue(store, [tree("1")])
    (message,) = messages_of(store.outbox)
    store.outbox.stored([message])
    store.outbox.sent.queue_again([1])
    assert not store.outbox.outdated(message, 7)
    assert messages_of(store.outbox) == []
    assert store.outbox.sent.queue_again([1]) == 0, "until the next greeting"
    store.outbox.sent.overtaken.clear()
    assert store.outbox.sent.queue_again([1]) == 1


def test_what_is_done_survives_the_process(store: Store, tmp_path: Path) -> None:
    """SYNC-013: each operation commits by itself, so that another connection sees it."""
    enqueue(store, [tree("1"), tree("2"), tree("3")])
    first, second, third = messages_of(store.outbox)
    store.outbox.stored([first])
    store.outbox.rejected(second, "no")
    with sqlite3.connect(store.path) as other:
        rows = other.execute("SELECT message, rejected FROM outbox ORDER BY sequence").fetchall()
    other.close()
    assert rows == [(second, "no"), (third, None)]


def test_forgetting_twice_is_harmless(store: Store) -> None:
    enqueue(store, [tree("1")])
    message = messages_of(store.outbox)[0]
    assert store.outbox.stored([message, message, new_id()]) == 1
    assert store.outbox.stored([message]) == 0
