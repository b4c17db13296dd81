"""Messages: whatever comes in is either a valid message or a MessageError."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync import topics
from cloud_sync.errors import MessageError
from cloud_sync.messages import BODIES, MOST_BYTES, decode_body, decode_envelope
from tests.cloud_sync.helpers import EXAMPLES, envelope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def decode(fields: dict[str, Any]) -> object:
    return decode_body(decode_envelope(json.dumps(fields).encode()))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_examples_of_all_types_are_valid_and_have_a_key(kind: str) -> None:
    """SYNC-010."""
    body = decode_body(decode_envelope(json.dumps(envelope(kind)).encode()))
    assert body.natural_key().startswith(f"{kind}/")
    assert set(EXAMPLES) == set(BODIES)
    assert body.model_dump(mode="json") == EXAMPLES[kind]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_message_error(payload: bytes) -> None:
    """SYNC-047."""
    with pytest.raises(MessageError):
        decode_envelope(payload)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_change_of_a_field_is_valid_or_a_message_error(data: st.DataObject) -> None:
    """SYNC-047."""
    kind = data.draw(st.sampled_from(sorted(EXAMPLES)))
    fields = envelope(kind, body=dict(EXAMPLES[kind]))
    target = data.draw(st.sampled_from([fields, fields["body"]]))
    target[data.draw(st.sampled_from(sorted(target)) | st.text(max_size=5))] = data.draw(JSON)
    with contextlib.suppress(MessageError):
        decode(fields)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_fields_of_a_newer_device_are_kept(kind: str) -> None:
    """SYNC-012."""
    body = decode(envelope(kind, body={**EXAMPLES[kind], "new": {"a": [1]}}, hello="x"))
    assert body.model_dump(mode="json")["new"] == {"a": [1]}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"message": "1"}, "message: "),
        ({"device": "a/b"}, "device: "),
        ({"sequence": 0}, "sequence: "),
        ({"sequence": 2**63}, "sequence: "),
        ({"revision": 0}, "revision: "),
        ({"recorded_at": "2024-09-01T10:00:00"}, "recorded_at: "),
        ({"recorded_at": "yesterday"}, "recorded_at: "),
        ({"body": []}, "body: "),
        ({"type": "weather"}, "type 'weather' is unknown"),
        ({"type": "we/ather"}, "type: "),
        ({"type": "tree\0"}, "type: "),
        ({"version": 2}, "tree version 2 is newer than 1"),
        ({"body": {**EXAMPLES["tree"], "latitude": 91}}, "tree: latitude: "),
        ({"body": {**EXAMPLES["tree"], "tree": ""}}, "tree: tree: "),
        ({"type": "harvest", "body": {**EXAMPLES["harvest"], "weight_kg": -1}}, "harvest: weight_kg: "),
        ({"body": {**EXAMPLES["tree"], "provisional": "perhaps"}}, "tree: provisional: "),
    ],
)
def test_the_error_names_the_field(changes: dict[str, Any], reason: str) -> None:
    """SYNC-045."""
    with pytest.raises(MessageError, match=reason):
        decode(envelope(**changes))


def test_a_long_message_is_refused_before_it_is_parsed() -> None:
    """SYNC-045."""
    with pytest.raises(MessageError, match=f"longer than {MOST_BYTES}"):
        decode_envelope(b"[" * (MOST_BYTES + 1))


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True), st.sampled_from(sorted(BODIES)))
def test_topics_carry_device_and_type_there_and_back(device: str, kind: str) -> None:
    """SYNC-001."""
    assert topics.parse_up(topics.up(device, kind)) == (device, kind)
    assert topics.up(device, kind) != topics.batch(device)


@pytest.mark.parametrize(
    "topic",
    ["", "pomona/v1/a/up", "pomona/v1/a/up/", "pomona/v1//up/tree", "pomona/v1/a/up/tree/x", "pomona/v2/a/up/tree"],
)
def test_other_topics_are_refused(topic: str) -> None:
    """SYNC-001."""
    with pytest.raises(MessageError, match="is not pomona/v1"):
        topics.parse_up(topic)
