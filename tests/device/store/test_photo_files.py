"""Photos as files: whole or not at all, and each content once."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from device.errors import StoreError
from device.store import PhotoFiles

CONTENT = b"a photo"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> PhotoFiles:
    return PhotoFiles(tmp_path / "photos")


def kept(files: PhotoFiles) -> list[Path]:
    return [path for path in files.folder.rglob("*") if path.is_file()]


def test_a_photo_is_named_by_its_content(files: PhotoFiles) -> None:
    assert files.add(CONTENT, ".jpg") == SHA256
    assert kept(files) == [files.path(SHA256, ".jpg")]
    assert files.path(SHA256, ".jpg") == files.folder / SHA256[:2] / f"{SHA256}.jpg"
    assert files.path(SHA256, ".jpg").read_bytes() == CONTENT


def test_the_same_photo_is_kept_once(files: PhotoFiles) -> None:
    files.add(CONTENT, ".jpg")
    before = files.path(SHA256, ".jpg").stat()
    files.add(CONTENT, ".jpg")
    assert files.path(SHA256, ".jpg").stat().st_ino == before.st_ino
    assert len(kept(files)) == 1


def test_a_photo_has_its_name_only_once_it_is_on_the_disk(files: PhotoFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    sync, replace = os.fsync, Path.replace

    def seen_sync(descriptor: int) -> None:
        steps.append("sync folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "sync content")
        sync(descriptor)

    def seen_replace(self: Path, target: Path) -> Path:
        steps.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", seen_sync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    files.add(CONTENT, ".jpg")
    assert steps == ["sync content", "name", "sync folder", "sync folder", "sync folder"]


def test_a_photo_that_is_there_is_synced_all_the_same(files: PhotoFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote it may have been killed before its folder was."""
    files.add(CONTENT, ".jpg")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    files.add(CONTENT, ".jpg")
    assert len(synced) == 3


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EDQUOT, "Disk quota exceeded; free some space"),
        (errno.EIO, "Input/output error; check the folder's permissions and the disk"),
    ],
)
def test_a_failed_write_leaves_nothing_and_says_what_to_do(
    files: PhotoFiles, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StoreError, match=rf"photo .*{SHA256}\.jpg cannot be written: {remedy}"):
        files.add(CONTENT, ".jpg")
    assert kept(files) == []


def test_a_file_in_the_folders_place_is_named(files: PhotoFiles) -> None:
    files.folder.write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot be written: .*; check the folder's permissions"):
        files.add(CONTENT, ".jpg")


def test_only_a_copy_that_nobody_writes_any_more_is_swept(files: PhotoFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the clock is set by decades meanwhile, so that all that is being written looks old."""
    folder = files.folder / ".partial"
    folder.mkdir(parents=True)
    (folder / "young").write_bytes(b"half")
    (folder / "old").write_bytes(b"half")
    os.utime(folder / "old", (0, 0))
    sync = os.fsync

    def open_again(descriptor: int) -> None:
        (written,) = {path.name for path in folder.iterdir()} - {"young", "old"}
        os.utime(folder / written, (0, 0))
        PhotoFiles(files.folder)  # as another process does when it starts
        monkeypatch.setattr(os, "fsync", sync)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", open_again)
    files.add(CONTENT, ".jpg")
    assert sorted(path.name for path in kept(files)) == sorted([f"{SHA256}.jpg", "young"])
