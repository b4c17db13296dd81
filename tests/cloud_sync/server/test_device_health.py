"""What is kept of a device's health: the last of it, figures over time, and how wrong its clock is."""

from __future__ import annotations

import queue
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select

from cloud_sync.device_state import DeviceState
from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database, Device, HealthSample
from cloud_sync.server.device_health import KEPT
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

_NOON = datetime(2025, 9, 24, 12, tzinfo=timezone.utc)


class Server:
    """Stores messages as if they came at the moment that is said."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._worker = Worker(database, queue.Queue(), lambda _device, _answers: None)

    def health(self, at: datetime = _NOON, *, device: str = "kiwi-07", head: dict[str, Any], **body: Any) -> None:
        fields = envelope("health", device=device, body={**EXAMPLES["health"], **body}, **head)
        self.give(replace(received(fields), received_at=at))

    def state(self, at: datetime = _NOON, *, retained: bool = False, **said: Any) -> None:
        state = DeviceState(store=new_id(), **said)
        self.give(Received("pomona/v1/kiwi-07/state", state.payload(), b"", at, retained=retained))

    def give(self, *messages: Received) -> None:
        self._worker.process([Delivery(message, lambda: None) for message in messages])

    def device(self, name: str = "kiwi-07") -> Device:
        with self._database.read() as session:
            return session.scalars(select(Device).where(Device.name == name)).one()

    def samples(self, name: str = "kiwi-07") -> list[HealthSample]:
        with self._database.read() as session:
            rows = select(HealthSample).where(HealthSample.device == name).order_by(HealthSample.received_at)
            return list(session.scalars(rows))


@pytest.fixture
def server(database: Database) -> Server:
    return Server(database)


def test_the_last_health_stands_beside_the_device(server: Server) -> None:
    """SYNC-064: also where it is the first that is heard of a device."""
    record = new_id()
    server.health(head={"record": record, "revision": 60, "clock_synchronised": False}, waiting=7)
    device = server.device()
    assert device.health is not None
    assert (device.health["waiting"], device.health_at, device.clock_synchronised) == (7, _NOON, False)
    server.health(_NOON + timedelta(minutes=15), head={"record": record, "revision": 960}, waiting=0)
    device = server.device()
    assert device.health is not None
    assert (device.health["waiting"], device.clock_synchronised) == (0, True)
    assert device.health_at == _NOON + timedelta(minutes=15)


def test_a_health_message_that_comes_again_or_late_changes_nothing(server: Server) -> None:
    """SYNC-064."""
    record = new_id()
    first = envelope("health", device="kiwi-07", record=record, revision=60)
    server.give(received(first))
    server.health(_NOON, head={"record": record, "revision": 960}, waiting=99)
    server.give(received(first))
    server.health(_NOON, head={"record": record, "revision": 500}, waiting=1)
    device = server.device()
    assert device.health is not None
    assert device.health["waiting"] == 99
    assert len(server.samples()) == 2


def test_figures_are_kept_over_time_and_not_for_ever(server: Server) -> None:
    """SYNC-064."""
    record = new_id()
    for day, degrees in ((0, 50.0), (1, 61.5), (31, 70.0)):
        head = {"record": record, "revision": 1 + day}
        server.health(_NOON + timedelta(days=day), head=head, temperature_c=degrees)
        server.health(_NOON + timedelta(days=day), device="other", head={}, temperature_c=degrees)
    server.health(_NOON + KEPT, device="quiet", head={})
    assert [sample.temperature_c for sample in server.samples()] == [61.5, 70.0]
    assert len(server.samples("other")) == 2
    (sample,) = server.samples("quiet")
    kept = {name: EXAMPLES["health"][name] for name in HealthSample.FIGURES}
    assert {name: getattr(sample, name) for name in HealthSample.FIGURES} == kept


def test_what_a_device_cannot_tell_is_unknown(server: Server) -> None:
    fields = envelope("health", device="kiwi-07")
    fields["body"] = {"device": "kiwi-07", "uptime_s": 1, "waiting": 0, "rejected": 0}
    server.give(received(fields))
    (sample,) = server.samples()
    assert (sample.waiting, sample.temperature_c, sample.battery_percent) == (0, None, None)


def test_the_error_of_a_clock_is_its_difference_from_the_server_s(server: Server) -> None:
    """SYNC-063."""
    server.state(online=True, clock=_NOON + timedelta(hours=3))
    assert server.device().clock_error_s == 10_800
    server.state(online=True, clock=datetime(1970, 1, 1, tzinfo=timezone.utc))
    assert server.device().clock_error_s == -_NOON.timestamp()


@pytest.mark.parametrize(
    "said",
    [
        {"online": True, "clock": _NOON - timedelta(days=2), "retained": True},
        {"online": False, "clock": _NOON - timedelta(days=2)},
        {"online": True},
    ],
    ids=["repeated-by-the-broker", "last-will", "an-older-device"],
)
def test_what_was_said_some_time_ago_tells_nothing_of_a_clock(server: Server, said: dict[str, Any]) -> None:
    """SYNC-063."""
    server.state(online=True, clock=_NOON + timedelta(seconds=2))
    server.state(**said)
    assert server.device().clock_error_s == 2
