"""Fleets of virtual devices: what they would have sent, stored by the server's own worker as if it came over days."""

from __future__ import annotations

import math
import queue
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from cloud_sync import clock
from cloud_sync.device_state import DeviceState
from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, VISIT, envelope, received

EVERY_S = 900
BODY: dict[str, Any] = {
    "versions": {"pomona": "0.1.0", "python": "3.11.2", "system": "Debian GNU/Linux 12 (bookworm)"},
    "next_s": EVERY_S,
    "waiting": 0,
    "rejected": 0,
    "photos_waiting": 0,
    "photos": 240,
    "tree_counts": 120,
    "disk_free_bytes": 21_000_000_000,
    "disk_total_bytes": 31_000_000_000,
    "memory_free_bytes": 2_900_000_000,
    "memory_total_bytes": 4_000_000_000,
    "load": 0.3,
    "temperature_c": 51.0,
    "undervoltage": False,
    "undervoltage_since_boot": False,
    "throttled": False,
}


@dataclass(frozen=True)
class VirtualDevice:
    """A device and how it fares.

    Attributes:
        name: its name.
        body: what it says differently from others.
        quiet: how long ago it said the last word.
        is_online: what its state says.
        clock_ahead: by how much its clock is ahead.
        synchronised: what it says of its clock.
        days: for how long it has been telling.
        bad: envelopes that the server refuses.
    """

    name: str
    body: dict[str, Any] = field(default_factory=dict)
    quiet: timedelta = timedelta(seconds=40)
    is_online: bool = True
    clock_ahead: timedelta = timedelta(0)
    synchronised: bool = True
    days: float = 0.0
    bad: tuple[dict[str, Any], ...] = ()


def troubled_five() -> list[VirtualDevice]:
    """Five devices: one that is well, and one each with power, clock, silence and absence."""
    return [
        VirtualDevice("kiwi-07", {"waiting": 3, "oldest_waiting_s": 20}, days=1),
        VirtualDevice(
            "pi-gate",
            {
                "undervoltage": True,
                "throttled": True,
                "temperature_c": 86.5,
                "disk_free_bytes": 420_000_000,
                "versions": {**BODY["versions"], "hardware": "Raspberry Pi 4 Model B Rev 1.4"},
            },
            days=1,
        ),
        VirtualDevice(
            "pi-south",
            {"rejected": 3, "versions": {**BODY["versions"], "pomona": "0.2.0"}},
            clock_ahead=datetime(1970, 1, 1, tzinfo=timezone.utc) - clock.now(),
            synchronised=False,
            days=0.5,
            bad=(
                {"type": "tree", "version": 7},
                {"type": "tree", "body": {**EXAMPLES["tree"], "latitude": 135.0}},
                {"type": "tree", "store": "none"},
            ),
        ),
        VirtualDevice("laptop-lab", {"battery_percent": 22.0, "on_battery": True}, quiet=timedelta(hours=2), days=1),
        VirtualDevice(
            "jetson-north",
            {"waiting": 1204, "oldest_waiting_s": 4 * 86_400},
            quiet=timedelta(days=5),
            is_online=False,
        ),
    ]


def many(number: int, seed: int = 1) -> list[VirtualDevice]:
    """So many devices, most of them well."""
    chance = random.Random(seed)
    return [_anyone(place, chance) for place in range(1, number + 1)]


def _anyone(place: int, chance: random.Random) -> VirtualDevice:
    body: dict[str, Any] = {
        "temperature_c": round(chance.gauss(52, 6), 1),
        "disk_free_bytes": int(chance.uniform(3e9, 28e9)),
        "waiting": chance.choice([0, 0, 0, 0, 2, 15, 240]),
        "versions": {**BODY["versions"], "pomona": chance.choice(["0.1.0", "0.1.0", "0.1.0", "0.0.9"])},
    }
    draw = chance.random()
    if draw < 0.01:
        body["undervoltage"] = True
    elif draw < 0.02:
        body["disk_free_bytes"] = int(chance.uniform(1e8, 4e8))
    elif draw < 0.05:
        body["temperature_c"] = round(chance.uniform(76, 84), 1)
    offline = chance.random() < 0.35
    quiet = timedelta(hours=chance.expovariate(1 / 40)) if offline else timedelta(seconds=chance.uniform(5, EVERY_S))
    ahead = timedelta(seconds=chance.gauss(0, 0.4))
    return VirtualDevice(f"orchard-{place:03}", body, quiet, is_online=not offline, clock_ahead=ahead)


