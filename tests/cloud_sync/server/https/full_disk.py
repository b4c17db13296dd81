"""Keeps a photo on a small disk of its own until that is full, and says what is left; to be run apart."""

from __future__ import annotations

import sys
from pathlib import Path

from cloud_sync.server import photo_files
from cloud_sync.server.errors import FullDiskError
from cloud_sync.server.photo_files import PhotoFiles
from tests.system.faults.disks import SmallDisk

_PHOTO, _DEVICE, _BYTES = "ab" * 32, "kiwi", 10_000_000
_CHUNK = bytes(100_000)


def fill_up(folder: Path) -> str:
    """Append chunks to a photo in a file system of 1 MiB until one is refused.

    Args:
        folder: where the disk is mounted, until this process ends.

    Returns:
        How many bytes were confirmed, how many are there, and why the next chunk was refused.
    """
    SmallDisk(folder, 1)
    photo_files.SPARED_BYTES = -(1 << 30)  # nothing is left to the records, so that the disk itself refuses
    files, confirmed = PhotoFiles(folder), 0
    try:
        while True:
            confirmed = files.append(_DEVICE, _PHOTO, confirmed, _CHUNK, _BYTES)
    except FullDiskError as error:
        cause = error.__cause__
        refused = cause.strerror if isinstance(cause, OSError) else str(error)
    return f"confirmed {confirmed}, there {files.offset(_DEVICE, _PHOTO)}, refused: {refused}"


if __name__ == "__main__":
    sys.stdout.write(f"{fill_up(Path(sys.argv[1]))}\n")
