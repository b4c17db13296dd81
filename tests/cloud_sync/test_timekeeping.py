"""What time it is on a device that may not know."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync import clock, timekeeping
from cloud_sync.timekeeping import RELEASED, Timekeeper
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, tree

NEVER_SET = datetime(1970, 1, 1, 0, 5, tzinfo=timezone.utc)
AHEAD = datetime(2038, 1, 20, tzinfo=timezone.utc)
TRUE = RELEASED + timedelta(days=100)
SECOND = timedelta(seconds=1)


class Machine:
    """A machine whose clock, counter and kernel say what a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = NEVER_SET
        self.uptime_s = 1000.0
        self.boot = "first"
        self.is_synchronised = False
        monkeypatch.setattr(clock, "now", lambda: self.clock)
        monkeypatch.setattr(clock, "is_synchronised", lambda: self.is_synchronised)
        monkeypatch.setattr(clock, "boot_id", lambda: self.boot)
        monkeypatch.setattr(timekeeping, "uptime_s", lambda: self.uptime_s)

    def learn(self, folder: Path, server_time: datetime, took_s: float = 0.5) -> None:
        asked_at_s = self.uptime_s
        self.uptime_s += took_s
        Timekeeper(folder).learn(server_time, asked_at_s)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_this_pomona_was_not_released_in_the_future() -> None:
    assert datetime.now(timezone.utc) > RELEASED


def test_a_clock_the_kernel_vouches_for_is_known(machine: Machine, tmp_path: Path) -> None:
    """SYNC-087."""
    machine.clock, machine.is_synchronised = TRUE, True
    read = Timekeeper(tmp_path).read()
    assert (read.at, read.is_known, read.device_clock) == (TRUE, True, None)


def test_a_clock_nobody_vouches_for_is_taken_and_not_known(machine: Machine, tmp_path: Path) -> None:
    """SYNC-087."""
    machine.clock = TRUE
    read = Timekeeper(tmp_path).read()
    assert (read.at, read.is_known, read.device_clock) == (TRUE, False, None)


@pytest.mark.parametrize("vouched", [False, True])
def test_a_clock_before_the_release_is_wrong_whoever_vouches(machine: Machine, tmp_path: Path, vouched: bool) -> None:
    """SYNC-087."""
    machine.is_synchronised = vouched
    read = Timekeeper(tmp_path).read()
    assert (read.at, read.is_known, read.device_clock) == (RELEASED, False, NEVER_SET)


def test_a_known_time_is_a_floor_after_the_next_boot(machine: Machine, tmp_path: Path) -> None:
    """SYNC-087: what the server said, and what the caller knows of."""
    machine.learn(tmp_path, TRUE)
    machine.boot, machine.uptime_s = "second", 5.0
    read = Timekeeper(tmp_path).read()
    assert abs(read.at - TRUE) < SECOND
    assert (read.is_known, read.device_clock) == (False, NEVER_SET)
    later = TRUE + timedelta(days=3)
    assert Timekeeper(tmp_path).read(later).at == later


@pytest.mark.parametrize("wrong", [NEVER_SET, AHEAD, TRUE - timedelta(hours=3)])
def test_the_server_s_time_goes_on_whatever_the_clock_says(machine: Machine, tmp_path: Path, wrong: datetime) -> None:
    """SYNC-088."""
    machine.clock = wrong
    machine.learn(tmp_path, TRUE, took_s=2.0)
    machine.uptime_s += 600
    machine.clock = wrong + timedelta(days=400)  # it jumps, too
    read = Timekeeper(tmp_path).read()
    assert abs(read.at - (TRUE + timedelta(seconds=600))) <= SECOND
    assert (read.is_known, read.device_clock) == (True, machine.clock)


def test_the_kernel_s_word_goes_before_the_server_s(machine: Machine, tmp_path: Path) -> None:
    """SYNC-088: NTP is to the millisecond."""
    machine.learn(tmp_path, TRUE)
    machine.clock, machine.is_synchronised = TRUE + timedelta(seconds=20), True
    assert Timekeeper(tmp_path).read().at == machine.clock


@pytest.mark.parametrize(
    ("took_s", "later_s", "known"), [(100, 0, True), (130, 0, False), (0, 5e5, True), (0, 7e5, False)]
)
def test_the_server_s_time_is_known_to_within_a_minute_or_not_at_all(
    machine: Machine, tmp_path: Path, took_s: float, later_s: float, known: bool
) -> None:
    """SYNC-088: half the way there and back, and what the counter may have gained since."""
    machine.learn(tmp_path, TRUE, took_s)
    machine.uptime_s += later_s
    assert Timekeeper(tmp_path).read().is_known is known


@given(st.floats(0, 100), st.floats(0, 1), st.floats(0, 1000))
def test_the_true_time_is_within_the_error(took_s: float, when: float, later_s: float) -> None:
    """SYNC-088: whenever between question and answer the server looked at its clock."""
    with pytest.MonkeyPatch.context() as patches:
        machine = Machine(patches)
        server_looks_at_s = machine.uptime_s + when * took_s
        timekeeper = _kept_in_memory()
        asked_at_s = machine.uptime_s
        machine.uptime_s += took_s
        timekeeper.learn(TRUE, asked_at_s)
        machine.uptime_s += later_s
        true_now = TRUE + timedelta(seconds=machine.uptime_s - server_looks_at_s)
        assert abs(timekeeper.read().at - true_now) <= timedelta(seconds=took_s / 2 + 1e-3)


