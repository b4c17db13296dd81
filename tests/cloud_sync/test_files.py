"""Files are replaced whole, with the permissions asked for."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from cloud_sync.files import PRIVATE, make_folder, sha256_of, write_whole


def test_content_replaces_the_old(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_whole(file, b"old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_private_file_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    fdopen = os.fdopen

    def spy(descriptor: int, *args: object) -> object:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return fdopen(descriptor, "wb")

    monkeypatch.setattr(os, "fdopen", spy)
    write_whole(tmp_path / "key", b"secret", PRIVATE)
    assert modes == [PRIVATE]
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == PRIVATE


def test_old_content_stands_when_writing_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    write_whole(file, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"


def test_file_and_folder_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    write_whole(tmp_path / "a", b"new")
    assert synced == [False, True]


def test_a_new_folder_reaches_the_disk_with_those_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    make_folder(tmp_path / "a" / "b", 0o700)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert synced[:2] == [folder.stat().st_ino for folder in (tmp_path / "a", tmp_path)]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) % 2 == 0, "whoever made it may have died before it reached the disk"


def test_a_file_longer_than_a_block_has_the_hash_of_its_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()
