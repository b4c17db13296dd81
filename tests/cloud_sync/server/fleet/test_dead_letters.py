"""What to do about a refused message, for each reason that the server gives."""

from __future__ import annotations

from typing import Any

import pytest

from cloud_sync.messages import MOST_BYTES
from cloud_sync.server.fleet.dead_letters import advice, readable
from cloud_sync.server.screening import Refused, screen
from tests.cloud_sync.helpers import EXAMPLES, envelope, received


def reason(fields: dict[str, Any] | bytes, topic: str | None = None) -> str:
    """What the server says of a message."""
    refused = screen(received(fields, topic=topic))
    assert isinstance(refused, Refused)
    return refused.reason


@pytest.mark.parametrize(
    ("said", "do"),
    [
        (reason(envelope(version=7)), "Upgrade the server; the device then sends it again by itself."),
        (reason(envelope("weather")), "Upgrade the server; the device then sends it again by itself."),
        (reason(envelope(device="a"), "pomona/v1/b/up/tree"), "pomona server revoke NAME."),
        (reason(envelope("tree"), "pomona/v1/jetson-1/up/count"), "pomona server revoke NAME."),
        (reason(envelope(), "pomona/v1/jetson-1/up/tree/x"), "Find out which program"),
        (reason(envelope(), "pomona/v1/pomona-server/up/tree"), "Find out which program"),
        (reason(b" " * (MOST_BYTES + 1)), "too long for the wire"),
        (reason(envelope(recorded_at="0001-01-01T00:00:00+14:00")), "The device's clock is far off."),
        (reason(envelope(recorded_at="yesterday")), "The device's clock is far off."),
        ("the server cannot store it: DataError", "Once that is mended: pomona server dead-letters replay --all."),
        (reason(envelope(body={**EXAMPLES["tree"], "latitude": 91})), "Bring both to the same version"),
        (reason(b"no json"), "Bring both to the same version"),
    ],
)
def test_each_reason_has_a_remedy(said: str, do: str) -> None:
    assert do in advice(said)


def test_what_was_sent_can_be_read_and_steers_nothing() -> None:
    assert readable(b'{"a": "\xc3\xa4"}\n\tb') == '{"a": "ä"}\n\tb'
    assert readable(b"\x1b[31mred\x00") == "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}"
    assert readable(b"\xff\xfe") is None
    assert readable(b"x" * 10, most=4) == "xxxx …"
