"""Screening: what a message is, from its topic, its correlation data and its bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.batch import encode_batch
from cloud_sync.messages import MOST_BYTES, MOST_REASON
from cloud_sync.outbox import new_id
from cloud_sync.server.screening import Accepted, Asked, Refused, StateChange, screen, unfold
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

STORE = "0190a000-0000-7000-8000-000000000001"


def refused(fields: dict[str, Any] | bytes, **how: Any) -> Refused:
    item = screen(received(fields, **how))
    assert isinstance(item, Refused)
    return item


@pytest.mark.parametrize("kind", EXAMPLES)
def test_valid_messages_are_accepted_with_their_key_and_body(kind: str) -> None:
    item = screen(received(envelope(kind)))
    assert isinstance(item, Accepted)
    assert item.natural_key.split("/")[0] == kind
    assert item.body == EXAMPLES[kind]
    assert item.recorded_at == datetime(2024, 9, 1, 2, tzinfo=timezone.utc)


def test_another_device_s_envelope_is_answered_to_the_topic_s_device() -> None:
    """SYNC-042."""
    fields = envelope(device="victim")
    item = refused(fields, topic="pomona/v1/thief/up/tree")
    assert (item.device, item.message) == ("thief", fields["message"])
    assert item.reason == "the envelope names device 'victim', the topic 'thief'"


def test_topic_and_envelope_must_agree_on_the_type() -> None:
    """SYNC-043."""
    item = refused(envelope("tree"), topic="pomona/v1/jetson-1/up/count")
    assert item.reason == "the envelope says type 'tree', the topic 'count'"


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"{", b"[]", b"null", b"{}", b"[" * 5000, b'{"a":' * 5000])
def test_bytes_nobody_can_parse_are_answered_by_their_correlation_data(payload: bytes) -> None:
    """SYNC-044."""
    message = new_id()
    item = refused(payload, correlation=f"{message}:1".encode())
    assert (item.device, item.message) == ("jetson-1", message)
    assert item.reason


@pytest.mark.parametrize("correlation", [b"", b":", b"x:1", b"\xff" * 40, STORE.encode(), f"{STORE}:1\n".encode()])
def test_without_correlation_data_there_is_nobody_to_answer(correlation: bytes) -> None:
    """SYNC-044."""
    assert refused(b"{", correlation=correlation).message is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "weather", "body": {}}, "type 'weather' is unknown"),
        ({"version": 2}, "newer than 1"),
        ({"body": {**EXAMPLES["tree"], "latitude": "north"}}, "tree: latitude"),
        ({"body": {**EXAMPLES["tree"], "latitude": float("nan")}}, "tree: latitude"),
        ({"body": {**EXAMPLES["tree"], "unknown": float("nan")}}, "not finite"),
        ({"body": {**EXAMPLES["tree"], "unknown": {"deep": [float("inf")]}}}, "not finite"),
        ({"body": {**EXAMPLES["tree"], "unknown": ["a\0b"]}}, "holds a NUL character"),
        ({"body": {**EXAMPLES["tree"], "unknown": "\\\0"}}, "holds a NUL character"),
        ({"boot": "a\0"}, "holds a NUL character"),
        ({"body": {**EXAMPLES["tree"], "unknown": "x" * MOST_BYTES}}, "longer than"),
        ({"recorded_at": "0001-01-01T00:00:00+14:00"}, "outside the calendar"),
        ({"recorded_at": "9999-12-31T23:00:00-05:00"}, "outside the calendar"),
        ({"sequence": 10**30}, "sequence"),
        ({"body": None}, "body"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    """SYNC-045."""
    assert reason in refused(envelope(**changes)).reason


def test_a_surrogate_that_is_no_character_is_refused() -> None:
    """SYNC-045."""
    payload = json.dumps(envelope()).replace("A-01", "\\ud800").encode()
    assert refused(payload).reason


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "a",
        "pomona/v1/Upper/up/tree",
        "pomona/v1/pomona-server/up/tree",
        "pomona/v1/a/up",
        "x/v1/a/up/tree",
        "x/v1/a/state",
    ],
)
def test_topics_of_no_device_are_refused_without_an_answer(topic: str) -> None:
    """SYNC-001."""
    item = refused(envelope(), topic=topic)
    assert item.device is None


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("x" * 60_000, "the topic is not pomona/v1/<device>/up/<type>"),
        (f"pomona/v1/{'Y' * 60_000}/up/tree", f"topic: '{'Y' * 64}' cannot name a device; use 1 to 63 lower-case"),
        (f"pomona/v1/jetson-1/up/{'果' * 2000}", f"the envelope says type 'tree', the topic '{'果' * 64}'"),
    ],
)
def test_a_long_topic_does_not_make_a_long_reason(topic: str, reason: str) -> None:
    """SYNC-051."""
    item = refused(envelope(), topic=topic)
    assert item.reason.startswith(reason)
    assert len(item.reason) <= MOST_REASON


def test_a_long_name_in_a_body_does_not_make_a_long_reason() -> None:
    """SYNC-051."""
    item = refused(envelope("detections", body={**EXAMPLES["detections"], "counts": {"x" * 90_000: 1}}))
    assert item.reason.startswith("detections: counts.xxx")
    assert len(item.reason) == MOST_REASON


def test_a_null_is_kept_where_the_device_sent_one() -> None:
    """SYNC-012: a field that is there and empty is not the same as one that is missing."""
    sent = {**EXAMPLES["count"], "reviewed": None, "unknown": None, "deep": {"unknown": [None]}}
    item = screen(received(envelope("count", body=sent)))
    assert isinstance(item, Accepted)
    assert item.body == sent


def test_state_is_told_from_records() -> None:
    """SYNC-060."""
    topic = "pomona/v1/jetson-1/state"
    item = screen(received(json.dumps({"online": True, "store": STORE}).encode(), topic=topic))
    assert isinstance(item, StateChange)
    assert (item.device, item.state.online, item.state.store) == ("jetson-1", True, STORE)
    assert screen(received(b"", topic=topic)) is None
    assert refused(b"{}", topic=topic).reason.startswith("state: ")


@settings(max_examples=300, deadline=None)
@given(payload=st.binary(max_size=100), topic=st.text(max_size=40), correlation=st.binary(max_size=60))
def test_any_message_whatever_is_screened(payload: bytes, topic: str, correlation: bytes) -> None:
    """SYNC-047."""
    assert not isinstance(screen(received(payload, topic=topic, correlation=correlation)), Accepted)


def screened(payload: bytes, **how: Any) -> list[Accepted | Refused | StateChange | Asked | None]:
    """What becomes of a message on a device's topic of batches."""
    how = {"topic": "pomona/v1/jetson-1/up/batch", **how}
    return [part if isinstance(part, Refused) else screen(part) for part in unfold(received(payload, **how))]


