"""Hostile messages, made of the recorded ones: fields changed, bytes turned, batches torn, topics and ids swapped.

The same random numbers make the same message, so that a seed replays what failed.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloud_sync import topics

_VECTORS = Path(__file__).parents[1] / "vectors"
_FILES = ("messages", "older-messages", "batches", "bad-messages", "states")
_ID = "01997a00-0000-7000-8000-0000000000ff"
# what a field may hold that its reader did not think of
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 255, 256, 65_536, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, -(10**400)),
    *(0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan"), 5e-324),
    *("", " ", "\0", "a\nb", "\x7f", "\u202e", "\ud800", "é" * 100, "果" * 201, "x" * 70_000, "NaN", "1", "null", "-1"),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "2024-02-30", "2024-09-01", "1970-01-01T00:00:00Z"),
    *(_ID, _ID.upper(), "../../etc/passwd", "'; DROP TABLE record; --", "<script>", "{{7*7}}", "%s%n", "$(reboot)"),
    *([], {}, [[]], [None] * 300, {"": ""}, {"a": {"a": {"a": []}}}, ["x"] * 3, {"$ref": "#"}, {"__proto__": 1}),
)
_TYPES = ("tree", "photo", "detections", "count", "estimate", "thumbnail", "review", "batch", "weather", "a/b", "", "+")
_DEVICES = ("orchard-07", "orchard-08", "pomona-server", "Orchard", "-a", "a" * 64, "", "+", "果")


@dataclass(frozen=True)
class Hostile:
    """A message as it would be published.

    Attributes:
        topic: where.
        correlation: its correlation data.
        payload: its bytes.
    """

    topic: str
    correlation: bytes
    payload: bytes

    def as_bytes(self) -> bytes:
        """All of it in one piece, for a fuzzer that knows bytes only."""
        return b"\0".join((self.topic.encode(errors="surrogatepass"), self.correlation.hex().encode(), self.payload))

    @classmethod
    def from_bytes(cls, content: bytes) -> Hostile:
        """What :meth:`as_bytes` wrote, or whatever else came."""
        topic, correlation, payload = [*content.split(b"\0", 2), b"", b""][:3]
        with contextlib.suppress(ValueError):
            correlation = bytes.fromhex(correlation.decode())
        return cls(topic.decode(errors="replace"), correlation, payload)


def recorded() -> list[Hostile]:
    """The test vectors, good and bad, to begin with; large ones once, the others so often that they are the rule."""
    found: list[Hostile] = []
    for name in _FILES:
        for vector in json.loads((_VECTORS / f"{name}.json").read_text(encoding="utf-8")):
            text = vector.get("payload")
            payload = base64.b64decode(vector["payload_base64"]) if text is None else text.encode()
            message = Hostile(vector["topic"], vector.get("correlation_data", "").encode(), payload)
            found += [message] * (1 if _is_large(payload) else 5 if name == "bad-messages" else 50)
    return found


def _is_large(payload: bytes) -> bool:
    return max(len(payload), sum(map(len, lines_of(payload)))) > 10_000


def mutate(message: Hostile, chance: random.Random, others: list[Hostile]) -> Hostile:
    """The message with some changes.

    Args:
        message: the message.
        chance: where the changes come from.
        others: messages to take parts from.
    """
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        change = chance.choices(_CHANGES, _WEIGHTS)[0]
        message = change(message, chance, others)
    return message


def _fields(message: Hostile, chance: random.Random, others: list[Hostile]) -> Hostile:
    """Change the JSON, of one line of it where it is a batch."""
    lines = lines_of(message.payload)
    at = chance.randrange(len(lines)) if lines else 0
    text = lines[at] if lines else message.payload
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return _bytes(message, chance, others)
    made = _changed(fields, chance)
    if not lines:
        return replace(message, payload=made)
    return replace(
        message, payload=zlib.compress(b"\n".join([*lines[:at], made.replace(b"\n", b" "), *lines[at + 1 :]]))
    )


def _changed(fields: Any, chance: random.Random) -> bytes:
    places = list(_places(fields))
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not places:
            break
        holder, key = chance.choice(places)
        how = chance.randrange(6)
        try:
            value = holder[key]
            if how == 0:
                del holder[key]
            elif how == 1 and isinstance(value, str):
                holder[key] = _text(value, chance)
            elif how == 2 and isinstance(holder, dict):
                holder[chance.choice(("", "new", "body", "type", str(key).upper(), "x" * 300))] = value
            elif how == 3:
                other_holder, other_key = chance.choice(places)
                holder[key] = other_holder[other_key]
            else:
                holder[key] = chance.choice(_VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    try:
        text = json.dumps(fields, ensure_ascii=chance.random() < 0.8, indent=chance.choice((None, None, None, 1)))
    except (ValueError, RecursionError):  # a number of too many digits, or fields that hold themselves
        text = '{"body":' + "9" * 5000 + "}"
    if chance.random() < 0.03:
        text = text.replace(":", ':{"a":' * chance.choice((2, 100, 300, 5000)), 1)
    if chance.random() < 0.03:
        text = text[:-1] + "," + text[1:]  # every field twice
    return text.encode(errors="surrogatepass")


def _places(fields: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Where something can be changed: a list or object, and an index or key into it."""
    if depth > 6 or not isinstance(fields, dict | list):
        return []
    keys = list(fields) if isinstance(fields, dict) else list(range(len(fields)))[:20]
    return [(fields, key) for key in keys] + [place for key in keys for place in _places(fields[key], depth + 1)]