def fill(database: Database, devices: list[VirtualDevice]) -> None:
    """Let the server's worker store what the devices would have sent by now."""
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    now = clock.now()
    messages = [message for device in devices for message in _messages(device, now - device.quiet)]
    for begin in range(0, len(messages), 500):
        worker.process([Delivery(message, lambda: None) for message in messages[begin : begin + 500]])


def fill_blocks(database: Database, device: str = "kiwi-07") -> None:
    """Trees, counts and an estimate of two blocks, as one device would send them."""
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    bodies: list[tuple[str, dict[str, Any]]] = []
    for block, trees in (("A", 12), ("B", 3)):
        place = {**VISIT, "block": block}
        bodies += [("tree", {**EXAMPLES["tree"], "block": block, "tree": f"{block}-{n:02}"}) for n in range(trees)]
        bodies += [
            ("count", {**EXAMPLES["count"], **place, "tree": f"{block}-{n:02}", "reviewed": 100 + n})
            for n in range(trees)
        ]
        bodies.append(("visit", {**EXAMPLES["visit"], **place}))
    bodies.append(("estimate", EXAMPLES["estimate"]))
    batch = [received(envelope(kind, device=device, body=body)) for kind, body in bodies]
    worker.process([Delivery(message, lambda: None) for message in batch])


def _messages(device: VirtualDevice, last: datetime) -> Iterator[Received]:
    begun = last - timedelta(days=device.days)
    yield _state(device, begun, online=True)
    number = int(device.days * 86_400 / EVERY_S)
    for step in range(number + 1):
        yield _health(device, last - (number - step) * timedelta(seconds=EVERY_S), step, number)
    for changes in device.bad:
        message = received(envelope(**{**changes, "device": device.name}))
        yield replace(message, received_at=last)
    if not device.is_online:
        yield _state(device, last, online=False)


def _state(device: VirtualDevice, at: datetime, *, online: bool) -> Received:
    told = at + device.clock_ahead if online else None
    state = DeviceState(online=online, store="0190a000-0000-7000-8000-000000000001", clock=told)
    return Received(f"pomona/v1/{device.name}/state", state.payload(), b"", at)


def _health(device: VirtualDevice, at: datetime, step: int, number: int) -> Received:
    """The last one says what the device says; those before lead there."""
    body = {**BODY, "device": device.name, "uptime_s": 60 + step * EVERY_S, **device.body}
    if step < number:
        day = 2 * math.pi * (at.hour * 3600 + at.minute * 60) / 86_400
        share = step / number
        body["temperature_c"] = round(51 - 8 * math.cos(day) + (body["temperature_c"] - 51) * share**3 + step % 3, 1)
        body["disk_free_bytes"] = int(body["disk_free_bytes"] + (1 - share) * 3e9)
        body["waiting"] = int(body["waiting"] + 60 * max(0.0, math.sin(3 * day)))
        body["memory_free_bytes"] = int(body["memory_free_bytes"] - 4e8 * abs(math.sin(7 * day)))
        if "battery_percent" in body:
            body["battery_percent"] = round(body["battery_percent"] + (1 - share) * 70, 0)
    fields = envelope(
        "health",
        device=device.name,
        record=new_id(),
        revision=60 + step * EVERY_S,
        clock_synchronised=device.synchronised,
        body=body,
    )
    return replace(received(fields), received_at=at)
