"""Full photos over HTTPS: only what was asked of a device, in chunks that go on where they ended."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cloud_sync.errors import HttpsError, SendError
from cloud_sync.https import HttpsRefusedError, client_of
from cloud_sync.photos import CHUNK_TYPE, LENGTH, MOST_CHUNK_BYTES, MOST_PHOTO_BYTES, OFFSET, PHOTOS, AskedPhoto
from cloud_sync.sending_photos import PhotoSender, asked_photos, say_absent
from cloud_sync.server import photo_files
from cloud_sync.server.certificates import Authority
from cloud_sync.server.photo_files import PhotoFiles
from cloud_sync.server.photo_requests import PhotoRequest, Wanted, all_requests, ask, withdraw
from tests.cloud_sync.server.https.conftest import HttpsSite
from tests.system.faults.apart import need_apart, run_apart


class AskedDevice:
    """A device that was asked for one photo, which lies in a file."""

    def __init__(self, site: HttpsSite, name: str, folder: Path, size: int = 1_000_000) -> None:
        self.site = site
        self.identity = site.device(name)
        self.content = os.urandom(size)
        self.photo = hashlib.sha256(self.content).hexdigest()
        self.file = folder / "photo.jpg"
        self.file.write_bytes(self.content)
        ask(site.database, Wanted((self.photo,), name))

    @property
    def kept(self) -> Path:
        return PhotoFiles(self.site.server_folder.photos).path(self.photo, "")

    def state(self) -> tuple[str, str]:
        with self.site.database.read() as session:
            (row,) = [row for row in all_requests(session) if row.device == self.identity.name]
            return row.state, row.reason

    def expect(self, size_bytes: int | None) -> None:
        """Have the request say how long the photo's record says that it is."""
        with self.site.database.write() as session:
            request = session.get(PhotoRequest, (self.identity.name, self.photo))
            assert request is not None
            request.size_bytes = size_bytes

    def send(self) -> int:
        return PhotoSender().send(client_of(self.identity), self.photo, self.file, lambda: False)

    def patch(self, offset: int, chunk: bytes, **changed: Any) -> tuple[int, Any]:
        headers = {OFFSET: str(offset), LENGTH: str(len(self.content)), "Content-Type": CHUNK_TYPE, **changed}
        return self.site.ask("PATCH", f"{PHOTOS}/{self.photo}", chunk, self.identity, headers)


