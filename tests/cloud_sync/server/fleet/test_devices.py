"""The devices of a server: how they fare, which come first, which are found."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import event, update

from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database, Device
from cloud_sync.server.fleet.devices import DeviceView, arrange, choose, get_device, list_devices
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.cloud_sync.virtual_fleet import VirtualDevice, fill, many


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One server for all tests here; each has a device of its own."""
    opened = Database.in_file(tmp_path_factory.mktemp("devices") / "pomona.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def name() -> str:
    """Name of this test's device."""
    return new_id()


def seen(database: Database, name: str) -> DeviceView:
    """A device as people see it."""
    with database.read() as session:
        found = get_device(session, name)
    assert found is not None
    return found


def view(database: Database, device: VirtualDevice) -> DeviceView:
    """A device as people see it, once it has sent what it would."""
    fill(database, [device])
    return seen(database, device.name)


def change(database: Database, name: str, **columns: Any) -> DeviceView:
    """A device as people see it, of which something else is known."""
    with database.write() as session:
        session.execute(update(Device).where(Device.name == name).values(columns))
    return seen(database, name)


def texts(device: DeviceView) -> list[str]:
    return [trouble.text for trouble in device.troubles]


def test_a_device_that_is_well(database: Database, name: str) -> None:
    device = view(database, VirtualDevice(name, {"waiting": 3}))
    assert (device.status, device.level, device.troubles, device.dead_letters) == ("online", None, (), 0)
    assert device.health is not None
    assert (device.health.waiting, device.version, device.clock_error_s) == (3, "0.1.0", 0.0)


def test_a_device_that_was_told_offline_is_so_and_missed_after_three_days(database: Database, name: str) -> None:
    device = view(database, VirtualDevice(name, quiet=timedelta(days=2, hours=23), is_online=False))
    assert (device.status, device.level) == ("offline", None)
    device = change(database, name, last_seen=device.last_seen - timedelta(hours=2))
    assert (device.level, texts(device)) == ("note", ["not heard of for 3 days"])


@pytest.mark.parametrize(("minutes", "status"), [(31, "online"), (33, "silent")])
def test_one_that_seems_connected_and_misses_two_of_its_messages_is_silent(
    database: Database, name: str, minutes: int, status: str
) -> None:
    """Its health is due every 15 minutes; two minutes more may pass on the way."""
    device = view(database, VirtualDevice(name, quiet=timedelta(minutes=minutes)))
    assert device.status == status
    silence = ["seems connected, and nothing has come for 33 min"]
    assert texts(device) == (silence if status == "silent" else [])


def test_one_that_says_nothing_of_itself_is_never_silent(database: Database, name: str) -> None:
    """An older device, or another program, sends no health."""
    device = view(database, VirtualDevice(name, {"next_s": None}, quiet=timedelta(hours=5)))
    assert (device.status, device.troubles) == ("online", ())


@pytest.mark.parametrize(
    ("ahead", "level", "text"),
    [
        (timedelta(seconds=59), None, None),
        (timedelta(seconds=61), "note", "the clock is 1 min ahead"),
        (-timedelta(hours=3, seconds=1), "note", "the clock is 3 h behind"),
        (timedelta(days=30, seconds=1), "bad", "the clock is 30 days ahead"),
        (datetime(1970, 1, 1, tzinfo=timezone.utc) - datetime(2026, 1, 1, tzinfo=timezone.utc), "bad", None),
    ],
)
def test_a_clock_that_is_off(
    database: Database, name: str, ahead: timedelta, level: str | None, text: str | None
) -> None:
    device = view(database, VirtualDevice(name, clock_ahead=ahead))
    assert device.level == level
    assert device.clock_error_s == pytest.approx(ahead.total_seconds(), abs=0.1)
    if text is not None:
        assert texts(device) == [text]
    if ahead < -timedelta(days=1):
        assert texts(device) == ["the clock is 56 years behind"]


def test_a_clock_that_was_compared_and_is_right_is_no_trouble_whoever_vouches_for_it(
    database: Database, name: str
) -> None:
    assert view(database, VirtualDevice(name, synchronised=False)).troubles == ()
    device = change(database, name, clock_error_s=None)
    assert texts(device) == ["the clock is not synchronised, so that times of records may be wrong"]


def test_refused_messages_are_told_once(database: Database, name: str) -> None:
    """The device counts them too."""
    bad = ({"type": "tree", "version": 7}, {"type": "tree", "version": 8})
    device = view(database, VirtualDevice(name, {"rejected": 2}, bad=bad))
    assert (device.dead_letters, texts(device)) == (2, ["2 messages were refused"])


def test_health_that_this_server_cannot_read_is_left_out(database: Database, name: str) -> None:
    fill(database, [VirtualDevice(name)])
    device = change(database, name, health={"waiting": "many"})
    assert (device.health, device.troubles, device.version) == (None, (), "")


def names(devices: list[DeviceView]) -> list[str]:
    return [device.name for device in devices]


@pytest.fixture
def devices(five: Database) -> list[DeviceView]:
    with five.read() as session:
        return list_devices(session)


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("trouble", "laptop-lab", "kiwi-07"),
        ("name", "jetson-north", "pi-south"),
        ("seen", "kiwi-07", "jetson-north"),
        ("waiting", "jetson-north", "pi-south"),
        ("disk", "pi-gate", "pi-south"),
        ("temperature", "pi-gate", "pi-south"),
        ("clock", "pi-south", "pi-gate"),
        ("version", "jetson-north", "pi-south"),
    ],
)
def test_what_somebody_should_look_at_comes_first(devices: list[DeviceView], sort: str, first: str, last: str) -> None:
    arranged = arrange(devices, sort)
    assert (arranged[0].name, arranged[-1].name, len(arranged)) == (first, last, 5)


