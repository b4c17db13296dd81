"""Bytes on the wire: what a count takes, with its boxes, beside other ways to send the same.

    [POMONA_DATA=data] python -m tests.benchmarks.wire [--boxes N] [--photos N]

With POMONA_DATA the whole trees of its validation split are imported and counted as on a device, and what waits in the
outbox is measured; without it, drawn boxes. A batch's bytes are those of its MQTT packet, TLS and TCP left out.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import statistics
import tempfile
import timeit
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_sync import topics
from cloud_sync.batch import CONTENT_TYPE, encode_batch
from cloud_sync.boxes import pack_boxes, unpack_boxes
from cloud_sync.messages import CountBody, DetectionsBody, PhotoBody, TreeBody
from cloud_sync.outbox import new_id
from device.commands.common import make_counter
from device.orchards import BlockSettings, register_block
from device.photo_naming import TreePhoto
from device.recording import Visit
from device.store import Store
from device.visits import import_photos
from export.runtime.photos import find_photos
from tests.orchard_boxes import orchard_like

DEVICE = "orchard-07"
OF_A_COUNT = ("detections", "count")
OF_A_TREE = ("tree", "photo", *OF_A_COUNT)
TREES_IN_A_BATCH = (1, 2, 5, 20, 100)
_VISIT: dict[str, Any] = {"orchard": "North farm", "block": "B1", "day": date(2025, 9, 24), "stage": "ripening"}


@dataclass(frozen=True)
class Message:
    """A message as it waits in the outbox."""

    type: str
    fields: dict[str, Any]

    @property
    def payload(self) -> bytes:
        """As it travels alone."""
        return json.dumps(self.fields, ensure_ascii=False, separators=(",", ":")).encode()


def drawn_messages(store: Store, boxes: int, trees: int) -> None:
    """Queue the records of trees whose boxes are drawn by chance."""
    random = np.random.default_rng(1)
    model = "yolo-a-light 1.0 3f9c2b7a"
    with store.change():
        for number in range(trees):
            sha256, code = hashlib.sha256(str(number).encode()).hexdigest(), f"T{number:03}"
            degrees = (float(round(base + random.random() / 100, 7)) for base in (56.5, 24.5))
            place: dict[str, Any] = dict(zip(("latitude", "longitude"), degrees, strict=True))
            for body in (
                TreeBody(orchard="North farm", block="B1", tree=code, provisional=True, **place),
                PhotoBody(
                    **_VISIT,
                    **place,
                    tree=code,
                    side="a",
                    sha256=sha256,
                    file_name=f"DSC_{1000 + number}.JPG",
                    size_bytes=int(random.integers(3_000_000, 6_000_000)),
                    width_px=2688,
                    height_px=1664,
                ),
                DetectionsBody(
                    photo=sha256,
                    model=model,
                    engine="onnxruntime",
                    labels=("apple", "apple_flower"),
                    counts={"apple": boxes, "apple_flower": 0},
                    boxes=pack_boxes(orchard_like(boxes, number)),
                ),
                CountBody(
                    **_VISIT,
                    tree=code,
                    label="apple",
                    machine=boxes,
                    model=model,
                    sides_rule="largest",
                    attribution="whole photo",
                    photos=(sha256,),
                ),
            ):
                store.outbox.enqueue(new_id(), 1, body)


def counted_messages(store: Store, data: Path, at_most: int) -> None:
    """Import and count the whole trees of the validation split, each photo a tree."""
    block = register_block(store, "B1", "North farm", BlockSettings(trees_per_ha=1000.0), "kg/ha")
    photos = list(find_photos([data / "orchard" / "val" / "trees" / "images"]))[:at_most]
    named = [TreePhoto(path, f"T{number:03}", "a") for number, path in enumerate(photos)]
    visit = Visit(block, _VISIT["day"], _VISIT["stage"])
    import_photos(store, make_counter(None, 2), visit, named)


def waiting(store: Store) -> list[Message]:
    """What waits in the outbox."""
    items = store.outbox.waiting(DEVICE, 0, 1_000_000)
    return [Message(item.type, json.loads(item.payload)) for item in items]


def with_the_best(messages: Sequence[Message], boxes: int) -> list[Message]:
    """The records of the photos that show as many boxes, with no more than those."""
    enough = {}
    for message in messages:
        if message.type == "detections":
            rows = unpack_boxes(message.fields["body"]["boxes"])
            if len(rows) >= boxes:
                enough[message.fields["body"]["photo"]] = pack_boxes(rows[:boxes])
    kept = []
    for message in messages:
        body = message.fields["body"]
        photo = body.get("photo") or body.get("sha256") or next(iter(body.get("photos", ())), None)
        if message.type == "detections" and photo in enough:
            body = {**body, "boxes": enough[photo]}
        if message.type == "tree" or photo in enough:
            kept.append(Message(message.type, {**message.fields, "body": body}))
    trees = {message.fields["body"]["tree"] for message in kept if message.type == "count"}
    return [message for message in kept if message.type != "tree" or message.fields["body"]["tree"] in trees]


def packet_bytes(payload: bytes) -> int:
    """Length of the MQTT packet of a batch."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = CONTENT_TYPE
    properties.CorrelationData = f"{new_id()}:1".encode()
    topic = topics.batch(DEVICE).encode()
    inside = 2 + len(topic) + 2 + len(properties.pack()) + len(payload)  # type: ignore[no-untyped-call]
    return 1 + (1 + (inside >= 128) + (inside >= 16_384) + (inside >= 2_097_152)) + inside


