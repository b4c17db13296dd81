"""Two devices with one identity: a key that was copied, and a whole card that was."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from cloud_sync.outbox import new_id
from device.store import Store
from tests.cloud_sync.helpers import tree
from tests.system.conftest import Device, Site, wait_until

RECORDS = 60


def twin_of(device: Device, *, whole_card: bool) -> Device:
    """A second device that shows the same certificate."""
    twin = Device.__new__(Device)
    twin.site, twin.name, twin.identity = device.site, device.name, device.identity
    twin.folder = device.folder.with_name(f"{device.name}-twin")
    if whole_card:
        device.store.close()
        shutil.copytree(device.folder, twin.folder)
        device.store = Store(device.folder)
    twin.store = Store(twin.folder)
    shutil.copytree(device.folder / "identity", twin.folder / "identity", dirs_exist_ok=True)
    return twin


def send_both(*devices: Device) -> str:
    """Both send at the same time until nothing waits; returns what they said."""
    uplinks: list[subprocess.Popen[str]] = [device.start_uplink() for device in devices]
    site = devices[0].site
    wait_until(lambda: all(device.waiting() == 0 for device in devices), "both outboxes are empty", 120)
    logs = [site.stop(uplink)[1] for uplink in uplinks]
    assert not any("Traceback" in log for log in logs)
    return "".join(logs)


@pytest.mark.slow
def test_a_copied_key_takes_no_record_from_either_device(running_site: Site) -> None:
    """SYNC-021, SYNC-026: they end each other's connections, get each other's answers, and all records arrive once."""
    device = running_site.device("copied-key")
    twin = twin_of(device, whole_card=False)
    keys = device.record(RECORDS, "own") + twin.record(RECORDS, "twin")
    said = send_both(device, twin)
    assert "is this identity in use twice?" in said
    assert sorted(running_site.keys_of("copied-key")) == sorted(keys)
    stores = running_site.rows("SELECT store, count(*) FROM record WHERE device = 'copied-key' GROUP BY store")
    assert dict(stores) == {device.store.outbox.store: RECORDS, twin.store.outbox.store: RECORDS}
    twin.store.close()


@pytest.mark.slow
def test_a_copied_card_sends_each_record_once_and_both_sides_changes_arrive(running_site: Site) -> None:
    """SYNC-035, SYNC-041, SYNC-050: the same store twice, with the same messages, then with different ones."""
    device = running_site.device("copied-card")
    shared = new_id()
    with device.store.change():
        device.store.outbox.enqueue(shared, 1, tree("shared"))
    keys = device.record(RECORDS, "before")
    twin = twin_of(device, whole_card=True)
    assert twin.store.outbox.store == device.store.outbox.store
    keys += device.record(20, "own") + twin.record(20, "twin")
    send_both(device, twin)
    for changed, code in ((device, "changed here"), (twin, "changed there")):
        with changed.store.change():
            changed.store.outbox.enqueue(shared, 2, tree(code))
    send_both(device, twin)
    held = running_site.rows(
        "SELECT revision, json_extract(body, '$.tree') FROM record WHERE device = 'copied-card' AND record = ?", shared
    )
    ((revision, code),) = held
    assert revision == 3, "the second change came above the first"
    assert code in {"changed here", "changed there"}
    others = "SELECT natural_key FROM record WHERE device = 'copied-card' AND record != ?"
    assert sorted(key for (key,) in running_site.rows(others, shared)) == sorted(keys)
    assert running_site.rows("SELECT count(*) FROM dead_letter WHERE device = 'copied-card'") == [(0,)]
    twin.store.close()
