"""How a device fares: told by its store, its folders and its machine."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from cloud_sync import clock
from cloud_sync.messages import HealthBody
from cloud_sync.outbox import new_id
from device.health import gather_health, pomona_version
from device.machine import Machine
from device.orchards import Block
from device.page.uploads import Upload, UploadedPhoto, UploadFolder
from device.store import Store
from export.runtime.counter import Counter
from tests.device.machines import RASPBERRY_PI, make_machine
from tests.device.visiting import bring_in, photograph


def upload(home: Path, *states: str) -> None:
    """An upload with photos in these states."""
    uploads = UploadFolder(home / "uploads")
    identifier, folder = uploads.begin()
    photos = [UploadedPhoto.model_validate({"name": "a.jpg", "number": 1, "state": state}) for state in states]
    (folder / "1").mkdir()
    uploads.save(
        Upload(id=identifier, block="B1", day=date(2025, 9, 24), stage="ripening", tree="T", side="a", photos=photos)
    )


def test_a_device_that_has_counted(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    sides = [photograph(tmp_path, "T1", 3), photograph(tmp_path, "T1", 4, side="b"), photograph(tmp_path, "T2", 5)]
    bring_in(store, counter, block, *sides)
    health = gather_health(store, "kiwi-07", next_s=900, machine=Machine(make_machine(tmp_path, RASPBERRY_PI)))
    waiting = store.outbox.state().waiting
    assert (health.device, health.next_s) == ("kiwi-07", 900)
    assert (health.waiting, health.rejected, health.photos, health.tree_counts) == (waiting, 0, 3, 2)
    assert waiting > 5
    assert health.versions["pomona"] == pomona_version()
    assert "model" not in health.versions, "model_state tells it"
    assert health.versions["hardware"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert (health.temperature_c, health.undervoltage) == (61.835, True)
    assert health.disk_free_bytes is not None
    assert health.disk_total_bytes is not None
    assert 0 < health.disk_free_bytes <= health.disk_total_bytes
    assert HealthBody.model_validate_json(health.model_dump_json(exclude_none=True)) == health


def test_the_age_of_what_waits_is_that_of_the_oldest_record(store: Store, block: Block) -> None:
    hours = (clock.now() - timedelta(hours=2)).isoformat()
    store.db.execute("UPDATE outbox SET recorded_at = ? WHERE sequence = 1", [hours])
    assert gather_health(store, "kiwi-07").oldest_waiting_s == pytest.approx(7200, abs=30)


def test_a_record_of_the_future_has_no_age(store: Store, block: Block) -> None:
    """The clock was set back since it was made."""
    store.db.execute("UPDATE outbox SET recorded_at = '2099-01-01T00:00:00+00:00'")
    assert gather_health(store, "kiwi-07").oldest_waiting_s == 0


def test_what_the_device_says_of_itself_is_no_backlog(store: Store) -> None:
    with store.change():
        store.outbox.report(new_id(), 1, gather_health(store, "kiwi-07"))
    health = gather_health(store, "kiwi-07")
    assert (health.waiting, health.oldest_waiting_s) == (0, None)


def test_photos_that_wait_lie_in_uploads_and_in_the_inbox(store: Store, home: Path, tmp_path: Path) -> None:
    upload(home, "waiting", "counted", "waiting", "failed")
    (home / "uploads" / new_id()).mkdir()  # one that is still arriving
    for name in ("B1/ripening/T1/a.JPG", "B1/ripening/T2/b.heic", ".done/c.jpg", "B1/.thumbs/d.jpg", "B1/note.txt"):
        path = tmp_path / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert gather_health(store, "kiwi-07", inbox=tmp_path / "inbox").photos_waiting == 4
    assert gather_health(store, "kiwi-07", inbox=tmp_path / "missing").photos_waiting == 2
    assert gather_health(store, "kiwi-07").photos_waiting == 2


def test_odd_names_of_hardware_can_be_sent(store: Store, tmp_path: Path) -> None:
    root = make_machine(tmp_path, RASPBERRY_PI, model="Board\x1b[31m  Rev\n1" + 300 * "x")
    hardware = gather_health(store, "kiwi-07", machine=Machine(root)).versions["hardware"]
    assert hardware.startswith("Board[31m Rev1xxx")
    assert len(hardware) == 200
