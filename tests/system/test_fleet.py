"""The fleet with real processes: devices that say how they fare, the server's pages, metrics of both ends."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx2
import pytest

from cloud_sync import clock
from device.store import Store
from tests.cloud_sync.helpers import EXAMPLES, enqueue, example
from tests.cloud_sync.server.test_ingest_metrics import figures
from tests.system.conftest import Site, wait_until
from tests.system.page_process import running_page


class Fleet:
    """A running ``pomona server fleet``, asked as a program would."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"{self.address}{path}")

    def device(self, name: str) -> dict[str, object]:
        found: dict[str, object] = self.get(f"/api/devices/{name}").json()
        return found

    def metrics(self) -> dict[str, float]:
        return figures(self.get("/metrics").text)


@pytest.fixture(scope="module")
def fleet(running_site: Site) -> Fleet:
    """The pages of the site that is shared."""
    return start_fleet(running_site)


def start_fleet(site: Site) -> Fleet:
    command = [sys.executable, "-m", "pomona", "server", "fleet", "--folder", str(site.server_folder.path)]
    process = site.start([*command, "--port", "0"])
    assert process.stdout is not None
    address = re.search(r"http://\S+", process.stdout.readline())
    assert address is not None, site.log(process)
    return Fleet(address[0])


def start_sync(site: Site, home: Path, *arguments: str) -> None:
    site.start([sys.executable, "-m", "pomona", "sync", "--home", str(home), *arguments])


def test_a_device_says_how_it_fares_and_both_ends_tell_prometheus(running_site: Site, fleet: Fleet) -> None:
    """SYNC-062, SYNC-063, SYNC-064: from the device's own figures to the page of the fleet."""
    device = running_site.device("kiwi-07")
    enqueue(device.store, [example(kind) for kind in EXAMPLES if kind != "health"])
    start_sync(running_site, device.folder)
    wait_until(lambda: fleet.device("kiwi-07").get("health"), "the device's health is at the server")
    wait_until(lambda: device.waiting() == 0, "all is at the server")

    seen = fleet.device("kiwi-07")
    assert (seen["status"], seen["dead_letters"]) == ("online", 0)
    clock_error_s = seen["clock_error_s"]
    assert isinstance(clock_error_s, float)
    assert abs(clock_error_s) < 5, "both ends have the same clock here"
    health = seen["health"]
    assert isinstance(health, dict)
    assert (health["device"], health["next_s"], health["rejected"]) == ("kiwi-07", 900, 0)
    assert abs(health["uptime_s"] - clock.uptime_s()) < 60
    assert '<tr id="device-kiwi-07"' in fleet.get("/").text
    assert "This server receives nothing" not in fleet.get("/").text

    wait_until(lambda: fleet.metrics().get("pomona_ingest_connected{process=1}") == 1, "ingest's figures")
    counted = "pomona_ingest_records_total{process=1}{type=estimate}"
    wait_until(lambda: fleet.metrics().get(counted) == 1, "ingest has counted")
    server = fleet.metrics()
    assert server["pomona_ingest_answers_total{process=1}{result=stored}"] >= len(EXAMPLES)
    assert server["pomona_server_database_bytes"] > 0
    assert server["pomona_fleet_online{device=kiwi-07}"] == 1
    assert server["pomona_fleet_disk_free_bytes{device=kiwi-07}"] == health["disk_free_bytes"]
    with running_page(device.folder) as page:
        own = figures(httpx2.get(f"{page}/metrics").text)
    assert (own["pomona_uplink_running"], own["pomona_uplink_connected"]) == (1, 1)
    assert (own["pomona_outbox_waiting"], own["pomona_outbox_rejected"]) == (0, 0)
    assert own["pomona_disk_total_bytes"] == health["disk_total_bytes"]


