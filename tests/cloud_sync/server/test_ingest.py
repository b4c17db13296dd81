"""The server's client of the broker: what it lets in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_sync.messages import Answers
from cloud_sync.server.broker import MOST_UNCONFIRMED
from cloud_sync.server.database import Database
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.ingest import MOST_WAITING, MOST_WAITING_BYTES, Ingest, Share
from cloud_sync.server.worker import Delivery
from tests.cloud_sync.helpers import enrol


class Confirmed:
    """Stands for the connection: notes what is confirmed and published."""

    def __init__(self) -> None:
        self.acks: list[tuple[int, int]] = []
        self.published: list[str] = []
        self.is_open = True
        self.client = SimpleNamespace(
            ack=lambda mid, qos: self.acks.append((mid, qos)),
            publish=lambda topic, *_args, **_kwargs: self.published.append(topic),
        )


@pytest.fixture
def connection() -> Confirmed:
    return Confirmed()


@pytest.fixture
def ingest(server_folder: ServerFolder, database: Database, connection: Confirmed, tmp_path: Any) -> Ingest:
    made = Ingest(enrol(server_folder, tmp_path / "device", "any"), database, Share("group"))
    made._connection = connection  # type: ignore[assignment]
    return made


def message(
    number: int = 1, *, qos: int = 1, topic: bytes = b"pomona/v1/a/up/tree", payload: bytes = b"{"
) -> MQTTMessage:
    made = MQTTMessage(mid=number, topic=topic)
    made.payload = payload
    made.qos = qos
    made.properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    made.properties.CorrelationData = b"x:1"
    return made


def delivered(ingest: Ingest) -> list[Delivery]:
    return [ingest._inbox.get_nowait() for _ in range(ingest._inbox.qsize())]


def test_a_message_is_noted_and_confirmed_only_when_the_worker_says_so(ingest: Ingest, connection: Confirmed) -> None:
    """SYNC-022."""
    ingest._on_message(message(7))
    (delivery,) = delivered(ingest)
    assert (delivery.received.topic, delivery.received.payload) == ("pomona/v1/a/up/tree", b"{")
    assert delivery.received.correlation == b"x:1"
    assert connection.acks == []
    delivery.confirm()
    assert connection.acks == [(7, 1)]


def test_a_flood_of_qos_0_leaves_room_for_messages_that_were_promised(
    ingest: Ingest, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-047."""
    for number in range(2 * MOST_WAITING):
        ingest._on_message(message(number, qos=0))
    for number in range(MOST_UNCONFIRMED):
        ingest._on_message(message(number))
    found = delivered(ingest)
    assert len(found) == MOST_WAITING // 2 + MOST_UNCONFIRMED
    assert caplog.text == ""


@pytest.mark.parametrize(("length", "kept"), [(1, MOST_WAITING), (256 * 1024, MOST_WAITING_BYTES // (256 * 1024))])
def test_a_broker_that_ignores_the_limit_costs_no_memory(
    ingest: Ingest, connection: Confirmed, caplog: pytest.LogCaptureFixture, length: int, kept: int
) -> None:
    """What is left to be sent again is confirmed: Mosquitto would count it as under way for ever."""
    payload = bytes(length)
    for number in range(kept + 50):
        ingest._on_message(message(number % 65_535, payload=payload))
    assert len(connection.acks) == 50
    assert "more than was asked for" in caplog.text
    assert len(delivered(ingest)) == kept
    caplog.clear()
    ingest._on_message(message(1, payload=payload))
    assert len(delivered(ingest)) == 1
    assert caplog.text == ""


def test_a_topic_that_is_no_text_is_noted_all_the_same(ingest: Ingest) -> None:
    """SYNC-047."""
    ingest._on_message(message(topic=b"\xff\xfe"))
    (delivery,) = delivered(ingest)
    assert delivery.received.topic == "not UTF-8"


def test_without_a_connection_answers_are_left_to_be_asked_for_again(ingest: Ingest, connection: Confirmed) -> None:
    """SYNC-024."""
    ingest._answer("a", Answers(answers=[]))
    connection.is_open = False
    ingest._answer("b", Answers(answers=[]))
    assert connection.published == ["pomona/v1/a/down/ack"]


def test_one_of_several_reads_its_share_and_only_the_first_the_states() -> None:
    """SYNC-052."""
    alone, first, second = Share("g"), Share("g", 1, 2), Share("g", 2, 2)
    up = "$share/g/pomona/v1/+/up/#"
    assert alone.subscriptions == first.subscriptions == [up, "pomona/v1/+/state"]
    assert second.subscriptions == [up]
    assert alone.terms.session_expiry_s > 3600
    assert second.terms.session_expiry_s == first.terms.session_expiry_s == 0
