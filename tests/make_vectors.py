"""Writes tests/vectors: messages of a demo orchard, recorded for other backends: ``python -m tests.make_vectors``.

Trees are drawn, imported, counted and estimated as `pomona demo` does, and what waits in the outbox goes through the
server's own worker into a database, whose answers are recorded too. Ids and times are counted instead of random.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import queue
import tempfile
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import uuid6

from cloud_sync import batch, clock, topics
from cloud_sync.boxes import ROW, pack_boxes, unpack_boxes
from cloud_sync.decoder import decode_payload
from cloud_sync.device_state import DeviceState
from cloud_sync.messages import BODIES, Answers, Body
from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database
from cloud_sync.server.screening import Received, Refused, screen, unfold
from cloud_sync.server.worker import Delivery, Worker
from device.commands.common import make_counter
from device.demo import story
from device.orchards import find_block
from device.seasons.harvests import Picking, record_picking
from device.store import Store
from tests.cloud_sync.helpers import EXAMPLES
from tests.orchard_boxes import orchard_like

FOLDER = Path(__file__).parent / "vectors"
DEVICE = "orchard-07"
_TREES = 2
_BEGUN = datetime(2025, 9, 24, 2, 30, tzinfo=timezone.utc)

Vector = dict[str, Any]


@contextlib.contextmanager
def counted_ids_and_times() -> Iterator[None]:
    """Ids that count up, and a clock that goes on by a second each time somebody looks."""
    ids, seconds = itertools.count(1), itertools.count()
    with (
        patch.object(uuid6, "uuid7", lambda: uuid.UUID(f"01997a00-0000-7000-8000-{next(ids):012x}")),
        patch.object(clock, "now", lambda: _BEGUN + timedelta(seconds=next(seconds))),
        patch.object(clock, "is_synchronised", lambda: True),
        patch.object(clock, "boot_id", lambda: "6f1c2d3e-4b5a-4c6d-8e7f-901234567890"),
    ):
        yield


@contextlib.contextmanager
def in_a_folder() -> Iterator[Path]:
    """A folder of no name to work in, since an estimate says where its predictions came from."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path()
        finally:
            os.chdir(before)


def recorded_messages(folder: Path) -> list[Vector]:
    """What a device with a drawn orchard has to send; types it does not make yet are added by hand."""
    store = Store(folder / "device")
    truth = story.draw(folder / "drawn", _TREES, lambda _done, _all: None)
    story.register(store, truth)
    story.bring_in(store, make_counter(None, 1), folder / "drawn" / "photos", truth.stage, lambda _done, _all: None)
    story.make_estimate(store, story.write_predictions(folder, _TREES, drawn=True))
    record_picking(store, find_block(store, story.BLOCK), Picking(date(2025, 9, 23), 410.5, 12, 214.0))
    made = {row["type"] for row in store.db.query("SELECT type FROM outbox")}
    with store.change():
        for body in _missing(store, made):
            store.outbox.enqueue(new_id(), 1, body)
    vectors: list[Vector] = []
    for waiting in store.outbox.waiting(DEVICE, 0, 1000):
        same = sum(vector["type"] == waiting.type for vector in vectors)
        vectors.append(
            {
                "name": f"{waiting.type}-{same + 1}",
                "type": waiting.type,
                "topic": topics.up(DEVICE, waiting.type),
                "content_type": "application/json",
                "correlation_data": f"{waiting.message}:{waiting.version}",
                "payload": waiting.payload.decode(),
                "plain": _plain(waiting.payload),
            }
        )
    store.close()
    return vectors


def _missing(store: Store, made: set[str]) -> list[Body]:
    """A body of each type that importing and estimating does not make; the review is of the first photo's boxes."""
    bodies = {kind: BODIES[kind].model_validate(EXAMPLES[kind]) for kind in BODIES if kind not in made}
    row = store.one(
        "SELECT detections.*, photo.sha256, tree.code, visit.day, visit.stage FROM detections "
        "JOIN photo ON photo.id = detections.photo JOIN tree ON tree.id = photo.tree "
        "JOIN visit ON visit.id = photo.visit ORDER BY photo.rowid"
    )
    assert row is not None
    rows = np.frombuffer(row["boxes"], ROW)
    added = rows[:1].copy()
    added["box"] += 150
    added["score"] = 255
    changes = {
        "orchard": story.ORCHARD,
        "block": story.BLOCK,
        "day": row["day"],
        "stage": row["stage"],
        "tree": row["code"],
        "model": row["model"],
        "photo": row["sha256"],
        "labels": json.loads(row["labels"]),
        "removed": pack_boxes(rows[-2:]),
        "added": pack_boxes(added),
    }
    bodies["review"] = BODIES["review"].model_validate({**EXAMPLES["review"], **changes})
    return list(bodies.values())


def _plain(payload: bytes) -> Any:
    (plain,) = decode_payload(payload)
    assert isinstance(plain, dict), plain
    return plain


