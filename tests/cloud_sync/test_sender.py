"""The sender: between outbox, window and broker, without a network."""

from __future__ import annotations

import json
import sqlite3
import time

import pytest

from cloud_sync.connection import RefusedError
from cloud_sync.messages import MOST_BYTES, OrchardBody
from cloud_sync.outbox import OutboxError, new_id
from cloud_sync.sender import Sender
from cloud_sync.window import SendWindow
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, messages_of, tree
from tests.cloud_sync.wire import Wire, answers, puback

pytestmark = pytest.mark.usefixtures("up_for_an_hour")


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store.outbox, "jetson-1", SendWindow(10, 30.0, 600.0))


def test_messages_go_out_in_order(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-020."""
    enqueue(store, [tree(str(number)) for number in range(50)])
    for _ in range(10):
        sender.send(wire)
        sender.note_puback(len(wire.published), puback())
        sender.note_answers(answers(messages_of(store.outbox)[:10], "stored"))
        sender.settle()
    assert wire.sequences == list(range(1, 51))


def test_a_message_that_goes_alone_has_correlation_data(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-011."""
    enqueue(store, [tree("1")])
    sender.send(wire)
    ((topic, payload, properties),) = wire.published
    assert topic == "pomona/v1/jetson-1/up/tree"
    assert properties.CorrelationData == f"{json.loads(payload)['message']}:1".encode()
    assert properties.ContentType == "application/json"


def test_the_window_counts_answers_and_not_pubacks(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-021, SYNC-023: a broker that confirms everything and passes nothing on gets a window and no more."""
    enqueue(store, [tree(str(number)) for number in range(50)])
    for _ in range(20):
        sender.send(wire)
        for packet in range(1, len(wire.published) + 1):
            sender.note_puback(packet, puback())
        sender.settle()
    assert wire.sequences == list(range(1, 11))
    assert sender.waiting() == 50


def test_stored_makes_room_and_empties_the_outbox(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-021."""
    enqueue(store, [tree(str(number)) for number in range(12)])
    sender.send(wire)
    sender.note_answers(answers(messages_of(store.outbox)[:3], "stored"))
    assert sender.settle()
    sender.send(wire)
    assert wire.sequences == list(range(1, 13))
    assert (sender.stored, sender.waiting()) == (3, 9)


def test_retry_deletes_nothing_and_is_sent_again_only_later(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-024."""
    enqueue(store, [tree("1")])
    sender.send(wire)
    sender.note_puback(1, puback())
    before = sender.progress_at
    sender.note_answers(answers(messages_of(store.outbox), "retry", "full"))
    assert sender.settle()
    sender.send(wire)
    assert wire.sequences == [1]
    assert sender.waiting() == 1
    assert sender.progress_at == before
    assert sender.trouble == "the server asks to send again later (full)"


def test_a_message_is_sent_again_after_its_timer(store: Store, wire: Wire) -> None:
    """SYNC-024."""
    sender = Sender(store.outbox, "jetson-1", SendWindow(10, 0.05, 1.0))
    enqueue(store, [tree("1")])
    sender.send(wire)
    sender.note_puback(1, puback())
    sender.settle()
    sender.send(wire)
    assert wire.sequences == [1]
    time.sleep(0.06)
    sender.send(wire)
    assert wire.sequences == [1, 1]


def test_rejected_is_kept_with_its_reason_and_the_others_go_on(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-027."""
    enqueue(store, [tree("1"), tree("2")])
    sender.send(wire)
    first = messages_of(store.outbox)[0]
    sender.note_answers(answers([first], "rejected", "tree: tree: too long"))
    sender.settle()
    sender.send(wire)
    assert wire.sequences == [1, 2]
    rows = list(store.db.query("SELECT message, rejected FROM outbox ORDER BY sequence"))
    assert rows[0] == {"message": first, "rejected": "tree: tree: too long"}
    assert (sender.rejected, sender.waiting()) == (1, 1)


def outdated(message: str, held: int) -> bytes:
    return json.dumps({"answers": [{"message": message, "result": "outdated", "revision": held}]}).encode()


def test_outdated_is_sent_again_at_once_above_the_revision_held(
    store: Store, sender: Sender, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-035."""
    enqueue(store, [tree("1"), tree("2")])
    sender.send(wire)
    first, _ = messages_of(store.outbox)
    before = sender.progress_at
    sender.note_answers(outdated(first, 3))
    assert sender.settle()
    assert "restored from a backup" in caplog.text
    assert sender.progress_at == before, "nothing has left the queue"
    sender.send(wire)
    assert [(envelope["sequence"], envelope["revision"]) for envelope in wire.envelopes] == [(1, 1), (2, 1), (3, 4)]
    assert (sender.waiting(), sender.stored, sender.rejected) == (2, 0, 0)


def test_outdated_is_forgotten_where_a_newer_revision_waits(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-035."""
    record = new_id()
    with store.change():
        for revision in (1, 2):
            store.outbox.enqueue(record, revision, tree(str(revision)))
    sender.send(wire)
    sender.note_answers(outdated(messages_of(store.outbox)[0], 2))
    sender.settle()
    sender.send(wire)
    assert wire.sequences == [1, 2]
    assert sender.waiting() == 1


def test_messages_put_back_are_sent_although_their_numbers_are_low(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-027."""
    enqueue(store, [tree("1"), tree("2")])
    sender.send(wire)
    first, second = messages_of(store.outbox)
    sender.note_answers(answers([first], "rejected", "too new"))
    sender.note_answers(answers([second], "stored"))
    sender.settle()
    store.outbox.replay_rejected()
    sender.send(wire)
    assert wire.sequences == [1, 2, 1]


def test_an_answer_to_an_earlier_run_is_taken(store: Store, sender: Sender) -> None:
    """The broker keeps answers while we are away; they are about messages this process never sent."""
    enqueue(store, [tree("1")])
    sender.note_answers(answers(messages_of(store.outbox), "stored"))
    sender.settle()
    assert sender.waiting() == 0


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"answers": [{"message": "x", "result": "lost"}]}'])
def test_answers_nobody_can_read_change_nothing(store: Store, sender: Sender, wire: Wire, payload: bytes) -> None:
    enqueue(store, [tree("1")])
    sender.send(wire)
    sender.note_answers(payload)
    assert not sender.settle()
    assert sender.waiting() == 1


def test_too_long_a_message_is_kept_aside_and_never_sent(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-028."""
    enqueue(store, [OrchardBody.model_validate({"orchard": "o", "crop": "apple", "note": "x" * MOST_BYTES}), tree("2")])
    sender.send(wire)
    assert wire.sequences == [2]
    state = store.outbox.state()
    assert (state.waiting, state.rejected) == (1, 1)


def test_a_broker_s_own_limit_is_kept(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-028: what it would disconnect us for, again and again, is not sent to it."""
    enqueue(store, [OrchardBody.model_validate({"orchard": "o", "crop": "apple", "note": "x" * 2000}), tree("2")])
    sender.attach(session_present=True, most_packet_bytes=2000)
    sender.send(wire)
    assert wire.sequences == [2]
    (row,) = store.db.query("SELECT rejected FROM outbox WHERE rejected IS NOT NULL")
    assert "more than 1488" in row["rejected"]


@pytest.mark.parametrize("reason", [0x83, 0x90, 0x99])
def test_what_the_broker_will_never_take_is_kept_aside(store: Store, sender: Sender, wire: Wire, reason: int) -> None:
    """SYNC-028."""
    enqueue(store, [tree("1")])
    sender.send(wire)
    sender.note_puback(1, puback(reason))
    sender.settle()
    assert store.outbox.state().rejected == 1


@pytest.mark.parametrize("reason", [0x10, 0x80, 0x97])
def test_other_refusals_of_the_broker_leave_the_message_to_its_timer(
    store: Store, sender: Sender, wire: Wire, reason: int
) -> None:
    """SYNC-023: no subscriber, unspecified error, quota exceeded."""
    enqueue(store, [tree("1")])
    sender.send(wire)
    sender.note_puback(1, puback(reason))
    sender.settle()
    sender.send(wire)
    assert wire.sequences == [1]
    assert sender.waiting() == 1


def test_not_authorized_names_the_topic_and_the_remedy(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-029."""
    enqueue(store, [tree("1")])
    sender.send(wire)
    sender.note_puback(1, puback(0x87))
    with pytest.raises(RefusedError, match=r"'jetson-1' write pomona/v1/jetson-1/up/tree .*pomona server init"):
        sender.settle()
    assert sender.waiting() == 1


def test_a_full_or_locked_outbox_is_an_error_that_says_so(store: Store, sender: Sender, wire: Wire) -> None:
    enqueue(store, [tree("1")])
    sender.send(wire)
    sender.note_answers(answers(messages_of(store.outbox), "stored"))
    store.db.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxError, match="locked"):
        sender.settle()
    other.execute("ROLLBACK")
    other.close()
    assert sender.waiting() == 1
    sender.note_answers(answers(messages_of(store.outbox), "stored"))
    sender.settle()
    assert sender.waiting() == 0
