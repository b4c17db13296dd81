"""The decoder of recorded messages: every way they are recorded, and what it says of those that are none."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.batch import MOST_UNFOLDED_BYTES, encode_batch
from cloud_sync.decoder import decode_stream
from cloud_sync.device_state import DeviceState
from cloud_sync.digests import BlockDigest, DigestAnswer, DigestQuestion, Missing
from cloud_sync.errors import MessageError
from cloud_sync.greeting import Greeting
from cloud_sync.messages import Answer, Answers
from cloud_sync.outbox import new_id
from tests.cloud_sync.helpers import EXAMPLES, PHOTO_HASH, envelope
from tests.conftest import Pomona
from tests.processes import ROOT

BOX = {"label": "apple", "score": 0.902, "box": [10, 20, 30, 40]}


def decoded(recorded: bytes) -> list[dict[str, Any] | MessageError]:
    return list(decode_stream(io.BytesIO(recorded)))


def payload(kind: str = "tree", **changes: Any) -> bytes:
    return json.dumps(envelope(kind, **changes)).encode()


def types(recorded: bytes) -> list[str]:
    return [item["type"] if isinstance(item, dict) else str(item) for item in decoded(recorded)]


def test_boxes_are_unpacked_under_their_labels() -> None:
    (found,) = decoded(payload("detections"))
    assert isinstance(found, dict)
    assert found["body"] == {**EXAMPLES["detections"], "boxes": [BOX]}
    assert found["natural_key"] == f"detections/{PHOTO_HASH}/yolo-a%201.0%200123abcd"
    (review,) = decoded(payload("review"))
    assert isinstance(review, dict)
    assert (review["body"]["removed"], review["body"]["added"]) == ([BOX], [])


@pytest.mark.parametrize("kind", EXAMPLES)
def test_everything_else_is_said_as_it_was_sent(kind: str) -> None:
    fields = envelope(kind, new=[1])
    (found,) = decoded(json.dumps(fields).encode())
    assert isinstance(found, dict)
    found.pop("natural_key")
    for field in ("boxes", "removed", "added"):
        if field in fields["body"]:
            fields["body"] = {**fields["body"], field: found["body"][field]}
    assert found == fields


def test_an_older_message_is_said_in_the_newest_version() -> None:
    """SYNC-014."""
    (found,) = decoded(payload("detections", version=1, body={**EXAMPLES["detections"], "boxes": "CgAUAB4AKADmAA=="}))
    assert isinstance(found, dict)
    assert (found["version"], found["body"]["boxes"]) == (2, [BOX])


BATCH = encode_batch([payload("tree"), payload("count")])
TOPIC = b"pomona/v1/jetson-1/up/batch "


@pytest.mark.parametrize(
    "recorded",
    [
        BATCH,
        BATCH + b"\n",
        BATCH.hex().encode(),
        BATCH.hex().upper().encode() + b"\r\n",
        TOPIC + BATCH.hex().encode() + b"\n",
        payload("tree") + b"\n\n" + payload("count") + b"\n",
        b"pomona/v1/jetson-1/up/tree " + payload("tree") + b"\n" + payload("count").hex().encode(),
    ],
)
def test_every_way_of_recording_is_understood(recorded: bytes) -> None:
    """SYNC-016."""
    assert types(recorded) == ["tree", "count"]


def test_batches_and_messages_may_follow_each_other_in_any_form() -> None:
    parts = [BATCH, BATCH, b"\n", payload("visit"), b"\n", BATCH, b"\n", BATCH.hex().encode(), b"\n", payload("photo")]
    assert types(b"".join(parts)) == [*["tree", "count"] * 2, "visit", *["tree", "count"] * 2, "photo"]


def test_a_batch_with_line_breaks_in_it_is_whole() -> None:
    """SYNC-015: compressed bytes have them by chance."""
    batches = (encode_batch([payload("tree", boot=os.urandom(20).hex())] * 3) for _ in range(100))
    broken = next(made for made in batches if made.count(b"\n") > 2)
    assert types(broken + b"\n" + payload("count")) == ["tree"] * 3 + ["count"]


def test_answers_and_state_are_said_too() -> None:
    answers = Answers(answers=[Answer(message=new_id(), result="stored")])
    state = DeviceState(online=False, store=new_id())
    said = answers.model_dump_json(exclude_unset=True).encode()
    assert decoded(said + b"\n" + state.payload()) == [json.loads(said), json.loads(state.payload())]


def test_what_is_said_of_comparisons_is_said_too() -> None:
    """SYNC-061."""
    store = new_id()
    for message in (
        Greeting(version="1.0", accepts={"tree": 1}),
        DigestQuestion(store=store, width=256, blocks=[0]),
        DigestAnswer(store=store, width=16, blocks=[BlockDigest(block=0, messages=[7])]),
        Missing(store=store, ranges=[(1, 3)]),
    ):
        payload = message.model_dump_json(exclude_unset=True).encode()
        assert decoded(payload) == [json.loads(payload)]


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (b"hello", "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b"[" * 100_000, "Invalid JSON"),
        (b"abc", "Invalid JSON"),
        (b"abcd", "Invalid JSON"),
        (b'{"answers": 3}', "answers: "),
        (b'{"online": 3}', "online: "),
        (payload("weather"), "type 'weather' is unknown"),
        (payload("tree", version=2), "newer than 1"),
        (payload("detections", body={**EXAMPLES["detections"], "boxes": "AAAA"}), "boxes are cut short"),
        (BATCH[:-2], "is cut short"),
        (BATCH[:9] + b"\xff\xff" + BATCH[11:], "zlib"),
        (zlib.compress(bytes(MOST_UNFOLDED_BYTES + 1)), "unfolds to more than"),
        (b"x" * 600_000, "longer than"),
    ],
)
def test_what_is_no_message_is_said_and_the_rest_go_on(recorded: bytes, reason: str) -> None:
    *errors, last = (
        decoded(recorded + b"\n" + payload("count"))
        if not recorded.startswith(b"\x78")
        else (
            *decoded(recorded),
            *decoded(payload("count")),
        )
    )
    assert errors
    assert all(isinstance(error, MessageError) for error in errors)
    assert reason in str(errors[0])
    assert isinstance(last, dict)


def test_a_batch_that_would_fill_the_memory_is_not_unfolded() -> None:
    """SYNC-017."""
    bomb = zlib.compress(bytes(60_000_000))
    tracemalloc.start()
    (error,) = decoded(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "unfolds to more than" in str(error)
    assert peak < 4 * MOST_UNFOLDED_BYTES


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda tail: BATCH[:40] + tail))
def test_whatever_was_recorded_is_decoded_or_said_to_be_none(recorded: bytes) -> None:
    """SYNC-047."""
    assert all(isinstance(item, dict | MessageError) for item in decoded(recorded))


def test_the_command_prints_a_line_for_each_message(run_pomona: Pomona, tmp_path: Path) -> None:
    file = tmp_path / "batch.bin"
    file.write_bytes(BATCH)
    done = run_pomona("decode", file)
    assert done.exit_code == 0
    assert [json.loads(line)["type"] for line in done.out.splitlines()] == ["tree", "count"]


def test_the_command_says_what_is_no_message_and_goes_on(run_pomona: Pomona, tmp_path: Path) -> None:
    file = tmp_path / "recorded.txt"
    file.write_bytes(b"hello\n" + payload("tree") + b"\n")
    done = run_pomona("decode", file)
    assert done.exit_code == 2
    assert done.err.startswith("Error: message 1: Invalid JSON")
    assert json.loads(done.out)["type"] == "tree"


def test_what_comes_in_is_said_as_it_comes() -> None:
    command = [sys.executable, "pomona.py", "decode"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as decoding:
        assert decoding.stdin is not None
        assert decoding.stdout is not None
        for recorded, kind in ((payload("tree"), "tree"), (TOPIC + BATCH.hex().encode(), "tree")):
            decoding.stdin.write(recorded + b"\n")
            decoding.stdin.flush()
            assert json.loads(decoding.stdout.readline())["type"] == kind
        decoding.stdin.close()
        assert json.loads(decoding.stdout.read())["type"] == "count"
    assert decoding.returncode == 0