def older_messages(messages: Sequence[Vector]) -> list[Vector]:
    """Messages in versions that devices once sent, and what they mean in the newest."""
    newest = next(vector for vector in messages if vector["type"] == "detections")
    fields = json.loads(newest["payload"])
    fields["version"] = 1
    fields["body"]["boxes"] = base64.b64encode(unpack_boxes(fields["body"]["boxes"]).tobytes()).decode()
    payload = _text(fields)
    older = {
        **newest,
        "name": "detections-version-1",
        "correlation_data": f"{fields['message']}:1",
        "payload": payload,
        "plain": _plain(payload.encode()),
    }
    return [older]


def batches(messages: Sequence[Vector]) -> list[Vector]:
    """One batch of everything, and one of a single message."""
    packed = []
    for name, some in (("everything in a batch", messages), ("one message in a batch", messages[:1])):
        content = batch.encode_batch([vector["payload"].encode() for vector in some])
        packed.append(
            {
                "name": name,
                "topic": topics.batch(DEVICE),
                "content_type": batch.CONTENT_TYPE,
                "correlation_data": f"{new_id()}:1",
                "payload_base64": base64.b64encode(content).decode(),
                "messages": [vector["name"] for vector in some],
            }
        )
    return packed


def boxes(messages: Sequence[Vector]) -> list[Vector]:
    """Packed boxes beside what they say."""
    counted = [json.loads(vector["payload"])["body"]["boxes"] for vector in messages if vector["type"] == "detections"]
    odd = np.zeros(3, ROW)
    odd["box"] = [(0, 0, 65_535, 65_535), (65_535, 65_535, 65_535, 65_535), (7, 9, 7, 9)]
    odd["score"], odd["label"] = (255, 0, 128), (254, 0, 3)
    same = np.zeros(4, ROW)
    same["box"], same["score"] = (10, 20, 30, 40), 230
    texts = {
        "none": "",
        "one": pack_boxes(same[:1]),
        "the same four times": pack_boxes(same),
        "the ends of every range": pack_boxes(odd),
        "150 by chance": pack_boxes(orchard_like(150)),
        **{f"photo {number}": text for number, text in enumerate(counted, start=1)},
    }
    return [{"name": name, "text": text, "boxes": _rows(text)} for name, text in texts.items()]


def _rows(text: str) -> list[list[int]]:
    rows = unpack_boxes(text)
    return [[*map(int, row["box"]), int(row["score"]), int(row["label"])] for row in rows]


class Recorder:
    """The server's worker on an empty database; keeps the answers it gives."""

    def __init__(self, folder: Path) -> None:
        self._database = Database.in_file(folder / "server.sqlite")
        self._worker = Worker(self._database, queue.Queue(), self._answer)
        self._answers: list[Answers] = []

    def _answer(self, device: str, answers: Answers) -> None:
        assert device == DEVICE
        self._answers.append(answers)

    def give(self, *received: Received) -> list[str]:
        """Have messages stored; returns the payloads that the server publishes on the device's ``down/ack``."""
        self._answers.clear()
        self._worker.process([Delivery(one, lambda: None) for one in received])
        return [answers.model_dump_json(exclude_defaults=True) for answers in self._answers]


def received(vector: Vector) -> Received:
    """A vector as the broker would deliver it."""
    payload = base64.b64decode(vector["payload_base64"]) if "payload_base64" in vector else vector["payload"].encode()
    return Received(vector["topic"], payload, vector["correlation_data"].encode(), _BEGUN)


def answers(messages: Sequence[Vector], packed: Sequence[Vector], refused: Sequence[Vector], at: Path) -> list[Vector]:
    """What the server answers, from an empty database on."""
    first = messages[0]
    fields = json.loads(first["payload"])
    lost = {**first, "name": "the first message under another id", "payload": _text({**fields, "message": new_id()})}
    server = Recorder(at)
    steps: list[tuple[str, list[Vector]]] = [
        ("a batch", [packed[0]]),
        ("a message that was stored before", [first]),
        ("a revision that another message brought", [lost]),
        *((f"refused: {vector['name']}", [vector]) for vector in refused),
    ]
    return [
        {
            "name": name,
            "given": [vector["name"] for vector in given],
            "topic": topics.acknowledgements(DEVICE),
            "payloads": server.give(*map(received, given)),
        }
        for name, given in steps
    ]


def _payload(content: bytes) -> Vector:
    try:
        return {"payload": content.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(content).decode()}