def _text(value: str, chance: random.Random) -> str:
    """Another text: of packed boxes other bits, of others other characters."""
    at = chance.randrange(len(value) + 1)
    how = chance.randrange(5)
    if how == 0:
        return value[:at]
    if how == 1:
        return value[:at] + chance.choice(("A", "/", "=", "\0", "\ud800", "é", "9", "-", "\n")) + value[at + 1 :]
    if how == 2:
        return value * chance.choice((2, 3, 30))
    if how == 3:
        return base64.b64encode(chance.randbytes(chance.choice((1, 11, 12, 30, 200)))).decode()
    try:
        content = bytearray(base64.b64decode(value, validate=True))
    except ValueError:
        return value[::-1]
    for _ in range(chance.choice((1, 1, 3)) if content else 0):
        bit = chance.randrange(min(len(content), chance.choice((11, 20, 10**6))) * 8)
        content[bit // 8] ^= 0x80 >> bit % 8
    return base64.b64encode(content).decode()


def _bytes(message: Hostile, chance: random.Random, others: list[Hostile]) -> Hostile:
    """Change bytes of the payload as it is."""
    content = bytearray(message.payload)
    at, to = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    how = chance.randrange(7)
    if how == 0 and content:
        for _ in range(chance.choice((1, 2, 8))):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif how == 1:
        del content[at:to]
    elif how == 2:
        content[at:at] = chance.randbytes(chance.choice((1, 4, 64)))
    elif how == 3:
        content[at:at] = content[at : min(to, at + 2000)]
    elif how == 4:
        content = content[:at]
    elif how == 5:
        other = chance.choice(others).payload
        content[at:] = other[chance.randrange(len(other) + 1) :]
    else:
        content = bytearray(
            chance.choice((b"", b"\0", b"[", b"{}", b"null", b"[" * 5000, b"\xff\xfe", b"\x78\x9c", b"\n"))
        )
    return replace(message, payload=bytes(content))


def lines_of(payload: bytes) -> list[bytes]:
    """Lines of a batch, none of anything else."""
    if not payload.startswith(b"\x78"):
        return []
    try:
        unfolded = zlib.decompressobj().decompress(payload, 4 * 1024 * 1024)
    except zlib.error:
        return []
    return unfolded.split(b"\n")


def _batch(message: Hostile, chance: random.Random, others: list[Hostile]) -> Hostile:
    """Tear a batch, or make one of what was none."""
    lines = lines_of(message.payload) or [
        message.payload,
        *(chance.choice(others).payload for _ in range(chance.randrange(3))),
    ]
    how = chance.randrange(6)
    if how == 0:
        chance.shuffle(lines)
    elif how == 1:
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(others).payload)
    elif how == 2:
        lines = lines * chance.choice((2, 2, 3, 3, 3, 50))
    elif how == 3:
        lines.append(chance.choice((b"", b"{", b"\0", b"\r", b"[]")))
    elif how == 4:
        del lines[chance.randrange(len(lines))]
    unfolded = b"\n".join(lines)[: 5 * 1024 * 1024]
    packing = chance.randrange(10)
    if packing == 0:
        payload = gzip.compress(unfolded, 1)
    elif packing == 1:
        payload = zlib.compress(unfolded, 1)[2:-4]
    elif packing == 2:
        payload = zlib.compress(unfolded, 1) + chance.randbytes(3)
    elif packing == 3:
        payload = zlib.compress(unfolded + b" " * chance.choice((1, 1, 1, 1, 1, 1, 1, 1, 1, 100_000, 5_000_000)), 1)
    else:
        payload = zlib.compress(unfolded, 1)
    topic = message.topic.rsplit("/", 1)[0] + f"/{topics.BATCH}" if chance.random() < 0.9 else message.topic
    return replace(message, topic=topic, payload=payload)


def _topic(message: Hostile, chance: random.Random, others: list[Hostile]) -> Hostile:
    how = chance.randrange(5)
    parts = message.topic.split("/")
    if how == 0:
        topic = topics.up(parts[2] if len(parts) > 2 else "orchard-07", chance.choice(_TYPES))
    elif how == 1:
        topic = message.topic.replace("orchard-07", chance.choice(_DEVICES))
    elif how == 2:
        topic = topics.state(chance.choice(_DEVICES))
    elif how == 3:
        topic = chance.choice(others).topic
    else:
        topic = chance.choice(
            ("", "/", "pomona", message.topic + "/x", "x" * 60_000, "$SYS/broker", "pomona/v1//up/tree")
        )
    return replace(message, topic=topic)


def _correlation(message: Hostile, chance: random.Random, others: list[Hostile]) -> Hostile:
    made = (
        b"",
        b":1",
        b"\xff" * 40,
        f"{_ID}:1".encode(),
        f"{_ID}:99999".encode(),
        b"x" * 60_000,
        chance.choice(others).correlation,
    )
    return replace(message, correlation=chance.choice(made))


_CHANGES: tuple[Callable[[Hostile, random.Random, list[Hostile]], Hostile], ...] = (
    _fields,
    _bytes,
    _batch,
    _topic,
    _correlation,
)
_WEIGHTS = (10, 3, 2, 1, 1)
