"""What a device does with photos that are asked of it, over real HTTPS."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from cloud_sync.errors import HttpsError
from cloud_sync.server.documents import catalogue
from cloud_sync.server.photo_files import PhotoFiles
from cloud_sync.server.photo_requests import Wanted, all_requests, ask, withdraw
from device import photo_giving
from device.errand import LOOK_AGAIN_S
from device.link import write_metered
from device.orchards import BlockSettings, register_block
from device.photo_giving import PhotoGiver
from device.store import Store
from export.runtime.counter import Counter
from tests.cloud_sync.helpers import enqueue, tree
from tests.cloud_sync.server.https.conftest import HttpsSite
from tests.device.visiting import bring_in, photograph


class Album:
    """A server, and a device with photos; the giver is called by the test in place of its thread."""

    def __init__(self, site: HttpsSite, counter: Counter, folder: Path, *trees: str) -> None:
        self.site = site
        site.device("kiwi")
        self.store = Store(site.home("kiwi"))
        self.giver = PhotoGiver(site.home("kiwi"), least_wait_s=0.01)
        block = register_block(self.store, "A", "Dongshan", BlockSettings(trees=9))
        photos = [photograph(folder, code, apples) for apples, code in enumerate(trees)]
        bring_in(self.store, counter, block, *photos)
        rows = self.store.db.query("SELECT sha256, suffix FROM photo ORDER BY id")
        self.files = {row["sha256"]: self.store.photos.path(row["sha256"], row["suffix"]) for row in rows}
        self.store.db.execute("DELETE FROM outbox")  # they are at the server

    def ask(self, *photos: str, metered: bool = False) -> None:
        ask(self.site.database, Wanted(photos or tuple(self.files), "kiwi", metered=metered))

    def hear(self) -> float | None:
        with self.site.database.read() as session:
            told = catalogue(session, "kiwi", datetime.now(timezone.utc)).model_dump_json().encode()
        return self.giver.work(self.store, told)

    def states(self) -> dict[str, tuple[str, str]]:
        with self.site.database.read() as session:
            return {row.photo: (row.state, row.reason) for row in all_requests(session)}

    def arrived(self) -> set[str]:
        return {photo for photo, (state, _) in self.states().items() if state == "arrived"}


@pytest.fixture
def album(tmp_path: Path, counter: Counter) -> Iterator[Album]:
    site = HttpsSite(tmp_path)
    with site.serving():
        made = Album(site, counter, tmp_path / "card", "T1", "T2", "T3")
        yield made
        made.store.close()


def test_all_that_is_asked_for_is_sent_and_nothing_else(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-125: also where it is more than one list of it."""
    monkeypatch.setattr("cloud_sync.server.photo_requests.MOST_LISTED", 1)
    first, second, _ = album.files
    assert album.hear() is None
    album.ask(first, second)
    assert album.hear() is None
    assert album.arrived() == {first, second}
    for photo in (first, second):
        kept = PhotoFiles(album.site.server_folder.photos).path(photo, "")
        assert kept.read_bytes() == album.files[photo].read_bytes()
    assert list((album.site.server_folder.photos / "parts").iterdir()) == []


def test_what_cannot_be_sent_is_said_and_holds_up_nothing(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-128: lost, damaged, never seen, too long."""
    lost, damaged, good = album.files
    album.files[lost].unlink()
    album.files[damaged].write_bytes(b"?" + album.files[damaged].read_bytes()[1:])
    album.ask(lost, damaged, good, "0" * 64)
    assert album.hear() is None
    assert album.states() == {
        lost: ("absent", "this device does not have it any more"),
        damaged: ("absent", "its file is damaged on this device"),
        "0" * 64: ("absent", "this device does not know it"),
        good: ("arrived", ""),
    }
    os.truncate(album.files[damaged], 2_000_000)
    monkeypatch.setattr(photo_giving, "MOST_PHOTO_BYTES", 1 << 20)
    album.ask(damaged)
    album.hear()
    assert album.states()[damaged] == ("absent", "its file is longer than 1 MiB")


def test_over_a_metered_link_photos_wait_without_a_word(album: Album) -> None:
    """SYNC-128: but for those that shall come all the same; the server is not asked again and again."""
    first, second, third = album.files
    write_metered(album.store, "yes")
    album.ask(first, second)
    album.ask(third, metered=True)
    enqueue(album.store, [tree("A-01")])  # records are gathered for minutes there, and not to be waited for
    assert album.hear() == LOOK_AGAIN_S
    assert album.arrived() == {third}
    address = album.site.home("kiwi") / "identity" / "https.json"
    known = address.read_text()
    address.unlink()
    assert album.giver.work(album.store, None) == LOOK_AGAIN_S
    address.write_text(known)
    album.store.db.execute("DELETE FROM outbox")
    write_metered(album.store, "no")
    assert album.giver.work(album.store, None) is None
    assert album.arrived() == set(album.files)


def test_records_go_before_photos(album: Album) -> None:
    """SYNC-128."""
    enqueue(album.store, [tree("A-01")])
    album.ask()
    thread = threading.Thread(target=album.hear)
    thread.start()
    time.sleep(1.0)
    assert album.arrived() == set()
    album.store.db.execute("DELETE FROM outbox")
    thread.join(20)
    assert album.arrived() == set(album.files)


def test_what_is_withdrawn_meanwhile_is_let_be(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-127: the next list no longer has it."""
    album.ask()
    (first, *_) = album.files

    def withdrawn(_store: Store) -> bool:
        withdraw(album.site.database, "kiwi")
        return False

    monkeypatch.setattr(photo_giving, "_wait_for_turn", withdrawn)
    assert album.hear() is not None
    assert album.giver.work(album.store, None) is None
    assert album.states() == {}
    assert PhotoFiles(album.site.server_folder.photos).offset("kiwi", first) == 0


def test_waits_stay_short_while_a_photo_gets_on(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-126: over a link that breaks off after each chunk; where nothing gets on they become longer."""
    album.ask()
    turns = iter(range(100))

    def breaking(_store: Store) -> bool:
        if next(turns) % 2:
            raise HttpsError("the link broke off")
        return False

    monkeypatch.setattr(photo_giving, "_wait_for_turn", breaking)
    album.giver._sender._chunk_bytes = 1024
    for _ in range(10):
        album.giver.after_failure_s()
    with pytest.raises(HttpsError, match="broke off"):
        album.hear()
    assert album.giver.after_failure_s() <= 0.01


def test_a_photo_that_is_asked_for_again_at_once_is_waited_with(album: Album) -> None:
    """A server that has every byte and is not content is not asked again and again without a pause."""
    (photo, *_) = album.files
    album.ask(photo)
    length = album.files[photo].stat().st_size
    PhotoFiles(album.site.server_folder.photos).append("kiwi", photo, 0, bytes(length), length)
    assert album.hear() is not None
    assert album.arrived() == set()
