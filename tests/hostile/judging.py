"""What must hold of any message whatever, and the long run that sees to it."""

from __future__ import annotations

import io
import json
import random
import re
import time
from collections import Counter
from datetime import datetime, timezone

from cloud_sync import topics
from cloud_sync.boxes import unpack_boxes
from cloud_sync.decoder import decode_payload, decode_stream
from cloud_sync.errors import IdentityError, MessageError
from cloud_sync.messages import BODIES, MOST_REASON
from cloud_sync.server.screening import Accepted, Received, Refused, StateChange, screen, unfold
from tests.hostile.mutations import Hostile, mutate, recorded

_NOW = datetime(2025, 9, 24, tzinfo=timezone.utc)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def delivered(message: Hostile) -> Received:
    """A hostile message as the broker would deliver it."""
    return Received(message.topic, message.payload, message.correlation, _NOW)


def hostile_message(seed: int, number: int, begin: list[Hostile]) -> Hostile:
    """The so-manieth message of a seed."""
    chance = random.Random(f"{seed}:{number}")
    return mutate(chance.choice(begin), chance, begin)


def judge(message: Hostile) -> list[str]:
    """See that a message is accepted rightly or refused with a reason, by the server and by the decoder.

    Returns:
        What became of it, or of each of its lines.

    Raises:
        AssertionError: something does not hold.
    """
    found = []
    for part in unfold(delivered(message)):
        item = part if isinstance(part, Refused) else screen(part)
        if isinstance(item, Accepted):
            _check_accepted(item)
        elif isinstance(item, Refused):
            _check_refused(item)
        elif isinstance(item, StateChange):
            assert item.device == topics.check_device_name(item.device)
        found.append(type(item).__name__)
    decoded = decode_stream(io.BytesIO(message.payload)) if len(found) == 1 else decode_payload(message.payload)
    assert all(isinstance(one, dict | MessageError) for one in decoded)
    return found


def _check_accepted(item: Accepted) -> None:
    envelope = item.envelope
    assert item.received.topic == topics.up(topics.check_device_name(envelope.device), envelope.type)
    assert _ID.fullmatch(envelope.message)
    assert _ID.fullmatch(envelope.record)
    assert item.recorded_at.tzinfo is timezone.utc
    kind = BODIES[envelope.type]
    assert envelope.version == kind.VERSION
    # as the database keeps it, it is read again as the same
    again = kind.model_validate_json(json.dumps(item.body, ensure_ascii=False, allow_nan=False).encode())
    assert again.natural_key() == item.natural_key
    assert "\0" not in item.natural_key
    for field in kind.BOXES:
        rows = unpack_boxes(str(item.body.get(field, "")))
        assert not len(rows) or rows["label"].max() < len(getattr(again, "labels"))  # noqa: B009  (two types have it)


def _check_refused(item: Refused) -> None:
    assert 0 < len(item.reason) <= MOST_REASON
    assert item.message is None or _ID.fullmatch(item.message)
    if item.device is not None:
        try:
            assert item.received.topic.split("/")[2] == topics.check_device_name(item.device)
        except IdentityError as error:
            raise AssertionError from error


def run(seed: int, inputs: int, first: int = 0) -> Counter[str]:
    """Judge so many messages.

    Raises:
        AssertionError: one does not hold; the message says which to replay.
    """
    begin = recorded()
    tally: Counter[str] = Counter()
    begun = time.monotonic()
    for number in range(first, first + inputs):
        try:
            tally.update(judge(hostile_message(seed, number, begin)))
        except Exception as error:  # noqa: PERF203  (the number is what replays it)
            raise AssertionError(
                f"seed {seed}, message {number}: python -m tests.hostile one {seed} {number}"
            ) from error
    tally["seconds"] = round(time.monotonic() - begun)
    return tally
