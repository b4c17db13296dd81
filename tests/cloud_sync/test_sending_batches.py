"""The sender's batches: when there is one, what is in it, and what becomes of it when it is refused."""

from __future__ import annotations

import logging
import os

import pytest

from cloud_sync import clock
from cloud_sync.batch import CONTENT_TYPE
from cloud_sync.gathering import Gathering
from cloud_sync.messages import MOST_BYTES, OrchardBody
from cloud_sync.sender import Sender
from cloud_sync.window import SendWindow
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, example, messages_of, tree
from tests.cloud_sync.test_gathering import grow_old
from tests.cloud_sync.wire import Wire, answers, puback

ONE_BY_ONE = Gathering(most_bytes=1)


@pytest.fixture(autouse=True)
def _right_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store.outbox, "jetson-1", SendWindow(400, 30.0, 600.0))


def with_note(length: int) -> OrchardBody:
    """A record that compression cannot shorten by much."""
    return OrchardBody.model_validate({"orchard": "o", "crop": "apple", "note": os.urandom(length // 2).hex()})


def kinds(wire: Wire) -> list[str]:
    return [topic.rsplit("/", 1)[-1] for topic, _, _ in wire.published]


def take_all(wire: Wire, sender: Sender, result: str = "stored") -> None:
    """The broker takes everything and the server answers for all of it."""
    for packet in range(1, len(wire.published) + 1):
        sender.note_puback(packet, puback())
    sender.note_answers(answers([envelope["message"] for envelope in wire.envelopes], result))
    sender.settle()


def test_what_waits_together_goes_as_one_batch(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-100."""
    enqueue(store, [tree(str(number)) for number in range(40)])
    sender.send(wire)
    ((topic, payload, properties),) = wire.published
    assert topic == "pomona/v1/jetson-1/up/batch"
    assert properties.ContentType == CONTENT_TYPE
    assert properties.CorrelationData.endswith(b":1")
    assert len(properties.CorrelationData) == 38
    assert wire.sequences == list(range(1, 41))
    alone = sum(len(item.payload) for item in store.outbox.waiting("jetson-1", 0, 100))
    assert len(payload) < alone / 3


def test_a_single_record_goes_alone_and_at_once(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-100: readable for whoever listens at the broker."""
    for number in range(3):
        enqueue(store, [tree(str(number))])
        sender.send(wire)
    assert kinds(wire) == ["tree"] * 3
    assert wire.sequences == [1, 2, 3]


def test_what_a_batch_would_not_make_smaller_goes_singly(
    store: Store, sender: Sender, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-100."""
    monkeypatch.setattr("cloud_sync.batch.encode_batch", b"\n".join)
    enqueue(store, [tree("1"), tree("2")])
    sender.send(wire)
    assert kinds(wire) == ["tree", "tree"]


def test_today_s_record_does_not_travel_with_the_backlog(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-103: it goes first, alone, and is there although the rest is refused or lost."""
    enqueue(store, [tree(str(number)) for number in range(20)])
    grow_old(store, range(1, 20))
    sender.send(wire)
    assert kinds(wire) == ["tree", "batch"]
    assert wire.sequences == [20, *range(1, 20)]


def test_what_is_older_than_a_day_is_marked_as_historical(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-104."""
    enqueue(store, [tree("old"), tree("new")])
    grow_old(store, range(1, 2))
    sender.send(wire)
    assert {envelope["sequence"]: envelope.get("historical") for envelope in wire.envelopes} == {1: True, 2: None}


def test_each_message_of_a_batch_is_answered_for_singly(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-023, SYNC-100."""
    enqueue(store, [tree(str(number)) for number in range(4)])
    sender.send(wire)
    sender.note_puback(1, puback())
    first, second, third, fourth = messages_of(store.outbox)
    sender.note_answers(answers([first, third], "stored"))
    sender.note_answers(answers([second], "rejected", "too new"))
    sender.settle()
    assert messages_of(store.outbox) == [fourth]
    assert (sender.stored, sender.rejected, sender.waiting()) == (2, 1, 1)
    assert not sender.is_quiet


def refuse(sender: Sender, wire: Wire, by_server: bool) -> None:
    if by_server:
        sender.note_puback(1, puback())
        batch = wire.published[0][2].CorrelationData.decode().removesuffix(":1")
        sender.note_answers(answers([batch], "rejected", "batch is no zlib stream"))
    else:
        sender.note_puback(1, puback(0x83))


@pytest.mark.parametrize("by_server", [True, False])
def test_a_batch_that_is_refused_as_such_goes_singly_and_none_is_tried_again(
    store: Store, sender: Sender, wire: Wire, by_server: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-102: one bad record harms no other, and a server that knows no batches gets them one by one."""
    enqueue(store, [tree(str(number)) for number in range(10)])
    sender.send(wire)
    refuse(sender, wire, by_server)
    sender.settle()
    assert sender.rejected == 0
    assert "a batch was refused, its messages are sent one by one" in caplog.text
    sender.send(wire)
    assert kinds(wire) == ["batch", *["tree"] * 10]
    assert wire.sequences == [*range(1, 11)] * 2
    enqueue(store, [tree("later"), tree("and later")])
    take_all(wire, sender)
    sender.send(wire)
    assert kinds(wire)[11:] == ["tree"] * 2
    take_all(wire, sender)
    sender.attach(session_present=True)
    enqueue(store, [tree("over"), tree("another connection")])
    sender.send(wire)
    assert kinds(wire)[13:] == ["batch"]


def test_what_was_not_answered_twice_in_batches_goes_alone(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-102: whatever is wrong with it, it holds up no other."""
    enqueue(store, [tree(str(number)) for number in range(5)])
    for _ in range(4):
        sender.send(wire)
        sender.attach(session_present=False)
    assert kinds(wire) == ["batch", "batch", *["tree"] * 10]


def test_a_message_too_long_for_the_broker_is_no_part_of_a_batch(
    store: Store, sender: Sender, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-028: it could be sent in one, and then never alone."""
    caplog.set_level(logging.ERROR)
    body = OrchardBody.model_validate({"orchard": "o", "crop": "apple", "note": "x" * MOST_BYTES})
    enqueue(store, [tree("1"), body, tree("2")])
    sender.send(wire)
    assert wire.sequences == [1, 3]
    assert store.outbox.state().rejected == 1


def test_a_batch_that_becomes_too_long_is_parted(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-101: for a broker that takes little."""
    sender.attach(session_present=True, most_packet_bytes=5000)
    enqueue(store, [with_note(3000) for _ in range(8)])
    sender.send(wire)
    assert len(wire.published) > 2
    assert max(len(payload) for _, payload, _ in wire.published) <= 5000 - 512
    assert wire.sequences == list(range(1, 9))


def test_little_is_handed_to_the_connection_at_a_time(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-101: on a slow line nothing could overtake it, and it is held in memory."""
    enqueue(store, [with_note(20_000) for _ in range(50)])
    for packet in range(60):
        sender.send(wire)
        on_way = sum(len(payload) for _, payload, _ in wire.published[packet:])
        assert on_way < (48 + 64) * 1024
        if packet == len(wire.published):
            break
        sender.note_puback(packet + 1, puback())
        sender.settle()
    assert wire.sequences == list(range(1, 51))


def test_the_broker_s_receive_maximum_is_kept(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-101: the state is one of the packets that it counts."""
    sender.attach(session_present=True, receive_maximum=3)
    sender.note_other(0, "pomona/v1/jetson-1/state")
    sender.gatherer.settings = ONE_BY_ONE
    enqueue(store, [tree(str(number)) for number in range(10)])
    sender.send(wire)
    assert len(wire.published) == 2
    for packet in (0, 1):
        sender.note_puback(packet, puback())
    sender.settle()
    sender.send(wire)
    assert len(wire.published) == 4


def test_a_receive_maximum_of_one_is_enough(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-101."""
    sender.attach(session_present=True, receive_maximum=1)
    sender.gatherer.settings = ONE_BY_ONE
    enqueue(store, [tree(str(number)) for number in range(5)])
    for packet in range(5):
        sender.send(wire)
        assert len(wire.published) == packet + 1
        sender.note_puback(packet + 1, puback())
        sender.settle()
    assert wire.sequences == [1, 2, 3, 4, 5]


def test_the_window_bounds_the_messages_and_not_the_batches(store: Store, wire: Wire) -> None:
    """SYNC-023."""
    sender = Sender(store.outbox, "jetson-1", SendWindow(30, 30.0, 600.0))
    enqueue(store, [tree(str(number)) for number in range(100)])
    for packet in range(1, 10):
        sender.send(wire)
        sender.note_puback(packet, puback())
        sender.settle()
    assert wire.sequences == list(range(1, 31))


def test_over_a_metered_link_bulk_is_neither_sent_nor_waited_for(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-105."""
    sender.gatherer.settings = Gathering(with_bulk=False)
    enqueue(store, [example("thumbnail"), tree("1")])
    sender.send(wire)
    assert kinds(wire) == ["tree"]
    take_all(wire, sender)
    assert sender.waiting() == 0
    assert sender.waiting(also_what_is_held_back=True) == 1


def test_a_record_that_cannot_be_made_again_is_kept_aside(store: Store, sender: Sender, wire: Wire) -> None:
    """SYNC-107: its photo is gone, so nobody can send it."""
    enqueue(store, [example("thumbnail"), tree("1")])
    store.db.execute("UPDATE outbox SET body = '' WHERE sequence = 1")
    sender.send(wire)
    assert wire.sequences == [2]
    (row,) = store.db.query("SELECT rejected FROM outbox WHERE rejected IS NOT NULL")
    assert "no longer on this device" in row["rejected"]
