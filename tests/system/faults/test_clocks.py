"""Clocks that say 1970 or 2038, and that jump by years while everything runs, over real TLS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from cloud_sync.identity import Identity, create_request, install_enrolment
from cloud_sync.timekeeping import RELEASED
from device.link import write_metered
from device.store import Store
from tests.system.conftest import Device, Site, wait_until

LIBRARY = "libfaketimeMT.so.1"
DEVICE, BROKER, SERVER = "device", "broker", "server"
NOW = datetime.now(timezone.utc).year


def faketime() -> Path:
    """The library that tells a process another time."""
    found = [*Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"), *Path("/usr/lib").glob(f"faketime/{LIBRARY}")]
    assert found, "the tests of wrong clocks need libfaketime: apt-get install faketime, or run make test"
    return found[0]


class LyingSite(Site):
    """A site where some have a wrong clock; the one that waits are measured by goes on, as it does in the field."""

    server: subprocess.Popen[str]

    def __init__(self, folder: Path, liars: set[str]) -> None:
        super().__init__(folder)
        self._liars = liars
        self._clock = folder / "clock"

    def set_clock(self, year: int) -> None:
        """From now on it is the tenth second of a year, whoever runs already."""
        moment = datetime(year, 1, 1, 0, 0, 10, tzinfo=timezone.utc)
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(f"{(moment - datetime.now(timezone.utc)).total_seconds():+.0f}\n")
        fresh.replace(self._clock)

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        who = BROKER if command[0] == "mosquitto" else SERVER if SERVER in command else DEVICE
        if who not in self._liars:
            return super().start(command)
        lie = [f"LD_PRELOAD={faketime()}", f"FAKETIME_TIMESTAMP_FILE={self._clock}"]
        return super().start(["env", *lie, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", *command])

    def try_command(self, device: Device, *words: str) -> str:
        """Give the device a command; returns what it complains of."""
        process = self.start([sys.executable, "-m", "pomona", *words, "--home", str(device.folder)])
        return "" if process.wait(timeout=60) == 0 else self.log(process)

    def command(self, device: Device, *words: str) -> None:
        """Give the device a command that must succeed."""
        assert self.try_command(device, *words) == ""

    def enrol(self, folder: Path, name: str) -> Identity:
        """The server signs by its own clock."""
        request, out = create_request(folder, name), folder / "enrolment.json"
        words = ["server", "enroll", str(request), "--folder", str(self.server_folder.path), "--out", str(out)]
        process = self.start([sys.executable, "-m", "pomona", *words])
        assert process.wait(timeout=60) == 0, self.log(process)
        identity = install_enrolment(folder, out)
        # asking NetworkManager means sleeping, and to sleep by a faked clock of the past takes for ever
        store = Store(folder)
        write_metered(store, "no")
        store.close()
        return identity

    def add_block(self, device: Device, name: str) -> None:
        self.command(device, "block", "add", name, "--orchard", device.name)

    def years(self) -> dict[str, int]:
        """When the device says that it made each block: never before the day on which it was enrolled."""
        rows = self.rows("SELECT block, recorded_at FROM record WHERE type = 'block' ORDER BY sequence")
        return {block: int(recorded_at[:4]) for block, recorded_at in rows}


StartLying = Callable[[set[str], int], LyingSite]


@pytest.fixture
def start_lying(tmp_path: Path, mosquitto: None) -> Iterator[StartLying]:
    """Makes a site whose liars believe in a year, its broker and its server started; closed after the test."""
    made: list[LyingSite] = []

    def start(liars: set[str], year: int) -> LyingSite:
        site = LyingSite(tmp_path, liars)
        made.append(site)
        site.set_clock(year)
        site.start_broker()
        site.server = site.start_server()
        return site

    yield start
    for site in made:
        site.close()


@pytest.mark.parametrize(
    ("liars", "year", "recorded"),
    [
        ({DEVICE}, 1970, NOW),
        ({BROKER, SERVER}, 2038, 2038),
        pytest.param({DEVICE}, 2038, 2038, marks=pytest.mark.slow),
        pytest.param({DEVICE}, 2090, 2090, marks=pytest.mark.slow),
        pytest.param({BROKER, SERVER}, 1970, NOW, marks=pytest.mark.slow),
        pytest.param({BROKER}, 1970, NOW, marks=pytest.mark.slow),
        pytest.param({DEVICE, BROKER, SERVER}, 1970, RELEASED.year, marks=pytest.mark.slow),
        pytest.param({DEVICE, BROKER, SERVER}, 2038, 2038, marks=pytest.mark.slow),
    ],
)
def test_with_a_wrong_clock_a_device_connects_and_its_records_arrive(
    start_lying: StartLying, liars: set[str], year: int, recorded: int
) -> None:
    """SYNC-007, SYNC-087: records are dated no earlier than the day of enrolment, as the server told it."""
    site = start_lying(liars, year)
    device = site.device("kiwi-07")
    site.add_block(device, "B1")
    site.command(device, "sync", "--once")
    assert device.waiting() == 0
    assert site.years() == {"B1": recorded}
    (block,) = site.holdings().blocks
    assert block.records == {"block": 1}


@pytest.mark.parametrize(
    "liars", [{BROKER, SERVER}, pytest.param({DEVICE, BROKER, SERVER}, marks=pytest.mark.slow)], ids=len
)
def test_to_a_broker_years_ahead_a_device_s_certificate_has_ended_and_nothing_is_lost(
    start_lying: StartLying, liars: set[str]
) -> None:
    """SYNC-007: once its clock is right, everything arrives."""
    site = start_lying(liars, NOW)
    device = site.device("kiwi-07")
    site.add_block(device, "B1")
    site.set_clock(2038)
    said = site.try_command(device, "sync", "--once")
    assert "refuses the certificate of 'kiwi-07'" in said
    assert "certificate expired" in said
    assert device.waiting() == len(("orchard", "block"))
    site.set_clock(NOW)
    site.command(device, "sync", "--once")
    assert device.waiting() == 0
    assert list(site.years()) == ["B1"]


@pytest.mark.slow
def test_a_clock_that_jumps_by_years_while_all_run_breaks_no_connection_and_no_order(
    start_lying: StartLying,
) -> None:
    """SYNC-013, SYNC-040: what is last is told by the device's numbers, not by its clock."""
    site = start_lying({DEVICE, BROKER, SERVER}, NOW)
    device = site.device("kiwi-07")
    uplink = device.start_uplink()
    years = (NOW, 1970, 2038, 2031)
    for year in years:
        site.set_clock(year)
        site.add_block(device, f"B{year}")
        site.command(device, "block", "add", "same", "--orchard", device.name, "--trees", str(year))
        wait_until(lambda: device.waiting() == 0, f"all stored in {year}")
    # no record is dated before the device was enrolled
    assert site.years() == {f"B{NOW}": NOW, "B1970": NOW, "B2038": 2038, "B2031": 2031, "same": 2031}
    assert site.rows("SELECT json_extract(body, '$.trees') FROM record WHERE block = 'same'") == [(2031,)]
    assert site.log(uplink).count("connected to broker") == 1
    assert site.log(site.server).count("connected to broker") == 1
    assert "Traceback" not in site.log(uplink) + site.log(site.server)