def bytes_each(messages: Iterable[Message], types: Sequence[str], trees: int) -> float:
    """Bytes on the wire of a tree's records of some types, in batches of so many trees."""
    sent = [message.payload for message in messages if message.type in types]
    batches = [sent[at : at + trees * len(types)] for at in range(0, len(sent), trees * len(types))]
    whole = [batch for batch in batches if len(batch) == trees * len(types)]
    return statistics.mean(packet_bytes(encode_batch(batch)) for batch in whole) / trees


def box_table(all_rows: Sequence[NDArray[Any]]) -> str:
    """Bytes of the boxes alone, each way."""
    ways: dict[str, Callable[[NDArray[Any]], int]] = {
        "ten bytes a box": lambda rows: len(rows.tobytes()),
        "the same in base64": lambda rows: len(base64.b64encode(rows.tobytes())),
        "the same through zlib": lambda rows: len(zlib.compress(rows.tobytes(), 9)),
        "byte by byte in planes, through zlib": lambda rows: len(
            zlib.compress(rows.view(np.uint8).reshape(-1, 10).T.tobytes(), 9)
        ),
        "packed": lambda rows: len(base64.b64decode(pack_boxes(rows))),
        "packed, as text through zlib": lambda rows: len(zlib.compress(pack_boxes(rows).encode(), 9)),
    }
    lines = [f"| {name} | {statistics.mean(map(way, all_rows)):,.0f} |" for name, way in ways.items()]
    return "\n".join(["| boxes of a photo | bytes |", "| --- | ---: |", *lines])


def batch_table(messages: Sequence[Message], columns: Sequence[int]) -> str:
    """Bytes of a count and of a tree in batches of several sizes."""
    rows = [
        (name, [f"{bytes_each(messages, types, trees):,.0f}" for trees in columns])
        for name, types in (("detections and count", OF_A_COUNT), ("tree, photo, detections and count", OF_A_TREE))
    ]
    head = f"| bytes a tree, trees in a batch: | {' | '.join(map(str, columns))} |"
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    return "\n".join([head, f"| --- |{' ---: |' * len(columns)}", *lines])


def microseconds(action: Callable[[], object]) -> float:
    """Median time of an action."""
    return statistics.median(timeit.repeat(action, number=1, repeat=300)) * 1e6


def report(messages: Sequence[Message], boxes: int) -> None:
    """Print the tables."""
    texts = [message.fields["body"]["boxes"] for message in messages if message.type == "detections"]
    all_rows = [unpack_boxes(text) for text in texts]
    print(f"\n{len(texts)} photos, {statistics.mean(map(len, all_rows)):.0f} boxes each\n")
    print(box_table(all_rows), end="\n\n")
    print(batch_table(messages, [trees for trees in TREES_IN_A_BATCH if trees <= len(texts)]), end="\n\n")
    middle = sorted(zip(map(len, all_rows), all_rows, texts, strict=True), key=lambda one: one[0])[len(texts) // 2]
    packing, unpacking = microseconds(lambda: pack_boxes(middle[1])), microseconds(lambda: unpack_boxes(middle[2]))
    print(f"{middle[0]} boxes: packed in {packing:.0f} us, unpacked in {unpacking:.0f} us")
    if pictures := [base64.b64decode(m.fields["body"]["jpeg"]) for m in messages if m.type == "thumbnail"]:
        sizes = sorted(map(len, pictures))
        print(f"thumbnails: {statistics.mean(sizes):,.0f} bytes each, {sizes[0]:,} to {sizes[-1]:,}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=150, help="boxes of a photo")
    parser.add_argument("--photos", type=int, default=200, help="photos at most")
    given = parser.parse_args()
    for source in ("drawn", "counted"):
        if source == "counted" and "POMONA_DATA" not in os.environ:
            continue
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            if source == "drawn":
                drawn_messages(store, given.boxes, given.photos)
            else:
                counted_messages(store, Path(os.environ["POMONA_DATA"]), given.photos)
            messages = waiting(store)
            store.close()
        print(f"\n## {source}")
        report(messages, given.boxes)
        if source == "counted":
            print(f"\n## counted, the best {given.boxes} boxes of those that have as many")
            report(with_the_best(messages, given.boxes), given.boxes)


if __name__ == "__main__":
    main()