def test_what_is_unknown_comes_last(database: Database, name: str) -> None:
    quiet: dict[str, Any] = {"temperature_c": None, "disk_free_bytes": None}
    found = [view(database, VirtualDevice("a", quiet)), view(database, VirtualDevice("b", {"temperature_c": 20.0}))]
    for sort in ("temperature", "disk"):
        assert names(arrange(found, sort)) == ["b", "a"]


@pytest.mark.parametrize(
    ("show", "search", "found"),
    [
        ("all", "", ["jetson-north", "kiwi-07", "laptop-lab", "pi-gate", "pi-south"]),
        ("bad", "", ["laptop-lab", "pi-gate", "pi-south"]),
        ("trouble", "", ["jetson-north", "laptop-lab", "pi-gate", "pi-south"]),
        ("online", "", ["kiwi-07", "pi-gate", "pi-south"]),
        ("offline", "", ["jetson-north", "laptop-lab"]),
        ("all", "PI", ["pi-gate", "pi-south"]),
        ("all", "raspberry 4", ["pi-gate"]),
        ("all", "0.2.0", ["pi-south"]),
        ("all", "voltage", ["pi-gate"]),
        ("all", "silent", ["laptop-lab"]),
        ("online", "pi clock", ["pi-south"]),
        ("all", "nowhere", []),
    ],
)
def test_devices_are_found_by_state_and_words(
    devices: list[DeviceView], show: str, search: str, found: list[str]
) -> None:
    assert names(choose(devices, show, search)) == found


def test_a_name_that_is_none_is_no_device(five: Database) -> None:
    with five.read() as session:
        for name in ("nobody", "", "../x", "a\x00b", "ä"):
            assert get_device(session, name) is None


def test_many_devices_are_listed_in_three_queries(database: Database, name: str) -> None:
    fill(database, many(60))
    asked: list[str] = []
    with database.read() as session:
        session.connection()
        event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
        found = list_devices(session)
    orchard = [device for device in found if device.name.startswith("orchard-")]
    assert (len(orchard), len(asked)) == (60, 3)
    assert {device.status for device in orchard} == {"online", "offline"}


def tell_model(database: Database, device: str, **changes: Any) -> None:
    """Let a device say which model counts on it."""
    body = {**EXAMPLES["model_state"], "device": device, **changes}
    message = received(envelope("model_state", device=device, body=body))
    Worker(database, queue.Queue(), lambda _device, _answers: None).process([Delivery(message, lambda: None)])


def test_the_model_that_counts_is_what_the_device_said_last(database: Database, name: str) -> None:
    assert view(database, VirtualDevice(name)).model_state is None
    tell_model(database, name, model="yolo-a 1.0", candidate=None, refused=None)
    tell_model(database, name, model="yolo-b 1.1", candidate=None, refused=None)
    device = seen(database, name)
    assert device.model_state is not None
    assert (device.model_state.model, device.troubles) == ("yolo-b 1.1", ())
    assert choose([device], search="yolo-b 1.1") == [device]
    assert choose([device], search="yolo-a") == []
    with database.read() as session:
        assert next(other for other in list_devices(session) if other.name == name) == device


def test_a_refused_release_is_a_trouble_with_its_reason(database: Database, name: str) -> None:
    fill(database, [VirtualDevice(name)])
    tell_model(database, name, candidate="yolo-a 1.1", refused="is cut short")
    device = seen(database, name)
    (trouble,) = device.troubles
    assert (trouble.level, trouble.about) == ("note", "model")
    assert trouble.text == "release yolo-a 1.1 was refused: is cut short"
    assert "publish a release that fits it" in trouble.remedy


def test_no_device_speaks_for_another(database: Database, name: str) -> None:
    fill(database, [VirtualDevice(name)])
    body = {**EXAMPLES["model_state"], "device": name}
    message = received(envelope("model_state", device="jetson-of-another", body=body))
    Worker(database, queue.Queue(), lambda _device, _answers: None).process([Delivery(message, lambda: None)])
    assert seen(database, name).model_state is None
    assert seen(database, "jetson-of-another").model_state is None, "nor of itself under another's name"
