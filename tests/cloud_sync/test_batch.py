"""Many messages in one."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.batch import MOST_MESSAGES, MOST_UNFOLDED_BYTES, decode_batch, encode_batch
from cloud_sync.errors import MessageError
from cloud_sync.messages import MOST_BYTES
from device.store import Store
from tests.benchmarks.wire import OF_A_COUNT, OF_A_TREE, bytes_each, drawn_messages, waiting

LINES = st.lists(st.binary(max_size=200).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=50)


@given(LINES)
def test_what_is_packed_comes_out_again_in_order(lines: list[bytes]) -> None:
    """SYNC-015."""
    assert decode_batch(encode_batch(lines)) == lines


def test_a_batch_is_lines_of_json_to_any_zlib() -> None:
    """SYNC-015."""
    payload = encode_batch([b'{"message":"1"}', b'{"message":"2"}'])
    assert [json.loads(line)["message"] for line in zlib.decompress(payload).splitlines()] == ["1", "2"]


@pytest.mark.parametrize("lines", [[], [b"a\nb"], [b""] * (MOST_MESSAGES + 1)])
def test_what_no_batch_can_hold_is_not_packed(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match="batch"):
        encode_batch(lines)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "is cut short"),
        (b"{}", "is no zlib stream"),
        (zlib.compress(b"{}" * 100)[:-3], "is cut short"),
        (zlib.compress(b"{}") + b"more", "has 4 bytes behind its end"),
        (zlib.compress(b"\0" * (MOST_UNFOLDED_BYTES + 1)), "unfolds to more than 4194304 bytes"),
        (zlib.compress(b"\n" * MOST_MESSAGES), "holds more than 1000 messages"),
        (zlib.compress(b"{}\n" + bytes(MOST_BYTES + 1)), "holds a message longer than 262144 bytes"),
        (bytes(MOST_BYTES + 1), "is longer than 262144"),
    ],
)
def test_what_is_no_batch_is_refused_with_the_reason(payload: bytes, said: str) -> None:
    """SYNC-017."""
    with pytest.raises(MessageError, match=said):
        decode_batch(payload)


@given(st.binary(max_size=300))
def test_whatever_comes_is_unpacked_or_refused(payload: bytes) -> None:
    try:
        lines = decode_batch(payload)
    except MessageError:
        return
    assert 1 <= len(lines) <= MOST_MESSAGES


def test_a_count_with_its_150_boxes_takes_less_than_1200_bytes(store: Store) -> None:
    """SYNC-015, SYNC-070: and with the records of its tree and its photo little more."""
    drawn_messages(store, boxes=150, trees=10)
    messages = waiting(store)
    assert bytes_each(messages, OF_A_COUNT, trees=5) < 1000
    assert bytes_each(messages, OF_A_TREE, trees=5) < 1150
    assert bytes_each(messages, OF_A_COUNT, trees=2) < 1200
