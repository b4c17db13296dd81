"""Many messages in one: zlib-compressed lines of JSON, each line an envelope as it would travel alone.

Records of one device repeat each other's fields, so together they take a third of what they take singly.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from cloud_sync.errors import MessageError
from cloud_sync.messages import MOST_BYTES

CONTENT_TYPE = "application/vnd.pomona.batch+zlib"
MOST_MESSAGES = 1000
# what a batch may unfold to; some kilobytes of zlib can hold gigabytes
MOST_UNFOLDED_BYTES = 4 * 1024 * 1024
_LEVEL = 6


def encode_batch(envelopes: Sequence[bytes]) -> bytes:
    """Pack envelopes, each JSON without a line break.

    Raises:
        ValueError: none, more than :data:`MOST_MESSAGES`, or one with a line break.
    """
    if not 1 <= len(envelopes) <= MOST_MESSAGES:
        raise ValueError(f"a batch holds 1 to {MOST_MESSAGES} messages, not {len(envelopes)}")
    if any(b"\n" in envelope for envelope in envelopes):
        raise ValueError("an envelope in a batch has no line break")
    return zlib.compress(b"\n".join(envelopes), _LEVEL)


def decode_batch(payload: bytes) -> list[bytes]:
    """The envelopes of a batch, unread.

    Raises:
        MessageError: too long, packed or unpacked, no zlib stream, cut short, more than :data:`MOST_MESSAGES`, or one
            of them longer than a message may be.
    """
    if len(payload) > MOST_BYTES:
        raise MessageError(f"batch of {len(payload)} bytes is longer than {MOST_BYTES}")
    unpacker = zlib.decompressobj()
    try:
        unfolded = unpacker.decompress(payload, MOST_UNFOLDED_BYTES)
    except zlib.error as error:
        raise MessageError(f"batch is no zlib stream: {error}") from error
    if not unpacker.eof:
        cause = f"unfolds to more than {MOST_UNFOLDED_BYTES} bytes" if unpacker.unconsumed_tail else "is cut short"
        raise MessageError(f"batch {cause}")
    if unpacker.unused_data:
        raise MessageError(f"batch has {len(unpacker.unused_data)} bytes behind its end")
    if unfolded.count(b"\n") >= MOST_MESSAGES:
        raise MessageError(f"batch holds more than {MOST_MESSAGES} messages")
    lines = unfolded.split(b"\n")
    # kept singly as dead letters, they would fill a disk that a few kilobytes of zlib do not
    if max(map(len, lines)) > MOST_BYTES:
        raise MessageError(f"batch holds a message longer than {MOST_BYTES} bytes")
    return lines
