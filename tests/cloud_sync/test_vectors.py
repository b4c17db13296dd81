"""The recorded messages mean to this server what they say they mean."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from cloud_sync import json_schemas
from cloud_sync.batch import decode_batch
from cloud_sync.boxes import ROW, pack_boxes, unpack_boxes
from cloud_sync.decoder import decode_payload
from cloud_sync.device_state import DeviceState
from cloud_sync.messages import BODIES, Answer, Answers
from cloud_sync.server.screening import Accepted, Refused, StateChange, screen, unfold
from tests.make_vectors import FOLDER, Recorder, Vector, as_text, make, received


def vectors(name: str) -> list[Vector]:
    read: list[Vector] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return read


MESSAGES, OLDER, BATCHES, BAD = map(vectors, ("messages", "older-messages", "batches", "bad-messages"))


def by_name(vector: Vector) -> str:
    return str(vector["name"])


def test_there_is_a_message_of_each_type() -> None:
    """SYNC-065."""
    assert {vector["type"] for vector in MESSAGES} == BODIES.keys(), "run python -m tests.make_vectors"


@pytest.mark.parametrize("vector", [*MESSAGES, *OLDER], ids=by_name)
def test_messages_say_what_they_say_plainly(vector: Vector) -> None:
    """SYNC-065."""
    assert list(decode_payload(vector["payload"].encode())) == [vector["plain"]]
    item = screen(received(vector))
    assert isinstance(item, Accepted)
    assert item.natural_key == vector["plain"]["natural_key"]
    assert vector["correlation_data"] == f"{item.envelope.message}:{json.loads(vector['payload'])['version']}"


@pytest.mark.parametrize("vector", MESSAGES, ids=by_name)
def test_messages_fit_their_schema(vector: Vector) -> None:
    """SYNC-061, SYNC-065."""
    schema = json.loads((json_schemas.FOLDER / f"{vector['type']}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(vector["payload"]))


@pytest.mark.parametrize("vector", BATCHES, ids=by_name)
def test_batches_hold_the_messages_they_name(vector: Vector) -> None:
    """SYNC-015, SYNC-065."""
    payloads = {message["name"]: message["payload"] for message in MESSAGES}
    lines = [line.decode() for line in decode_batch(base64.b64decode(vector["payload_base64"]))]
    assert lines == [payloads[name] for name in vector["messages"]]


@pytest.mark.parametrize("vector", vectors("boxes"), ids=by_name)
def test_packed_boxes_are_the_boxes_beside_them(vector: Vector) -> None:
    """SYNC-065, SYNC-070."""
    rows = np.zeros(len(vector["boxes"]), ROW)
    for row, (*box, score, label) in zip(rows, vector["boxes"], strict=True):
        row["box"], row["score"], row["label"] = box, score, label
    assert unpack_boxes(vector["text"]).tobytes() == rows.tobytes()
    assert pack_boxes(rows) == vector["text"]


@pytest.mark.parametrize("vector", BAD, ids=by_name)
def test_bad_messages_are_refused_for_the_reason_beside_them(vector: Vector) -> None:
    """SYNC-045, SYNC-065."""
    (item,) = (part if isinstance(part, Refused) else screen(part) for part in unfold(received(vector)))
    assert isinstance(item, Refused)
    assert (item.device, item.message) == (vector["device"], vector["answered"])
    assert item.reason.split(": ")[0] == vector["reason"].split(": ")[0]  # what follows are pydantic's words of today


def answers_in(payloads: list[str]) -> list[Answer]:
    return [answer for payload in payloads for answer in Answers.model_validate_json(payload).answers]


def test_the_server_answers_as_recorded(tmp_path: Path) -> None:
    """SYNC-022, SYNC-065."""
    server = Recorder(tmp_path)
    given = {vector["name"]: vector for vector in [*MESSAGES, *BATCHES, *BAD]}
    results = set()
    for step in vectors("answers"):
        recorded = answers_in(step["payloads"])
        (name,) = step["given"]
        if name not in given:  # the first message under another id, which the answer names
            fields = {**json.loads(MESSAGES[0]["payload"]), "message": recorded[0].message}
            given[name] = {**MESSAGES[0], "payload": json.dumps(fields)}
        said = answers_in(server.give(received(given[name])))
        assert [(one.message, one.result, one.revision) for one in said] == [
            (one.message, one.result, one.revision) for one in recorded
        ]
        results |= {one.result for one in said}
    assert results == {"stored", "outdated", "rejected"}


@pytest.mark.parametrize("vector", vectors("states"), ids=lambda vector: vector["payload"][:16])
def test_states_are_read(vector: Vector) -> None:
    """SYNC-060, SYNC-065."""
    item = screen(received({**vector, "correlation_data": ""}))
    assert isinstance(item, StateChange)
    assert item.state == DeviceState.model_validate_json(vector["payload"])


@pytest.mark.slow
def test_the_vectors_are_what_a_run_records() -> None:
    """SYNC-065: but for the boxes, which another processor may find elsewhere by a pixel."""
    made: dict[str, list[dict[str, Any]]] = make()
    assert list(map(by_name, made["messages"])) == list(map(by_name, MESSAGES))
    assert list(map(by_name, made["bad-messages"])) == list(map(by_name, BAD))
    for new, old in zip(made["messages"], MESSAGES, strict=True):
        if new["type"] in {"orchard", "block", "tree", "visit", "harvest", "model_state"}:
            assert as_text([new]) == as_text([old])
