"""What travels: one message as it is, or several as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloud_sync import batch, topics
from cloud_sync.outbox import Waiting, new_id


@dataclass(frozen=True)
class Packet:
    """A PUBLISH to be made.

    Attributes:
        topic: where to.
        payload: its bytes.
        content_type: what they are.
        correlation: MQTT correlation data.
        messages: ids of the messages in it.
        batch: id of the batch, None when it is a single message.
    """

    topic: str
    payload: bytes
    content_type: str
    correlation: bytes
    messages: tuple[str, ...]
    batch: str | None = None


def pack(device: str, together: Sequence[Waiting], most_bytes: int) -> list[Packet]:
    """Pack messages as a batch where that is smaller, and otherwise each by itself.

    Args:
        device: name of the device.
        together: messages, none of which is too long by itself.
        most_bytes: longest payload.
    """
    if len(together) > 1:
        packed = batch.encode_batch([waiting.payload for waiting in together])
        if len(packed) > most_bytes:
            half = len(together) // 2
            return pack(device, together[:half], most_bytes) + pack(device, together[half:], most_bytes)
        if len(packed) < sum(len(waiting.payload) for waiting in together):
            return [_batched(device, together, packed)]
    return [_alone(device, waiting) for waiting in together]


def _batched(device: str, together: Sequence[Waiting], packed: bytes) -> Packet:
    name = new_id()
    return Packet(
        topic=topics.batch(device),
        payload=packed,
        content_type=batch.CONTENT_TYPE,
        correlation=f"{name}:1".encode(),
        messages=tuple(waiting.message for waiting in together),
        batch=name,
    )


def _alone(device: str, waiting: Waiting) -> Packet:
    return Packet(
        topic=topics.up(device, waiting.type),
        payload=waiting.payload,
        content_type="application/json",
        correlation=f"{waiting.message}:{waiting.version}".encode(),
        messages=(waiting.message,),
    )
