"""Reads recorded messages and batches, as a reader of the broker gets them, and says what is in them.

What comes in is lines, each a message: JSON, or a batch or JSON in hexadecimal digits, or either behind its topic, as
``mosquitto_sub -F '%t %x'`` writes them; or a batch as it is, zlib and all.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from cloud_sync import batch
from cloud_sync.device_state import DeviceState
from cloud_sync.digests import DigestAnswer, DigestQuestion, Missing
from cloud_sync.errors import MessageError
from cloud_sync.greeting import Greeting
from cloud_sync.messages import MOST_BYTES, Answers, decode_body, decode_envelope
from cloud_sync.plain import plain_record

_TOPIC = re.compile(rb"pomona/[^ ]* ")
_HEXADECIMAL = re.compile(rb"(?:[0-9a-fA-F]{2})+")
# what zlib writes first: 32 KiB of memory, then one of four levels
_ZLIB_STARTS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
# by a field that each has and no other message; question and digest of a comparison are told apart by their blocks
_OTHERS: dict[str, TypeAdapter[BaseModel]] = {
    "answers": TypeAdapter(Answers),
    "online": TypeAdapter(DeviceState),
    "accepts": TypeAdapter(Greeting),
    "width": TypeAdapter(DigestQuestion | DigestAnswer),
    "ranges": TypeAdapter(Missing),
}

Decoded = dict[str, JsonValue] | MessageError


def decode_stream(stream: BinaryIO) -> Iterator[Decoded]:
    """Decode what a stream holds, as it comes.

    Yields:
        Each message as JSON values, records with their boxes unpacked, or why it is none.
    """
    pending = b""
    while line := pending or stream.readline(2 * MOST_BYTES + 1000):
        pending = b""
        if line.startswith(_ZLIB_STARTS):
            whole, pending = _batch_and_rest(line, stream)
            yield from decode_payload(whole)
        elif text := _TOPIC.sub(b"", line.strip(), count=1):
            yield from decode_payload(bytes.fromhex(text.decode()) if _HEXADECIMAL.fullmatch(text) else text)


def _batch_and_rest(begun: bytes, stream: BinaryIO) -> tuple[bytes, bytes]:
    """A batch that begins with these bytes and may hold line breaks, and what was read behind it."""
    unpacker = zlib.decompressobj()
    whole, piece = b"", begun
    try:
        while piece and len(whole) <= MOST_BYTES:
            whole += piece
            unpacker.decompress(piece, batch.MOST_UNFOLDED_BYTES)
            if unpacker.eof:
                length = len(whole) - len(unpacker.unused_data)
                return whole[:length], unpacker.unused_data.lstrip(b"\r\n")
            piece = b"" if unpacker.unconsumed_tail else stream.readline(MOST_BYTES)
    except zlib.error:
        pass  # decoding it says so
    return whole, b""


def decode_payload(payload: bytes) -> Iterator[Decoded]:
    """Decode one message, or the lines of one batch.

    Args:
        payload: the message as it was published.
    """
    if not payload.startswith(_ZLIB_STARTS):
        yield _decoded(payload)
        return
    try:
        lines = batch.decode_batch(payload)
    except MessageError as error:
        yield error
        return
    yield from map(_decoded, lines)


def _decoded(payload: bytes) -> Decoded:
    try:
        if other := _other(payload):
            return other
        envelope = decode_envelope(payload)
        return plain_record(envelope, decode_body(envelope))
    except MessageError as error:
        return error


def _other(payload: bytes) -> dict[str, JsonValue] | None:
    """What carries no record; None where it is a record, or nothing."""
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    for field, kind in _OTHERS.items():
        if isinstance(fields, dict) and field in fields:
            try:
                return kind.validate_python(fields).model_dump(mode="json", exclude_unset=True)
            except ValidationError as error:
                raise MessageError(f"{field}: {error.errors(include_url=False)[0]['msg']}") from error
    return None
