"""Files that must survive a power cut, whole or not at all, and what tells one from another."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
_BLOCK = 1024 * 1024


def identity_folder(folder: Path) -> Path:
    """Where a device's identity lies below its folder."""
    return folder / "identity"


def write_whole(path: Path, content: bytes, mode: int = PUBLIC) -> None:
    """Put content into a file so that a reader, also one after a power cut, sees the old content or the new.

    Args:
        path: file to make or replace; its folder exists.
        content: what it shall hold.
        mode: permissions, given before the first byte is written.

    Raises:
        OSError: the folder or disk does not take it; the old file still stands.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # the process's umask may have taken bits away
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    sync_folder(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file of any length, as 64 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder where it is missing, and those above it, so that its name survives a power cut.

    Args:
        folder: the folder.
        mode: its permissions, as far as the process's umask leaves them.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode, parents=True, exist_ok=True)
    # also when it was there: whoever made it may have died before this
    for above in folder.absolute().parents:
        with contextlib.suppress(OSError):  # one that we may not read was there before us
            sync_folder(above)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that they survive a power cut.

    Raises:
        OSError: there is no such folder, or the disk does not take it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
