"""Stored records once more as plain JSON, for readers of the broker who know nothing of Pomona."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_sync import topics
from cloud_sync.messages import BODIES, MOST_BYTES
from cloud_sync.plain import plain_record
from cloud_sync.server.screening import Accepted

_log = logging.getLogger(__name__)
# Published and not confirmed by the broker. The server's answers wait behind them, so they are few.
MOST_UNCONFIRMED = 1000


class Feed:
    """Publishes records that were stored; what the broker does not take in time is left out."""

    def __init__(self) -> None:
        self._client: mqtt.Client | None = None
        self._unconfirmed: deque[mqtt.MQTTMessageInfo] = deque()
        self._left_out = 0
        self._properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        self._properties.ContentType = "application/json"

    def publish(self, client: mqtt.Client, stored: Iterable[Accepted]) -> None:
        """Publish records over a connection that is open.

        Args:
            client: the connection.
            stored: what was committed.
        """
        if client is not self._client:  # what an earlier connection has not sent, it never will
            self._client = client
            self._unconfirmed.clear()
        for item in stored:
            payload = _plain(item)
            if len(payload) > MOST_BYTES:  # the broker would end the server's connection
                _log.warning("record %s is too long for the feed: %d bytes", item.envelope.record, len(payload))
                continue
            while self._unconfirmed and self._unconfirmed[0].is_published():
                self._unconfirmed.popleft()
            if len(self._unconfirmed) >= MOST_UNCONFIRMED:
                self._leave_out()
                continue
            self._catch_up()
            topic = topics.stored(item.envelope.device, item.envelope.type)
            sent = client.publish(topic, payload, qos=1, properties=self._properties)
            if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:  # else the connection has just ended
                self._unconfirmed.append(sent)

    def _leave_out(self) -> None:
        if not self._left_out:
            _log.warning("the broker does not take the feed as fast as records are stored; some are left out of it")
        self._left_out += 1

    def _catch_up(self) -> None:
        if self._left_out:
            _log.warning("the feed goes on; %d records were left out of it", self._left_out)
            self._left_out = 0


def _plain(item: Accepted) -> bytes:
    body = BODIES[item.envelope.type].model_validate(item.body)
    return json.dumps(plain_record(item.envelope, body), ensure_ascii=False, separators=(",", ":")).encode()
