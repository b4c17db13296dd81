"""What stands for the connection in tests of the sender, and what comes back over it."""

from __future__ import annotations

import json
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud_sync.batch import CONTENT_TYPE, decode_batch


class Wire:
    """Stands for the connection: notes what is published and gives packet ids."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, Any]] = []

    def __call__(self, topic: str, payload: bytes, properties: Properties) -> int:
        self.published.append((topic, payload, properties))
        return len(self.published)

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """All that was sent, in batches or alone, as it was sent."""
        return [
            json.loads(line)
            for _, payload, properties in self.published
            for line in (decode_batch(payload) if properties.ContentType == CONTENT_TYPE else [payload])
        ]

    @property
    def sequences(self) -> list[int]:
        return [envelope["sequence"] for envelope in self.envelopes]


def puback(identifier: int = 0) -> ReasonCode:
    return ReasonCode(PacketTypes.PUBACK, identifier=identifier)


def answers(messages: list[str], result: str, reason: str = "") -> bytes:
    return json.dumps(
        {"answers": [{"message": message, "result": result, "reason": reason} for message in messages]}
    ).encode()
