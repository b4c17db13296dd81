"""Full photos on the server's disk: parts that grow by chunks, and whole ones under their SHA-256."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path

from cloud_sync.files import make_folder, sha256_of, sync_folder
from cloud_sync.server.errors import FullDiskError, OffsetError, WrongPhotoError

# left free for the database, which shares the disk
SPARED_BYTES = 256 * 1024 * 1024


class PhotoFiles:
    """A folder of photos; a part is one device's, so that no device can harm what another sends.

    Args:
        folder: where they lie, whole ones in sub-folders by the first two digits of the name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, photo: str, suffix: str) -> Path:
        """Where a whole photo lies, or will."""
        return self._folder / photo[:2] / f"{photo}{suffix}"

    def has(self, photo: str, suffix: str) -> bool:
        """Whether a photo is there, whole."""
        return self.path(photo, suffix).is_file()

    def offset(self, device: str, photo: str) -> int:
        """How much of a photo has come and is on the disk."""
        try:
            return self._part(device, photo).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, device: str, photo: str, offset: int, chunk: bytes, length: int) -> int:
        """Add a chunk to a part; on return it survives a power cut.

        Args:
            device: who sends it.
            photo: SHA-256 of the whole.
            offset: where the chunk begins.
            chunk: at least a byte of it.
            length: of the whole.

        Returns:
            How much of the photo is there now.

        Raises:
            OffsetError: the part ends elsewhere, as one does whose last chunk was confirmed without being heard.
            FullDiskError: there is no room; what was there before is kept.
            OSError: the disk does not take it; likewise.
        """
        part = self._part(device, photo)
        if offset == 0:
            make_folder(part.parent, 0o700)
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # a device whose connection was lost may come on another meanwhile
            there = os.fstat(file.fileno()).st_size
            if offset != there or offset + len(chunk) > length:
                raise OffsetError(there)
            if shutil.disk_usage(self._folder).free < length - offset + SPARED_BYTES:
                raise FullDiskError(f"{self._folder}: there is no room for {length:,} bytes")
            try:
                file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(file.fileno(), there)
                if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    raise FullDiskError(f"{self._folder}: {error.strerror}") from error
                raise
        if offset == 0:
            sync_folder(part.parent)
        return offset + len(chunk)

    def finish(self, device: str, photo: str, suffix: str) -> Path:
        """Check a part that is as long as the whole, and keep it as such.

        Raises:
            WrongPhotoError: it is another; it is thrown away.
            OSError: the disk does not take it.
        """
        part, whole = self._part(device, photo), self.path(photo, suffix)
        if sha256_of(part) != photo:
            part.unlink()
            raise WrongPhotoError(f"what {device} sent as photo {photo} is another; it was thrown away")
        make_folder(whole.parent, 0o700)
        part.replace(whole)
        sync_folder(whole.parent)
        return whole

    def is_complete(self, device: str, photo: str, length: int | None) -> bool:
        """Whether all of a part has come, as where the server died before it had finished it.

        Args:
            device: who sends it.
            photo: its SHA-256.
            length: of the whole; None where no record says it, and the content has to.

        Raises:
            OSError: it cannot be read.
        """
        there = self.offset(device, photo)
        return there > 0 and (there == length if length is not None else sha256_of(self._part(device, photo)) == photo)

    def forget(self, device: str, photo: str) -> None:
        """Throw away what has come of a photo that is no longer wanted.

        Raises:
            OSError: it cannot be deleted.
        """
        self._part(device, photo).unlink(missing_ok=True)

    def _part(self, device: str, photo: str) -> Path:
        return self._folder / "parts" / f"{device}.{photo}"