def test_a_device_whose_records_are_refused_is_in_trouble_until_they_are_stored(
    running_site: Site, fleet: Fleet
) -> None:
    device = running_site.device("pi-south")
    enqueue(device.store, [example("tree"), example("visit")])
    device.store.db.execute("UPDATE outbox SET version = 9 WHERE type = 'tree'")
    start_sync(running_site, device.folder)
    wait_until(lambda: fleet.device("pi-south").get("dead_letters") == 1, "the refused message is there")
    told = fleet.device("pi-south")
    troubles = told["troubles"]
    assert isinstance(troubles, list)
    assert (told["level"], troubles[0]["text"]) == ("bad", "1 message was refused")
    assert "Upgrade the server" in fleet.get("/devices/pi-south").text
    wait_until(lambda: device.store.outbox.state().rejected == 1, "the device keeps it")
    device.store.db.execute("UPDATE outbox SET version = 1, rejected = NULL WHERE type = 'tree'")
    wait_until(lambda: fleet.device("pi-south").get("dead_letters") == 0, "it is stored")


@pytest.mark.slow
def test_a_server_that_died_is_told_from_devices_that_are_silent(site: Site) -> None:
    site.start_broker()
    server = site.start_server()
    fleet = start_fleet(site)
    wait_until(lambda: "This server receives nothing" not in fleet.get("/").text, "ingest is connected")
    site.kill(server)
    assert "This server receives nothing" in fleet.get("/").text
    assert not [name for name in fleet.metrics() if name.startswith("pomona_ingest")]
    site.start_server()
    wait_until(lambda: "This server receives nothing" not in fleet.get("/").text, "ingest is connected again")


@pytest.mark.slow
def test_each_of_several_ingest_processes_is_told_apart(site: Site) -> None:
    site.start_broker()
    site.start_server("--ingest", "2")
    fleet = start_fleet(site)
    connected = [f"pomona_ingest_connected{{process={number}}}" for number in (1, 2)]
    wait_until(lambda: [fleet.metrics().get(name) for name in connected] == [1, 1], "both are connected")
    device = site.device("kiwi-07")
    device.record(200)
    assert device.sync().stored == 200
    stored = [f"pomona_ingest_records_total{{process={number}}}{{type=tree}}" for number in (1, 2)]
    wait_until(lambda: sum(fleet.metrics().get(name, 0) for name in stored) >= 200, "what they stored adds up")


@pytest.mark.slow
def test_health_that_waits_for_a_server_does_not_pile_up(site: Site) -> None:
    """SYNC-039: a broker without a server takes all and answers nothing."""
    site.start_broker()
    device = site.device("kiwi-07")
    device.record(3)
    start_sync(site, device.folder, "--health-every", "0.02")

    def revisions() -> list[int]:
        rows = device.store.db.execute("SELECT revision FROM outbox WHERE type = 'health'").fetchall()
        return [revision for (revision,) in rows]

    wait_until(revisions, "the first one is queued")
    (first,) = revisions()
    wait_until(lambda: (found := revisions()) and found[0] > first + 2, "later ones have taken its place")
    assert (len(revisions()), device.waiting()) == (1, 4)
    site.start_server()
    wait_until(lambda: site.rows("SELECT 1 FROM health_sample"), "the server has it")
    ((held,),) = site.rows("SELECT revision FROM record WHERE type = 'health'")
    assert held > first


@pytest.mark.slow
def test_a_store_that_was_restored_within_a_boot_goes_on_telling(site: Site, tmp_path: Path) -> None:
    """SYNC-062: what a backup remembers is behind what the server holds, the time since the boot is not."""
    site.start_broker()
    site.start_server()
    device = site.device("kiwi-07")
    backup = tmp_path / "backup.sqlite"
    device.store.db.execute("VACUUM INTO ?", [str(backup)])
    for number in (1, 2):
        process = site.start([sys.executable, "-m", "pomona", "sync", "--home", str(device.folder)])
        _wait_for_samples(site, number)
        wait_until(lambda: device.waiting() == 0, "and answered")
        site.stop(process)
        device.store.close()
        for name in ("store.sqlite-wal", "store.sqlite-shm"):
            (device.folder / name).unlink(missing_ok=True)
        (device.folder / "store.sqlite").write_bytes(backup.read_bytes())
        device.store = Store(device.folder)
    ((raised,),) = device.store.db.execute("SELECT raised FROM store_identity").fetchall()
    assert raised == 0
    assert site.rows("SELECT count(*) FROM record WHERE type = 'health'") == [(1,)]


def _wait_for_samples(site: Site, number: int) -> None:
    wait_until(
        lambda: len(site.rows("SELECT 1 FROM health_sample")) == number, f"{number} messages of health are stored"
    )