def packed(*lines: dict[str, Any] | bytes) -> bytes:
    return encode_batch([line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines])


def test_each_line_of_a_batch_is_judged_as_it_would_be_alone() -> None:
    """SYNC-016."""
    lines = [envelope("count"), envelope("tree", version=9), envelope("tree")]
    for line, item in zip(lines, screened(packed(*lines)), strict=True):
        alone = screen(received(line))
        assert type(item) is type(alone)
        assert isinstance(item, Accepted | Refused)
        assert replace(item, received=alone.received) == alone  # type: ignore[union-attr]
        assert item.received.topic == f"pomona/v1/jetson-1/up/{line['type']}"
        assert item.received.correlation == f"{line['message']}:{line['version']}".encode()
        assert json.loads(item.received.payload) == line


@pytest.mark.parametrize("payload", [b"", b"{}", packed(envelope())[:-1], packed(envelope()) + b"\n"])
def test_a_batch_nobody_can_unfold_is_answered_by_its_correlation_data(payload: bytes) -> None:
    """SYNC-017."""
    batch = new_id()
    (item,) = screened(payload, correlation=f"{batch}:1".encode())
    assert isinstance(item, Refused)
    assert (item.device, item.message, item.received.payload) == ("jetson-1", batch, payload)
    assert item.reason.startswith("batch ")
    (item,) = screened(payload)
    assert isinstance(item, Refused)
    assert item.message is None


def test_a_batch_of_no_device_is_refused_without_an_answer() -> None:
    """SYNC-001, SYNC-017."""
    for payload in (b"{}", packed(envelope())):
        (item,) = screened(payload, topic="pomona/v1/Upper/up/batch", correlation=f"{new_id()}:1".encode())
        assert isinstance(item, Refused)
        assert item.device is None


@pytest.mark.parametrize("line", [b"", b"{", b"\x00", b"{}", packed(envelope()).replace(b"\n", b"")])
def test_a_line_nobody_can_read_is_a_dead_letter_by_itself(line: bytes) -> None:
    """SYNC-018."""
    first, broken, last = screened(packed(envelope(), line, envelope()), correlation=f"{new_id()}:1".encode())
    assert isinstance(first, Accepted)
    assert isinstance(last, Accepted)
    assert isinstance(broken, Refused)
    assert (broken.device, broken.message, broken.received.payload) == ("jetson-1", None, line)


def test_a_line_of_another_device_is_answered_to_the_topic_s_device() -> None:
    """SYNC-018, SYNC-042."""
    fields = envelope(device="victim")
    stolen, own = screened(packed(fields, envelope()))
    assert isinstance(stolen, Refused)
    assert (stolen.device, stolen.message) == ("jetson-1", fields["message"])
    assert stolen.reason == "the envelope names device 'victim', the topic 'jetson-1'"
    assert isinstance(own, Accepted)


def test_a_batch_in_a_batch_is_no_message() -> None:
    """SYNC-016."""
    (item,) = screened(packed(envelope("batch")))
    assert isinstance(item, Refused)
    assert "type 'batch' is unknown" in item.reason


@settings(max_examples=300, deadline=None)
@given(lines=st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=5))
def test_any_lines_whatever_are_screened(lines: list[bytes]) -> None:
    """SYNC-047."""
    items = screened(encode_batch(lines))
    assert [item.received.payload for item in items if isinstance(item, Refused)] == lines


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "\\u0000", "a\\\\u0000"])
def test_a_text_that_only_looks_like_what_is_refused_is_stored(text: str) -> None:
    """SYNC-012."""
    item = screen(received(envelope(body={**EXAMPLES["tree"], "unknown": text})))
    assert isinstance(item, Accepted)
    assert item.body["unknown"] == text


def test_what_a_reason_quotes_can_be_kept_and_shown() -> None:
    """SYNC-047: the name of a field is the device's own."""
    item = screen(received(envelope("detections", body={**EXAMPLES["detections"], "counts": {"a\0\x1b": "x"}})))
    assert isinstance(item, Refused)
    assert item.reason.isprintable()
    assert "counts" in item.reason
