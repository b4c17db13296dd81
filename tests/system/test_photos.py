"""Full photos from `pomona server photos request` to a file at the server, over a real broker and real HTTPS."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from cloud_sync.server.database import Database
from cloud_sync.server.photo_files import PhotoFiles
from cloud_sync.server.photo_requests import Wanted, ask
from device.link import write_metered
from device.orchards import BlockSettings, register_block
from export.runtime.counter import Counter
from tests.device.visiting import bring_in, photograph
from tests.system.behind_proxy import SLOW, behind_proxy
from tests.system.conftest import Device, Site, wait_until
from tests.system.faults.proxy import Manner


def photographed(device: Device, counter: Counter, folder: Path, *trees: str, padding: int = 0) -> dict[str, bytes]:
    """Photos of trees in the device's store, by their hash; longer by some bytes that no reader of JPEG minds."""
    block = register_block(device.store, device.name, "Dongshan", BlockSettings(trees=100))
    photos = [photograph(folder, tree, 3) for tree in trees]
    for photo in photos:
        with photo.path.open("ab") as file:
            file.write(os.urandom(padding))
    bring_in(device.store, counter, block, *photos)
    return {device.store.photos.digest(photo.path.read_bytes()): photo.path.read_bytes() for photo in photos}


def server(site: Site, *arguments: str) -> str:
    return site.pomona("server", "photos", *arguments, "--folder", str(site.server_folder.path))


def listed(site: Site, device: Device) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in server(site, "--json").splitlines()]
    return {row["photo"]: row for row in rows if row["device"] == device.name}


def part_of(site: Site, device: Device, photo: str) -> int:
    return PhotoFiles(site.server_folder.photos).offset(device.name, photo)


def kept(site: Site, photo: str) -> Path:
    return PhotoFiles(site.server_folder.photos).path(photo, ".jpg")


def test_photos_of_a_tree_come_when_they_are_asked_for(running_site: Site, counter: Counter, tmp_path: Path) -> None:
    """SYNC-125, SYNC-128: by commands alone; one that the device has lost is said to be so."""
    device = running_site.device("giver")
    content = photographed(device, counter, tmp_path, "T1", "T2", "T3")
    home = ("--home", str(device.folder))
    device.sync()
    assert not running_site.server_folder.photos.exists()
    (lost,) = [photo for photo, bytes_ in content.items() if bytes_ == (tmp_path / "T3" / "a.jpg").read_bytes()]
    said = server(running_site, "request", "--block", "giver", "--tree", "T1")
    assert said == "Photos asked of giver: 1; here already: 0.\n"
    with contextlib.closing(Database.in_file(running_site.server_folder.database)) as database:
        ask(database, Wanted([lost]))
    device.store.photos.path(lost, ".jpg").unlink()
    running_site.pomona("sync", *home, "--once")
    rows = listed(running_site, device)
    (arrived,) = [row for row in rows.values() if row["state"] == "arrived"]
    assert Path(arrived["file"]).read_bytes() == content[arrived["photo"]] == (tmp_path / "T1" / "a.jpg").read_bytes()
    assert (rows[lost]["state"], rows[lost]["reason"]) == ("absent", "this device does not have it any more")


@pytest.mark.slow
def test_a_connected_device_hears_of_it_and_a_metered_link_waits(
    running_site: Site, counter: Counter, tmp_path: Path
) -> None:
    """SYNC-125, SYNC-128: what shall come over any link comes at once, the rest when somebody says that it may."""
    device = running_site.device("sparing")
    first, second = photographed(device, counter, tmp_path, "T1", "T2")
    device.sync()
    write_metered(device.store, "yes")
    uplink = running_site.start_sync(device)
    wait_until(lambda: "since the link is metered" in running_site.log(uplink), "connected")
    server(running_site, "request", "--photo", first)
    server(running_site, "request", "--photo", second, "--also-metered")
    wait_until(kept(running_site, second).exists, "the urgent one is here", 20.0)
    wait_until(lambda: "wait for a link that is not metered" in running_site.log(uplink), "it says why")
    assert not kept(running_site, first).exists()
    assert running_site.stop(uplink)[0] == 0
    write_metered(device.store, "no")
    running_site.pomona("sync", "--home", str(device.folder), "--once")
    assert kept(running_site, first).exists()


@pytest.mark.slow
def test_sending_goes_on_after_a_kill_at_either_end(site: Site, counter: Counter, tmp_path: Path) -> None:
    """SYNC-126, SYNC-128: what the server confirmed does not come again; records are stored while a photo comes."""
    with behind_proxy(site) as link:
        device = site.device("mortal")
        ((photo, content),) = photographed(device, counter, tmp_path, "T1", padding=600_000).items()
        device.sync()
        server(site, "request", "--photo", photo)
        link.proxy.behave(SLOW)
        uplink = site.start_sync(device)
        wait_until(lambda: part_of(site, device, photo) > 100_000, "a part")
        device.record(20)
        wait_until(lambda: device.waiting() == 0, "its records are stored meanwhile", 5.0)
        site.kill(uplink)
        first = part_of(site, device, photo)
        assert first < len(content)
        uplink = site.start_sync(device)
        wait_until(lambda: part_of(site, device, photo) > first + 50_000, "a second part")
        site.kill(link.server)
        link.proxy.cut()
        second = part_of(site, device, photo)
        assert second < len(content)
        came = link.proxy.up_bytes
        link.start_server()
        link.proxy.behave(Manner())
        wait_until(kept(site, photo).exists, "the photo is here", 60.0)
        assert kept(site, photo).read_bytes() == content
        # a chunk that was under way, and what TLS and the questions of the upkeep take
        assert link.proxy.up_bytes - came < len(content) - second + 300_000
        assert "Traceback" not in site.log(uplink) + site.log(link.server)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_sending_killed_again_and_again_ends(site: Site, counter: Counter, tmp_path: Path, seed: int) -> None:
    """SYNC-126: at random moments, the device, the server or the link; little more than the photos is carried."""
    chance = random.Random(seed)
    with behind_proxy(site) as link:
        device = site.device("mortal")
        content = photographed(device, counter, tmp_path, "T1", "T2", padding=2_000_000)
        device.sync()
        server(site, "request", "--block", "mortal")
        link.proxy.behave(SLOW)
        uplink = site.start_sync(device)
        rounds = 0
        while not all(kept(site, photo).exists() for photo in content):
            rounds += 1
            assert rounds < 60
            await_progress(site, device, list(content))
            time.sleep(chance.uniform(0.0, 0.7))
            link.strike(chance, uplink)
            if uplink.poll() is not None:
                uplink = site.start_sync(device)
        assert [kept(site, photo).read_bytes() for photo in content] == list(content.values())
        assert link.proxy.up_bytes < sum(map(len, content.values())) + rounds * 300_000


def await_progress(site: Site, device: Device, photos: list[str]) -> None:
    def there() -> int:
        return sum(part_of(site, device, photo) + (10**9 if kept(site, photo).exists() else 0) for photo in photos)

    before = there()
    wait_until(lambda: there() > before or all(kept(site, photo).exists() for photo in photos), "progress", 60.0)
