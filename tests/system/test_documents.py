"""Documents from `pomona server publish` to a device that uses them, over a real broker and real HTTPS."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from cloud_sync.documents import Kind, Notice
from cloud_sync.server.database import Database
from cloud_sync.server.documents import Publication, publish
from device.documents.shelf import documents_folder, in_use, shelved
from device.orchards import find_block
from export.runtime.counter import Counter
from tests.cloud_sync.server.test_documents import SEASON
from tests.device.visiting import bring_in, photograph
from tests.system.behind_proxy import SLOW, behind_proxy
from tests.system.conftest import Device, Site, wait_until
from tests.system.faults.proxy import Manner

TREES = [f"R01-T{number:02}" for number in range(1, 13)]
REGISTRY = {
    "schema": "pomona-registry/1",
    "orchard": "Dongshan",
    "blocks": [
        {
            "block": "A",
            "area_m2": 20_000.0,
            "trees": 1650,
            "fruit_weight_g": 200.0,
            "registered": [{"tree": code, "latitude": 34.55, "longitude": 105.75} for code in TREES],
        }
    ],
}
PLAN = {
    "schema": "pomona-plan/1",
    "orchard": "Dongshan",
    "block": "A",
    "design": "random",
    "walk": [{"tree": code} for code in TREES[:3]],
}


def publish_on(
    site: Site, kind: Kind, content: dict[str, Any], name: str | None = None, device: str | None = None
) -> Notice:
    """As `pomona server publish` does."""
    file = site.folder / "document.json"
    file.write_text(json.dumps(content))
    with contextlib.closing(Database.in_file(site.server_folder.database)) as database:
        return publish(database, site.server_folder, Publication(kind, file, name, device))


def publish_large(site: Site, size: int) -> Notice:
    """A season file that takes a while, filled with what cannot be compressed."""
    return publish_on(site, "season", {**SEASON, "filler": os.urandom(size // 2).hex()}, "Dongshan")


def states(device: Device) -> dict[str, str]:
    return {item.notice.kind: item.state for item in shelved(device.store)}


def part_of(device: Device, notice: Notice) -> int:
    """How much of a document lies at the device."""
    file = documents_folder(device.folder) / f"{notice.sha256}.part"
    return file.stat().st_size if file.exists() else 0


def test_what_is_published_is_used_in_the_field(running_site: Site, counter: Counter, tmp_path: Path) -> None:
    """SYNC-120, SYNC-124: by commands alone, on a device that knew nothing; another's season file is not for it."""
    publish_on(running_site, "registry", REGISTRY, device="kiwi")
    publish_on(running_site, "season", SEASON, "Dongshan", "kiwi")
    publish_on(running_site, "season", {**SEASON, "season": 2025}, "Dongshan", "somebody")
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(PLAN))
    command = ("server", "publish", "plan", str(file), "--device", "kiwi", "--folder")
    assert running_site.pomona(*command, str(running_site.server_folder.path)).startswith(
        "plan 'Dongshan/A', version 1"
    )
    device = running_site.device("kiwi")
    home = ("--home", str(device.folder))
    said = running_site.pomona("sync", *home, "--once")
    assert said == "1 stored at the server, 0 refused, 0 waiting.\n"  # how the device fares
    assert states(device) == {"plan": "applied", "registry": "applied", "season": "applied"}
    assert running_site.pomona("sync", "documents", *home).count("applied") == 3
    assert "R01-T03" in running_site.pomona("plan", "--block", "A", "--sent", *home)
    block = find_block(device.store, "A")
    bring_in(device.store, counter, block, *[photograph(tmp_path, code, 10) for code in TREES])
    assert "correction factor" in running_site.pomona("estimate", "--block", "A", *home)
    (estimated,) = device.store.db.query("SELECT body FROM estimate")
    assert "season 2026" in estimated["body"]
    assert running_site.pomona("sync", *home, "--once").endswith("0 refused, 0 waiting.\n")


@pytest.mark.slow
def test_a_connected_device_hears_of_what_is_new_and_of_what_is_withdrawn(running_site: Site) -> None:
    """SYNC-120, SYNC-124: one line in its log a change."""
    device = running_site.device("awake")
    command = ("server", "withdraw", "season", "Dongshan", "--device", "awake")
    uplink = running_site.start_sync(device)
    wait_until(lambda: "connected to" in running_site.log(uplink), "connected")
    publish_on(running_site, "season", SEASON, "Dongshan", "awake")
    wait_until(lambda: in_use(device.store, "season", "Dongshan"), "in use", 15.0)
    running_site.pomona(*command, "--folder", str(running_site.server_folder.path))
    wait_until(lambda: not shelved(device.store), "no longer in use", 15.0)
    wait_until(lambda: not list(documents_folder(device.folder).iterdir()), "its file is gone")
    device.record(1)
    wait_until(lambda: device.waiting() == 0, "its records go on")
    _, log = running_site.stop(uplink)
    assert log.count("season 'Dongshan', version 1, is in use") == 1
    assert "wait" not in log


def test_a_fetch_goes_on_after_a_kill_at_either_end(site: Site) -> None:
    """SYNC-122: what is on the device's disk does not come again; counts are stored while the document comes."""
    with behind_proxy(site) as link:
        notice = publish_large(site, 800_000)
        device = site.device("mortal")
        link.proxy.behave(SLOW)
        uplink = site.start_sync(device)
        wait_until(lambda: part_of(device, notice) > 100_000, "a part")
        device.record(20)
        wait_until(lambda: device.waiting() == 0, "its records are stored meanwhile", 5.0)
        site.kill(uplink)
        first = part_of(device, notice)
        assert first < notice.size_bytes
        site.start_sync(device)
        wait_until(lambda: part_of(device, notice) > first + 100_000, "a second part")
        site.kill(link.server)
        link.proxy.cut()  # or what is under way would come all the same
        second = part_of(device, notice)
        assert second < notice.size_bytes
        came = link.proxy.down_bytes
        link.start_server()
        link.proxy.behave(Manner())
        wait_until(lambda: in_use(device.store, "season", "Dongshan"), "in use", 60.0)
        # what TLS and the questions of the upkeep take
        assert link.proxy.down_bytes - came < notice.size_bytes - second + 40_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_fetch_killed_again_and_again_ends(site: Site, seed: int) -> None:
    """SYNC-122: at random moments, the device, the server or the link; little more than the document is carried."""
    chance = random.Random(seed)
    with behind_proxy(site) as link:
        notice = publish_large(site, 4_000_000)
        device = site.device("mortal")
        link.proxy.behave(SLOW)
        uplink = site.start_sync(device)
        rounds = 0
        while not in_use(device.store, "season", "Dongshan"):
            rounds += 1
            assert rounds < 60
            await_progress(device, notice)
            time.sleep(chance.uniform(0.0, 0.7))
            link.strike(chance, uplink)
            if uplink.poll() is not None:
                uplink = site.start_sync(device)
        assert link.proxy.down_bytes < notice.size_bytes + rounds * 120_000


def await_progress(device: Device, notice: Notice) -> None:
    before = part_of(device, notice)
    wait_until(lambda: part_of(device, notice) > before or in_use(device.store, "season", "Dongshan"), "progress", 60.0)
