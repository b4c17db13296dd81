"""What a message is: a record to store, a device's state, or something refused with a reason.

No database and no network are needed to tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property, lru_cache

from pydantic import JsonValue, ValidationError

from cloud_sync import batch, messages, topics
from cloud_sync.device_state import DeviceState
from cloud_sync.digests import DigestQuestion, decode_question
from cloud_sync.errors import IdentityError, MessageError
from cloud_sync.messages import MOST_REASON, Envelope

# escaped, and no backslash followed by five ordinary characters
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
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
        text: the checked record as JSON, an older one brought to the newest version.
        orchard: the orchard it names.
        block: the block it names.
    """

    received: Received
    envelope: Envelope
    recorded_at: datetime
    natural_key: str
    text: str
    orchard: str | None
    block: str | None

    @cached_property
    def body(self) -> dict[str, JsonValue]:
        """The record as JSON values; few records are looked into, so few are parsed again."""
        values: dict[str, JsonValue] = json.loads(self.text)
        return values


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
        return [Refused(received, _device_of(received.topic), _correlated(received.correlation), _reason(error))]
    topic, at, retained = received.topic, received.received_at, received.retained
    return [Received(topic, line, b"", at, retained, in_batch=True) for line in lines]


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
        body = messages.decode_body(envelope)
        if envelope.version != body.VERSION:
            envelope = envelope.model_copy(update={"version": body.VERSION})
        text = body.model_dump_json(exclude_unset=True)  # what was sent, a null too, and no more
        _check_text(envelope, text)
        place = getattr(body, "orchard", None), getattr(body, "block", None)
        return Accepted(received, envelope, _utc(envelope), body.natural_key(), text, *place)
    except MessageError as error:
        return Refused(received, device, message, _reason(error))


def _reason(error: MessageError) -> str:
    """What is wrong, in characters that every database and terminal can hold; a device chooses part of them."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(error))[
        :MOST_REASON
    ]


@lru_cache(maxsize=10_000)
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
    topic = topics.up(device, envelope.type)
    return Received(topic, line.payload, correlation, line.received_at, line.retained)


def _check_topic(envelope: Envelope, device: str, kind: str) -> None:
    if envelope.device != device:
        raise MessageError(f"the envelope names device {envelope.device!r}, the topic {device!r}")
    if envelope.type != kind:
        raise MessageError(f"the envelope says type {envelope.type!r}, the topic {kind[:64]!r}")


def _check_text(envelope: Envelope, text: str) -> None:
    """Refuse what the body's model does not look for and some database cannot hold.

    JSON has no NaN and no infinity, and PostgreSQL no NUL character.
    """
    # strings may hold these words; only then is it worth a second look
    if "NaN" in text or "Infinity" in text:
        try:
            json.dumps(json.loads(text), allow_nan=False)
        except ValueError as error:
            raise MessageError("body: holds a number that is not finite") from error
    if "\0" in envelope.boot or ("\\u0000" in text and _NUL.search(text)):
        raise MessageError("holds a NUL character, which is no part of any text")
