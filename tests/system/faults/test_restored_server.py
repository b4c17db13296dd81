"""A server that answered for records and is then restored from yesterday's backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud_sync.outbox import new_id
from tests.cloud_sync.helpers import tree
from tests.system.conftest import Device, Site
from tests.system.faults.truth import device_records, keep_journal, server_records

BEFORE, SINCE, AFTER = 60, 40, 20


@dataclass(frozen=True)
class Restored:
    """A site whose server forgot a day.

    Attributes:
        site: broker and server, running again on yesterday's database.
        device: has sent everything and forgotten it.
        changed: a record that was changed on the day that was forgotten.
    """

    site: Site
    device: Device
    changed: str

    def missing(self) -> set[str]:
        """Records that the device has made and the server lacks, or holds an older revision of."""
        ours, theirs = device_records(self.device.folder), server_records(self.database, self.device.name)
        return {record for record, held in ours.items() if theirs.get(record) != held}

    @property
    def database(self) -> str:
        return f"sqlite:///{self.site.server_folder.database}"


def change(device: Device, record: str, revision: int, code: str) -> None:
    with device.store.change():
        device.store.outbox.enqueue(record, revision, tree(code))


@pytest.fixture
def restored(site: Site, tmp_path: Path) -> Restored:
    site.start_broker()
    server = site.start_server()
    device = site.device("kiwi-07")
    keep_journal(device.folder)
    changed = new_id()
    change(device, changed, 1, "first")
    device.record(BEFORE, "before")
    device.sync()
    backup = tmp_path / "yesterday.sqlite"
    with closing(sqlite3.connect(site.server_folder.database)) as live, closing(sqlite3.connect(backup)) as copy:
        live.backup(copy)
    change(device, changed, 2, "second")
    device.record(SINCE, "since")
    assert device.sync().waiting == 0
    assert Restored(site, device, changed).missing() == set()
    assert site.stop(server)[0] == 0
    site.server_folder.database.write_bytes(backup.read_bytes())
    site.start_server()
    return Restored(site, device, changed)


def test_what_comes_after_the_restoration_is_taken_up(restored: Restored) -> None:
    """SYNC-040: new records, and a later revision of one whose last revision the server has forgotten."""
    forgotten = restored.missing()
    assert len(forgotten) == SINCE + 1
    restored.device.record(AFTER, "after")
    change(restored.device, restored.changed, 3, "third")
    result = restored.device.sync()
    assert (result.rejected, result.waiting) == (0, 0)
    assert restored.missing() <= forgotten - {restored.changed}
    rows = restored.site.rows("SELECT revision FROM record WHERE record = ?", restored.changed)
    assert rows == [(3,)]


def test_a_restored_server_is_complete_again_after_one_sync(restored: Restored) -> None:
    restored.device.record(1, "after")
    restored.device.sync()
    assert restored.missing() == set()
