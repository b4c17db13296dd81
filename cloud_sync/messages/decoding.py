"""From bytes to an envelope, and from an envelope to its body."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from cloud_sync.errors import MessageError
from cloud_sync.messages.bodies import BODIES
from cloud_sync.messages.body import Body
from cloud_sync.messages.envelope import MOST_BYTES, Envelope


def decode_envelope(payload: bytes) -> Envelope:
    """Parse and check an envelope; its body is checked by :func:`decode_body`.

    Raises:
        MessageError: too long, no JSON, or a field is missing or wrong; the text names it.
    """
    if len(payload) > MOST_BYTES:
        raise MessageError(f"message of {len(payload)} bytes is longer than {MOST_BYTES}")
    try:
        return Envelope.model_validate_json(payload)
    except ValidationError as error:
        raise MessageError(first_problem(error)) from error


def decode_body(envelope: Envelope) -> Body:
    """Check the body of an envelope by its type and version; an older one is brought to the newest first.

    Raises:
        MessageError: a type or version this side does not know, or a field that is missing or wrong.
    """
    kind = BODIES.get(envelope.type)
    if kind is None:
        raise MessageError(f"type {envelope.type!r} is unknown here; known are {', '.join(BODIES)}")
    if envelope.version > kind.VERSION:
        raise MessageError(
            f"{envelope.type} version {envelope.version} is newer than {kind.VERSION}, which is known here"
        )
    values = envelope.body
    try:
        for version in range(envelope.version, kind.VERSION):
            values = kind.upgrade(version, values)
        return kind.model_validate(values)
    except ValidationError as error:
        raise MessageError(f"{envelope.type}: {first_problem(error)}") from error
    except MessageError as error:
        raise MessageError(f"{envelope.type} version {envelope.version}: {error}") from error


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, with the field it is in."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")  # what our own checks say, as they say it
    return f"{where}: {what}" if where else what
