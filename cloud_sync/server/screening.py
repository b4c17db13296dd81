"""What a message is: a record to store, a device's state, or something refused with a reason.

No database and no network are needed to tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from pydantic import JsonValue, ValidationError

from cloud_sync import batch, messages, topics
from cloud_sync.device_state import DeviceState
from cloud_sync.digests import DigestQuestion, decode_question
from cloud_sync.errors import IdentityError, MessageError
from cloud_sync.messages import MOST_REASON, Envelope

_CORRELATION = re.compile(rb"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):[0-9]{1,4}")


@dataclass(frozen=True)
class Received:
    """A message as the broker delivered it.

    Attributes:
        topic: where it was published; the broker vouches for the device in it.
        payload: its bytes.
        correlation: MQTT correlation data, empty when there is none.
        received_at: when it came.
        retained: whether the broker repeats what it kept, rather than passing on what was just sent.
        in_batch: whether this is a line of a batch, which has the batch's topic and no correlation data of its own.
    """

    topic: str
    payload: bytes
    correlation: bytes
    received_at: datetime
    retained: bool = False
    in_batch: bool = False


@dataclass(frozen=True)
class Accepted:
    """A record to store.

    Attributes:
        received: the message it came in.
        envelope: its envelope; its version is that of the body here.
        recorded_at: the device's clock, in UTC.
        natural_key: what it is about.
        body: the checked record, as JSON values, an older one brought to the newest version.
    """

    received: Received
    envelope: Envelope
    recorded_at: datetime
    natural_key: str
    body: dict[str, JsonValue]


@dataclass(frozen=True)
class Refused:
    """A message for the dead letters.

    Attributes:
        received: the message; a line of a batch as it would have come alone, where its envelope can be read.
        device: the device its topic names; None when the topic names none.
        message: id to answer for; None when neither envelope nor correlation data tells.
        reason: why.
    """

    received: Received
    device: str | None
    message: str | None
    reason: str


@dataclass(frozen=True)
class StateChange:
    """What a device says about itself.

    Attributes:
        received: the message it came in.
        device: its name.
        state: what it says.
    """

    received: Received
    device: str
    state: DeviceState


@dataclass(frozen=True)
class Asked:
    """A device's question what is held of its store.

    Attributes:
        received: the message it came in.
        device: its name.
        question: what it asks.
    """

    received: Received
    device: str
    question: DigestQuestion


def unfold(received: Received) -> Sequence[Received | Refused]:
    """Part a batch into its lines; whatever else came stays whole.

    Args:
        received: the message.

    Returns:
        What is to be screened, or the batch, refused because nobody can unfold it.
    """
    parts = received.topic.split("/")
    if len(parts) != 5 or received.topic != topics.batch(parts[2]):
        return [received]
    try:
        lines = batch.decode_batch(received.payload)
    except MessageError as error:
        return [Refused(received, _device_of(received.topic), _correlated(received.correlation), str(error))]
    return [replace(received, payload=line, correlation=b"", in_batch=True) for line in lines]


def screen(received: Received) -> Accepted | Refused | StateChange | Asked | None:
    """Judge a message.

    Args:
        received: the message, or a line of a batch.

    Returns:
        What is to be done with it; None for an emptied state topic, which says nothing.
    """
    device: str | None = None
    message = _correlated(received.correlation)
    try:
        device, kind = _parse_topic(received.topic)
        if kind is None:
            if not received.payload:
                return None
            return StateChange(received, device, _decode_state(received.payload))
        if kind == topics.DIGEST:
            return Asked(received, device, decode_question(received.payload))
        envelope = messages.decode_envelope(received.payload)
        message = envelope.message
        if received.in_batch:
            kind = envelope.type
            received = _as_alone(received, device, envelope)
        _check_topic(envelope, device, kind)
        _check_numbers(envelope)
        body = messages.decode_body(envelope)
        envelope = envelope.model_copy(update={"version": body.VERSION})
        values = body.model_dump(mode="json", exclude_unset=True)  # what was sent, a null too, and no more
        return Accepted(received, envelope, _utc(envelope), body.natural_key(), values)
    except MessageError as error:
        return Refused(received, device, message, str(error)[:MOST_REASON])


def _parse_topic(topic: str) -> tuple[str, str | None]:
    """Device and message type, None for the state topic."""
    try:
        parts = topic.split("/")
        if len(parts) == 4 and topic == topics.state(parts[2]):
            return topics.check_device_name(parts[2]), None
        device, kind = topics.parse_up(topic)
        return topics.check_device_name(device), kind
    except IdentityError as error:
        raise MessageError(f"topic: {error}") from error


def _device_of(topic: str) -> str | None:
    try:
        return _parse_topic(topic)[0]
    except MessageError:
        return None


def _decode_state(payload: bytes) -> DeviceState:
    try:
        return DeviceState.model_validate_json(payload)
    except ValidationError as error:
        raise MessageError(f"state: {error.errors(include_url=False, include_input=False)[0]['msg']}") from error


def _correlated(correlation: bytes) -> str | None:
    match = _CORRELATION.fullmatch(correlation)
    return match.group(1).decode("ascii") if match else None


def _utc(envelope: Envelope) -> datetime:
    try:
        return envelope.recorded_at.astimezone(timezone.utc)
    except OverflowError as error:  # the first or last hours of the calendar
        raise MessageError("recorded_at: outside the calendar in UTC") from error


def _as_alone(line: Received, device: str, envelope: Envelope) -> Received:
    """A line of a batch as its message would have come alone, so that a dead letter of it can be read again."""
    correlation = f"{envelope.message}:{envelope.version}".encode()
    return replace(line, topic=topics.up(device, envelope.type), correlation=correlation, in_batch=False)


def _check_topic(envelope: Envelope, device: str, kind: str) -> None:
    if envelope.device != device:
        raise MessageError(f"the envelope names device {envelope.device!r}, the topic {device!r}")
    if envelope.type != kind:
        raise MessageError(f"the envelope says type {envelope.type!r}, the topic {kind[:64]!r}")


def _check_numbers(envelope: Envelope) -> None:
    """Refuse NaN and infinity also where the body's model does not look: JSON has no such numbers."""
    try:
        json.dumps(envelope.body, allow_nan=False)
    except ValueError as error:
        raise MessageError("body: holds a number that is not finite") from error
