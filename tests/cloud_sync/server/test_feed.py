"""The feed: what was stored, as plain JSON, and no more than the broker takes."""

from __future__ import annotations

import json
import logging
import queue
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cloud_sync.boxes import MOST_BOXES, pack_boxes
from cloud_sync.server import feed as feed_module
from cloud_sync.server.database import Database
from cloud_sync.server.feed import Feed
from cloud_sync.server.screening import Accepted, screen
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.orchard_boxes import orchard_like


def accepted(kind: str, **changes: Any) -> Accepted:
    item = screen(received(envelope(kind, **changes)))
    assert isinstance(item, Accepted)
    return item


class Waiting(mqtt.Client):
    """A client of a broker that confirms nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.infos: list[mqtt.MQTTMessageInfo] = []

    def publish(self, topic: str, payload: Any = None, *_: Any, **__: Any) -> mqtt.MQTTMessageInfo:
        self.published.append((topic, json.loads(payload)))
        self.infos.append(mqtt.MQTTMessageInfo(len(self.infos) + 1))
        return self.infos[-1]


def test_a_record_is_said_plainly_on_the_topic_of_its_device_and_type() -> None:
    """SYNC-080."""
    client = Waiting()
    Feed().publish(client, [accepted("detections"), accepted("count", device="b")])
    (topic, detections), (other_topic, count) = client.published
    assert (topic, other_topic) == ("pomona/v1/jetson-1/stored/detections", "pomona/v1/b/stored/count")
    assert detections["body"]["boxes"] == [{"label": "apple", "score": 0.902, "box": [10, 20, 30, 40]}]
    assert count["body"] == EXAMPLES["count"]
    assert count["natural_key"] == "count/Dongshan/A/2024-09-01/ripening/A-01/apple"


def test_what_the_broker_does_not_take_is_left_out_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-080."""
    monkeypatch.setattr(feed_module, "MOST_UNCONFIRMED", 3)
    client, feed = Waiting(), Feed()
    with caplog.at_level(logging.WARNING):
        feed.publish(client, [accepted("tree") for _ in range(8)])
        assert len(client.published) == 3
        for info in client.infos:
            info._set_as_published()
        feed.publish(client, [accepted("tree")])
        assert len(client.published) == 4
    assert [record.message for record in caplog.records] == [
        "the broker does not take the feed as fast as records are stored; some are left out of it",
        "the feed goes on; 5 records were left out of it",
    ]


def test_a_connection_that_has_just_ended_is_borne() -> None:
    """SYNC-080."""
    client, feed = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5), Feed()
    for _ in range(3):
        feed.publish(client, [accepted("tree")])


def test_a_new_connection_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-080."""
    monkeypatch.setattr(feed_module, "MOST_UNCONFIRMED", 1)
    first, second, feed = Waiting(), Waiting(), Feed()
    feed.publish(first, [accepted("tree")])
    feed.publish(second, [accepted("tree")])
    assert (len(first.published), len(second.published)) == (1, 1)


def test_a_record_too_long_for_the_broker_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """SYNC-080: it would end the server's connection."""
    body = {**EXAMPLES["detections"], "boxes": pack_boxes(orchard_like(MOST_BOXES))}
    client = Waiting()
    Feed().publish(client, [accepted("detections", body=body), accepted("tree")])
    assert [said["type"] for _, said in client.published] == ["tree"]
    assert "is too long for the feed" in caplog.text


def test_only_what_was_stored_is_passed_on_and_after_its_answer(database: Database) -> None:
    """SYNC-080."""
    told: list[str] = []
    worker = Worker(
        database,
        queue.Queue(),
        lambda _device, answers: told.extend(answer.result for answer in answers.answers),
        on_stored=lambda stored: told.extend(item.envelope.message for item in stored),
    )
    good, older = envelope("tree", revision=2), envelope("tree")
    for fields in (good, {**older, "record": good["record"]}, envelope("tree", version=9), good):
        worker.process([Delivery(received(fields), lambda: None)])
    assert told == ["stored", good["message"], "outdated", "rejected", "stored", good["message"]]


def test_a_mistake_in_the_feed_does_not_stop_the_server(database: Database) -> None:
    """SYNC-047, SYNC-080."""

    def fail(_stored: object) -> None:
        raise KeyError("mistake")

    results: list[str] = []
    worker = Worker(
        database,
        queue.Queue(),
        lambda _device, answers: results.extend(answer.result for answer in answers.answers),
        on_stored=fail,
    )
    confirmed: list[int] = []
    worker.process([Delivery(received(envelope()), lambda: confirmed.append(1))])
    assert (results, confirmed) == (["stored"], [1])
