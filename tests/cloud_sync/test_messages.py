"""Messages: whatever comes in is either a valid message or a MessageError."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync import topics
from cloud_sync.boxes import ROW, pack_boxes
from cloud_sync.errors import MessageError
from cloud_sync.messages import BODIES, MOST_BYTES, decode_body, decode_envelope, pack_series, unpack_series
from tests.cloud_sync.helpers import EXAMPLES, PHOTO_HASH, envelope

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


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("detections", {"boxes": "AAEA"}, "detections: boxes: boxes are cut short"),
        ("detections", {"boxes": "AAEAFAAU5gHC//+Y"}, "boxes: "),
        ("detections", {"labels": []}, "detections: labels: "),
        ("review", {"removed": "AAEA"}, "review: removed: boxes are cut short"),
        ("review", {"photo": None}, "review: is of a photo's boxes or of a tree's count, and of one of them"),
        ("review", {"count": 3}, "review: is of a photo's boxes or of a tree's count, and of one of them"),
        ("review", {"photo": None, "count": 3}, "review: of a tree's count has no boxes"),
        ("review", {"labels": []}, "review: removed: a box has a class index beyond the labels"),
        ("review", {"labels": None}, "review: labels: "),
        ("review", {"reviewed_at": "2024-09-01T12:00:00"}, "review: reviewed_at: "),
        ("thumbnail", {"jpeg": "!"}, "thumbnail: jpeg: no base64"),
        ("thumbnail", {"jpeg": "AAAA"}, "thumbnail: jpeg: no JPEG of at most 20000 bytes"),
        ("thumbnail", {"jpeg": base64.b64encode(b"\xff\xd8\xff" + bytes(19_998)).decode()}, "thumbnail: jpeg: "),
    ],
)
def test_what_a_body_cannot_mean_is_refused(kind: str, changes: dict[str, Any], reason: str) -> None:
    """SYNC-045, SYNC-071, SYNC-072."""
    with pytest.raises(MessageError, match=reason):
        decode(envelope(kind, body={**EXAMPLES[kind], **changes}))


@pytest.mark.parametrize("kind", ["detections", "review"])
def test_a_box_has_one_of_the_body_s_labels(kind: str) -> None:
    """SYNC-071."""
    rows = np.zeros(1, ROW)
    rows["label"] = 2
    field = "boxes" if kind == "detections" else "added"
    body = {**EXAMPLES[kind], field: pack_boxes(rows)}
    with pytest.raises(MessageError, match=f"{kind}: {field}: a box has a class index beyond the labels"):
        decode(envelope(kind, body=body))
    decode(envelope(kind, body={**body, "labels": ["apple", "apple_flower", "pear"]}))


def test_a_review_is_of_a_photo_or_of_a_tree() -> None:
    """SYNC-049: it replaces an earlier review of the same, and no other."""
    of_photo = BODIES["review"].model_validate(EXAMPLES["review"])
    assert of_photo.natural_key() == f"review/{PHOTO_HASH}/yolo-a%201.0%200123abcd/apple"
    said = {**EXAMPLES["review"], "photo": None, "count": 4, "labels": [], "removed": ""}
    assert BODIES["review"].model_validate(said).natural_key() == "review/Dongshan/A/2024-09-01/ripening/A-01/apple"


def test_only_pictures_wait_for_the_others() -> None:
    """SYNC-072."""
    assert {kind for kind, body in BODIES.items() if body.LANE == "bulk"} == {"thumbnail"}


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"series": pack_series([[0.5, 285.0]])}, "8 bytes for 2 months of 2 features"),
        ({"series": pack_series([[0.5, 285.0], [0.6, float("nan")]])}, "no finite number"),
        ({"series": "?"}, "no base64"),
        ({"months": [4, 13]}, "prediction.months"),
        ({"area_ha": 0.0}, "prediction.area_ha"),
        ({"half_width_kg_per_ha": None}, "prediction.half_width_kg_per_ha"),
    ],
)
def test_a_prediction_whose_season_cannot_be_read_is_refused(changes: dict[str, Any], said: str) -> None:
    """SYNC-045."""
    prediction = {**EXAMPLES["estimate"]["prediction"], **changes}
    fields = envelope("estimate", body={**EXAMPLES["estimate"], "prediction": prediction})
    with pytest.raises(MessageError, match=said):
        decode_body(decode_envelope(json.dumps(fields).encode()))


@given(st.integers(1, 12), st.integers(1, 30), st.data())
def test_a_season_comes_back_from_its_packing(months: int, features: int, data: st.DataObject) -> None:
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    month = st.lists(number, min_size=features, max_size=features)
    values = data.draw(st.lists(month, min_size=months, max_size=months))
    assert unpack_series(pack_series(values), months, features) == values