def bad_messages(messages: Sequence[Vector], packed: Sequence[Vector]) -> list[Vector]:
    """Messages that are dead letters, with the reason."""
    tree = next(vector for vector in messages if vector["type"] == "tree")
    alike = packed[-1]
    seen = next(vector for vector in messages if vector["type"] == "detections")
    whole = base64.b64decode(alike["payload_base64"])
    fields, detections = json.loads(tree["payload"]), json.loads(seen["payload"])

    def alone(name: str, **changes: Any) -> tuple[str, Received]:
        return name, replace(received(tree), payload=_text({**fields, **changes}).encode())

    def of_detections(name: str, **changes: Any) -> tuple[str, Received]:
        body = {**detections["body"], **changes}
        return name, replace(received(seen), payload=_text({**detections, "body": body}).encode())

    def lines(*envelopes: Vector) -> bytes:
        return batch.encode_batch([_text(envelope).encode() for envelope in envelopes])

    def batched(name: str, content: bytes) -> tuple[str, Received]:
        return name, replace(received(alike), payload=content)

    text = detections["body"]["boxes"]
    longer = base64.b64encode(base64.b64decode(text) + b"\0").decode()
    given = [
        ("no JSON", replace(received(tree), payload=b"\x00\xff{")),
        ("no JSON and no correlation data", replace(received(tree), payload=b"{", correlation=b"")),
        ("an empty object", replace(received(tree), payload=b"{}")),
        alone("another device's", device="orchard-08"),
        alone("another type's topic", type="photo"),
        alone("an unknown type", type="weather"),
        ("an unknown type on its topic", replace(alone("", type="weather")[1], topic=topics.up(DEVICE, "weather"))),
        alone("a newer version", version=BODIES["tree"].VERSION + 1),
        alone("a version of 0", version=0),
        alone("a sequence of 0", sequence=0),
        alone("a time without a zone", recorded_at="2025-09-24T10:30:00"),
        alone("a time outside the calendar", recorded_at="0001-01-01T00:00:00+14:00"),
        alone("an id in capitals", record=fields["record"].upper().replace("0", "A")),
        alone("a missing field", body={name: value for name, value in fields["body"].items() if name != "tree"}),
        alone("an empty name", body={**fields["body"], "tree": ""}),
        alone("a name with a line break", body={**fields["body"], "tree": "T\n1"}),
        alone("north of the pole", body={**fields["body"], "latitude": 90.1}),
        alone("a number as text", body={**fields["body"], "latitude": "35.1"}),
        alone("a number that is not finite", body={**fields["body"], "note": float("nan")}),
        ("a topic of no device", replace(received(tree), topic="pomona/v1/Orchard_07/up/tree")),
        ("a topic too many", replace(received(tree), topic=f"{tree['topic']}/more")),
        of_detections("boxes that are no base64", boxes="!"),
        of_detections("boxes that are cut short", boxes=text[:16]),
        of_detections("boxes with something behind their end", boxes=longer),
        of_detections("a box without a label", labels=["apple"], boxes=_of_label(1)),
        of_detections("a count that is negative", counts={"apple": -1}),
        batched("a batch that is no zlib stream", b"PK" + whole),
        batched("a batch that is cut short", whole[:-1]),
        batched("a batch with something behind it", whole + b"\n"),
        batched("a batch of 1,001", zlib.compress(b"\n".join([b"{}"] * 1001))),
        batched("a batch with too long a message", zlib.compress(_text({**fields, "note": "x" * 262_144}).encode())),
        batched("a batch that unfolds to 5 MB", zlib.compress(b" " * 5_000_000)),
        batched("a batch in a batch", lines({**fields, "type": "batch"})),
        batched("a batch with another device's line", lines({**fields, "device": "thief"})),
        batched("a batch with a line of no JSON", batch.encode_batch([b"{"])),
    ]
    return [_judged(name, one) for name, one in given]


def _of_label(label: int) -> str:
    rows = np.zeros(1, ROW)
    rows["label"] = label
    return pack_boxes(rows)


def _judged(name: str, one: Received) -> Vector:
    (item,) = (part if isinstance(part, Refused) else screen(part) for part in unfold(one))
    assert isinstance(item, Refused), name
    given = {"topic": one.topic, "correlation_data": one.correlation.decode(), **_payload(one.payload)}
    return {"name": name, **given, "device": item.device, "answered": item.message, "reason": item.reason}


def _text(fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def states() -> list[Vector]:
    """What a device says of itself."""
    return [
        {"topic": topics.state(DEVICE), "payload": DeviceState(online=online, store=new_id()).payload().decode()}
        for online in (True, False)
    ]


def make() -> dict[str, list[Vector]]:
    """All vectors by the names of their files, without suffix."""
    with counted_ids_and_times(), in_a_folder() as folder:
        messages = recorded_messages(folder)
        packed = batches(messages)
        bad = bad_messages(messages, packed)
        return {
            "messages": messages,
            "older-messages": older_messages(messages),
            "batches": packed,
            "boxes": boxes(messages),
            "bad-messages": bad,
            "answers": answers(messages, packed, bad, folder),
            "states": states(),
        }


def as_text(vectors: list[Vector]) -> str:
    """A file's text: a vector a line, so that differences show."""
    return "[\n" + ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors) + "\n]\n"


def main() -> None:
    """Write the files."""
    for name, vectors in make().items():
        (FOLDER / f"{name}.json").write_text(as_text(vectors), encoding="utf-8")


if __name__ == "__main__":
    main()