def _kept_in_memory() -> Timekeeper:
    class InMemory(Timekeeper):
        told: timekeeping.ServerTime | None = None

        def _keep(self, told: timekeeping.ServerTime) -> None:
            self.told = told

        def _server_time(self) -> timekeeping.ServerTime | None:
            return self.told

    return InMemory()


def test_other_processes_see_what_one_has_learned(machine: Machine, tmp_path: Path) -> None:
    """SYNC-088."""
    page = Timekeeper(tmp_path)
    assert not page.read().is_known
    machine.learn(tmp_path, TRUE)
    assert page.read().is_known
    machine.learn(tmp_path, TRUE + timedelta(days=1))
    assert page.read().at > TRUE + timedelta(hours=23)


def test_a_server_that_was_wrong_is_believed_when_it_is_right_again(machine: Machine, tmp_path: Path) -> None:
    machine.learn(tmp_path, AHEAD)
    machine.learn(tmp_path, TRUE)
    assert abs(Timekeeper(tmp_path).read().at - TRUE) < SECOND


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"at": "0001-01-01T00:00:00Z", "error_s": 86400, "boot": "first", "uptime_s": 0}',
        b'{"at": "9999-12-31T23:59:59Z", "error_s": 1e300, "boot": "first", "uptime_s": 0}',
        b'{"at": "2030-01-01T00:00:00Z", "error_s": NaN, "boot": "first", "uptime_s": 0}',
    ],
)
def test_a_damaged_file_tells_nothing(machine: Machine, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "time.json").write_bytes(content)
    assert Timekeeper(tmp_path).read().at >= RELEASED
    assert Timekeeper(tmp_path).known_past() == RELEASED


def test_the_end_of_the_calendar_is_borne(machine: Machine, tmp_path: Path) -> None:
    machine.learn(tmp_path, datetime(9999, 12, 31, 23, 59, tzinfo=timezone.utc))
    machine.uptime_s += 100
    assert not Timekeeper(tmp_path).read().is_known


def test_a_time_that_came_by_file_is_a_floor_only(machine: Machine, tmp_path: Path) -> None:
    """SYNC-087."""
    Timekeeper(tmp_path).learn_floor(TRUE)
    assert (Timekeeper(tmp_path).read().at, Timekeeper(tmp_path).read().is_known) == (TRUE, False)
    machine.learn(tmp_path, TRUE + SECOND)
    Timekeeper(tmp_path).learn_floor(TRUE)  # an old file
    assert Timekeeper(tmp_path).read().is_known


def test_only_what_is_certain_has_passed(machine: Machine, tmp_path: Path) -> None:
    """SYNC-084: a clock that is ahead makes no certificate old, one that the kernel vouches for does."""
    machine.clock = AHEAD
    assert Timekeeper(tmp_path).known_past() == RELEASED
    machine.is_synchronised = True
    assert Timekeeper(tmp_path).known_past() == AHEAD


def recorded(store: Store) -> tuple[str, bool, str | None]:
    """Time, whether it was known, and the device's own clock, of the last message."""
    *_, last = store.outbox.waiting("kiwi-07", 0, 100)
    envelope = json.loads(last.payload)
    return envelope["recorded_at"], envelope["clock_synchronised"], envelope.get("device_clock")


def test_a_record_says_what_was_known_and_what_the_clock_said(machine: Machine, store: Store) -> None:
    """SYNC-089."""
    enqueue(store, [tree("1")])
    assert recorded(store) == (RELEASED.isoformat(), False, NEVER_SET.isoformat())
    (store.folder / "identity").mkdir()
    machine.learn(store.folder / "identity", TRUE, took_s=0)
    enqueue(store, [tree("2")])
    assert recorded(store) == (TRUE.isoformat(), True, NEVER_SET.isoformat())
    machine.clock, machine.is_synchronised = TRUE + SECOND, True
    enqueue(store, [tree("3")])
    assert recorded(store) == ((TRUE + SECOND).isoformat(), True, None)


def test_a_record_made_when_the_time_was_known_is_the_store_s_floor(machine: Machine, store: Store) -> None:
    """SYNC-087: one made when it was not is none, or a clock that was once ahead would stay so."""
    machine.clock, machine.is_synchronised = TRUE, True
    enqueue(store, [tree("1")])
    machine.clock, machine.is_synchronised = AHEAD, False
    enqueue(store, [tree("2")])
    machine.clock = NEVER_SET
    enqueue(store, [tree("3")])
    assert recorded(store) == (TRUE.isoformat(), False, NEVER_SET.isoformat())


def test_a_store_heals_from_a_clock_wrongly_called_right(machine: Machine, store: Store) -> None:
    """SYNC-087."""
    machine.clock, machine.is_synchronised = AHEAD, True
    enqueue(store, [tree("1")])
    (store.folder / "identity").mkdir()
    machine.is_synchronised = False
    machine.learn(store.folder / "identity", TRUE, took_s=0)
    machine.clock = NEVER_SET
    enqueue(store, [tree("2")])
    assert recorded(store)[0] == TRUE.isoformat()
    machine.boot = "second"
    enqueue(store, [tree("3")])
    assert recorded(store)[0] == TRUE.isoformat()