def test_a_photo_that_was_asked_for_arrives(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-125, SYNC-126."""
    device = AskedDevice(https_site, "giver", tmp_path)
    assert asked_photos(client_of(device.identity)).photos == [AskedPhoto(photo=device.photo)]
    assert device.send() == len(device.content)
    assert device.kept.read_bytes() == device.content
    assert device.state() == ("arrived", "")
    assert asked_photos(client_of(device.identity)).photos == []
    assert device.send() == 0  # a device that did not hear of it learns that there is nothing left to send


def test_sending_goes_on_where_the_server_confirmed_it(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-126: with chunks of any length; one that comes twice, or too early, changes nothing."""
    device = AskedDevice(https_site, "steady", tmp_path)
    content = device.content
    assert device.patch(0, content[:1])[0] == 204
    assert device.patch(1, content[1:100_000])[0] == 204
    for offset in (0, 1, 99_999, 100_001):
        assert device.patch(offset, content[offset : offset + 10])[0] == 409
    assert device.send() == len(content) - 100_000
    assert device.kept.read_bytes() == content


def test_a_death_between_file_and_database_is_mended(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-126: the photo is in its place and the database does not know it yet."""
    device = AskedDevice(https_site, "unlucky", tmp_path)
    files = PhotoFiles(https_site.server_folder.photos)
    files.append("unlucky", device.photo, 0, device.content, len(device.content))
    files.finish("unlucky", device.photo, "")
    assert device.state() == ("asked", "")
    assert device.send() == 0
    assert device.state() == ("arrived", "")


@pytest.mark.parametrize("size_bytes", [None, 1_000_000], ids=["record pruned", "record held"])
def test_a_death_behind_the_last_chunk_is_mended(https_site: HttpsSite, tmp_path: Path, size_bytes: int | None) -> None:
    """SYNC-126: all of the photo is on the disk, and nobody has looked whether it is the right one."""
    name = "cut-short" if size_bytes is None else "cut-off"
    device = AskedDevice(https_site, name, tmp_path)
    device.expect(size_bytes)
    files = PhotoFiles(https_site.server_folder.photos)
    files.append(name, device.photo, 0, device.content, len(device.content))
    assert device.send() == 0
    assert device.state() == ("arrived", "")
    assert device.kept.read_bytes() == device.content


def test_what_is_found_to_be_another_photo_after_a_death_comes_again(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-126, SYNC-127."""
    device = AskedDevice(https_site, "muddled", tmp_path)
    device.expect(len(device.content))
    files = PhotoFiles(https_site.server_folder.photos)
    files.append("muddled", device.photo, 0, b"?" + device.content[1:], len(device.content))
    assert device.send() == len(device.content)
    assert device.kept.read_bytes() == device.content


def test_what_is_another_photo_is_thrown_away(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-127: and asked for still, from its first byte on."""
    device = AskedDevice(https_site, "mistaken", tmp_path)
    device.file.write_bytes(b"?" + device.content[1:])
    with pytest.raises(SendError, match="what was sent has another SHA-256; it was thrown away"):
        device.send()
    assert not device.kept.exists()
    device.file.write_bytes(device.content)
    assert device.send() == len(device.content)


def test_a_device_sends_what_was_asked_of_it_and_nothing_else(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-127: what was asked of another, of nobody, or is no longer asked for, is refused alike."""
    device = AskedDevice(https_site, "asked", tmp_path)
    other = https_site.device("unasked")
    said = "this photo is not asked of this device"
    with pytest.raises(SendError, match="refuses"):
        PhotoSender().send(client_of(other), device.photo, device.file, lambda: False)
    headers = {OFFSET: "0", LENGTH: "10"}
    for identity, photo in ((other, device.photo), (device.identity, "0" * 64)):
        for method, path, body in (
            ("PATCH", f"{PHOTOS}/{photo}", b"x" * 10),
            ("POST", f"{PHOTOS}/{photo}/absent", b'{"reason": "gone"}'),
        ):
            assert https_site.ask(method, path, body, identity, headers | content_type(method)) == (
                404,
                {"reason": said},
            )
    assert withdraw(https_site.database, "asked") == [device.photo]
    assert device.patch(0, b"x") == (404, {"reason": said})
    assert asked_photos(client_of(device.identity)).photos == []


def content_type(method: str) -> dict[str, str]:
    return {"Content-Type": CHUNK_TYPE} if method == "PATCH" else {}


def test_lengths_are_bounded(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-127: of a chunk, of a photo, and beyond the length that was named."""
    device = AskedDevice(https_site, "large", tmp_path)
    assert device.patch(0, bytes(MOST_CHUNK_BYTES + 1))[0] == 413
    assert device.patch(0, b"x", **{LENGTH: str(MOST_PHOTO_BYTES + 1)})[0] == 422
    assert device.patch(0, b"")[0] == 422
    assert device.patch(0, b"xx", **{LENGTH: "1"})[0] == 409
    for wrong in ("-1", "x", "", str(MOST_PHOTO_BYTES)):
        assert device.patch(0, b"x", **{OFFSET: wrong})[0] == 422
    assert PhotoFiles(https_site.server_folder.photos).offset("large", device.photo) == 0


def test_a_device_says_what_it_does_not_have(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-128: it is asked for no longer, and what had come of it is thrown away."""
    device = AskedDevice(https_site, "forgetful", tmp_path)
    device.patch(0, device.content[:100])
    say_absent(client_of(device.identity), device.photo, "this device does not have it any more")
    assert device.state() == ("absent", "this device does not have it any more")
    assert PhotoFiles(https_site.server_folder.photos).offset("forgetful", device.photo) == 0
    ask(https_site.database, Wanted((device.photo,), "forgetful"))
    assert device.send() == len(device.content)


def test_a_revoked_device_sends_nothing(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-127."""
    device = AskedDevice(https_site, "stolen-giver", tmp_path)
    Authority(https_site.server_folder).withdraw("stolen-giver")
    with pytest.raises(HttpsRefusedError, match="certificate of 'stolen-giver' was revoked"):
        device.send()


def test_a_disk_that_is_nearly_full_is_left_to_the_records(
    https_site: HttpsSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-128: the device is told so, and goes on later from where it was."""
    device = AskedDevice(https_site, "patient-giver", tmp_path)
    device.patch(0, device.content[:100_000])
    with monkeypatch.context() as patches:
        patches.setattr(photo_files, "SPARED_BYTES", 1 << 60)  # more than any disk has
        with pytest.raises(HttpsError, match="cannot do this now: the server's disk is full"):
            device.send()
    assert device.send() == len(device.content) - 100_000


def test_a_disk_that_fills_up_keeps_what_was_confirmed(tmp_path: Path) -> None:
    """SYNC-128: on a real file system that is full in the middle of a chunk."""
    need_apart()
    done = run_apart([sys.executable, "-m", "tests.cloud_sync.server.https.full_disk", tmp_path / "disk"], timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "confirmed 1000000, there 1000000, refused: No space left on device\n"
