"""How messages change: old devices are understood, new ones lose nothing."""

from __future__ import annotations

import base64
import json
import queue
from typing import Any, ClassVar

import pytest
from pydantic import Field, JsonValue, ValidationError
from sqlalchemy import select

from cloud_sync.boxes import unpack_boxes
from cloud_sync.errors import MessageError
from cloud_sync.messages import BODIES, Answers, Body, decode_body
from cloud_sync.messages.envelope import Envelope
from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database, DeadLetter, Record
from cloud_sync.server.screening import Accepted, Refused, screen
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

TEN_BYTES = base64.b64encode(bytes([10, 0, 20, 0, 30, 0, 40, 0, 230, 0])).decode()


class PearBody(Body):
    """A type in its third version: the first had a weight in g, the second a name for the colour."""

    TYPE: ClassVar[str] = "pear"
    VERSION: ClassVar[int] = 3
    weight_kg: float = Field(gt=0)
    colour: str = Field(max_length=10)

    @classmethod
    def upgrade(cls, version: int, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if version == 1:
            weight_g = body.get("weight_g")
            if not isinstance(weight_g, int):
                raise MessageError("weight_g is no number")
            return {**{name: value for name, value in body.items() if name != "weight_g"}, "weight_kg": weight_g / 1000}
        return {**body, "colour": {1: "green", 2: "red"}.get(int(str(body["colour"])), "other")}

    def _key(self) -> tuple[str, ...]:
        return (self.colour,)


@pytest.fixture
def pears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BODIES, "pear", PearBody)


def pear(version: int, **body: Any) -> Envelope:
    return Envelope.model_validate(envelope("pear", version=version, body=body))


@pytest.mark.usefixtures("pears")
@pytest.mark.parametrize(
    ("version", "body"),
    [
        (1, {"weight_g": 250, "colour": 2, "new": [None]}),
        (2, {"weight_kg": 0.25, "colour": 2, "new": [None]}),
        (3, {"weight_kg": 0.25, "colour": "red", "new": [None]}),
    ],
)
def test_an_older_body_goes_through_every_version_to_the_newest(version: int, body: dict[str, Any]) -> None:
    """SYNC-012, SYNC-014."""
    upgraded = decode_body(pear(version, **body))
    assert upgraded.model_dump() == {"weight_kg": 0.25, "colour": "red", "new": [None]}


@pytest.mark.usefixtures("pears")
def test_an_older_body_that_is_wrong_is_refused_with_the_reason() -> None:
    """SYNC-014, SYNC-045."""
    with pytest.raises(MessageError, match="pear version 1: weight_g is no number"):
        decode_body(pear(1, weight_g="much", colour=1))
    with pytest.raises(MessageError, match="pear: weight_kg"):
        decode_body(pear(1, weight_g=-1, colour=1))


@pytest.mark.parametrize("body", [body for body in BODIES.values() if body.VERSION > 1])
def test_every_type_knows_the_way_from_all_its_versions(body: type[Body]) -> None:
    """SYNC-014."""
    for version in range(1, body.VERSION):
        assert isinstance(body.upgrade(version, {}), dict)


def test_a_type_without_a_way_says_so() -> None:
    """SYNC-014."""
    with pytest.raises(NotImplementedError, match="tree version 1 cannot be upgraded"):
        BODIES["tree"].upgrade(1, {})


def test_the_first_version_of_detections_is_stored_as_the_second() -> None:
    """SYNC-014, SYNC-070."""
    sent = {**EXAMPLES["detections"], "boxes": TEN_BYTES, "new": None}
    item = screen(received(envelope("detections", version=1, body=sent)))
    assert isinstance(item, Accepted)
    assert item.envelope.version == 2
    assert item.body == {**sent, "boxes": EXAMPLES["detections"]["boxes"]}
    assert unpack_boxes(str(item.body["boxes"])).tobytes() == base64.b64decode(TEN_BYTES)


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        (None, "detections: boxes: "),
        ("AAAA", "detections version 1: 3 bytes are no boxes of 10 bytes each"),
        (base64.b64encode(bytes([9, 0, 0, 0, 8, 0, 0, 0, 0, 0])).decode(), "right edge left of its left edge"),
    ],
)
def test_what_was_no_boxes_in_the_first_version_is_refused(boxes: object, reason: str) -> None:
    """SYNC-014, SYNC-045."""
    item = screen(received(envelope("detections", version=1, body={**EXAMPLES["detections"], "boxes": boxes})))
    assert isinstance(item, Refused)
    assert reason in item.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": BODIES["visit"].VERSION + 1}, "visit version 2 is newer than 1"),
        ({"type": "weather"}, "type 'weather' is unknown"),
        ({"body": {**EXAMPLES["visit"], "stage": "dormant"}}, "visit: stage: Input should be 'flowering'"),
    ],
)
def test_what_only_a_newer_server_knows_waits_for_it(changes: dict[str, Any], reason: str) -> None:
    """SYNC-019: refused now, and kept at both ends by the rules for what is refused."""
    item = screen(received(envelope("visit", **changes)))
    assert isinstance(item, Refused)
    assert reason in item.reason


@pytest.mark.usefixtures("pears")
def test_a_message_refused_by_an_old_server_is_stored_by_a_new_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-019, SYNC-048."""
    results: list[str] = []
    worker = Worker(database, queue.Queue(), lambda _device, said: results.extend(one.result for one in said.answers))
    sent = Delivery(received(envelope("pear", version=3, body={"weight_kg": 0.2, "colour": "red"})), lambda: None)

    def held() -> tuple[int, int]:
        with database.read() as session:
            return len(session.scalars(select(Record)).all()), len(session.scalars(select(DeadLetter)).all())

    with monkeypatch.context() as old:
        old.setattr(PearBody, "VERSION", 2)
        worker.process([sent])
        assert held() == (0, 1)
    worker.process([sent])
    assert held() == (1, 0)
    assert results == ["rejected", "stored"]


def test_an_answer_of_a_newer_server_is_passed_over_and_the_others_stand() -> None:
    """SYNC-019."""
    said = [{"message": new_id(), "result": result} for result in ("stored", "postponed", "rejected")]
    heard = Answers.model_validate_json(json.dumps({"answers": said}))
    assert [answer.result for answer in heard.answers] == ["stored", "rejected"]
    for broken in ([{"message": new_id()}], [{"message": new_id(), "result": ["stored"]}, "stored"], "stored"):
        with pytest.raises(ValidationError):
            Answers.model_validate_json(json.dumps({"answers": broken}))
