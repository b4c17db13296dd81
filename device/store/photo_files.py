"""Photos as files named by their SHA-256."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from pathlib import Path

from cloud_sync.files import sync_folder
from device.disk import remedy_for
from device.errors import StoreError

_ABANDONED_AFTER_S = 3600.0


class PhotoFiles:
    """A folder of photos; the same content is kept once.

    Args:
        folder: where they lie, in sub-folders by the first two digits of the name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sweep()

    def _sweep(self) -> None:
        """Remove what killed processes left half written; what is young or locked may still be being written.

        Age alone does not tell: a clock that was set for the first time makes everything old.
        """
        for partial in (self.folder / ".partial").glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - partial.stat().st_mtime > _ABANDONED_AFTER_S:
                    with partial.open("rb") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        partial.unlink()

    def path(self, sha256: str, suffix: str) -> Path:
        """Where a photo lies, or will."""
        return self.folder / sha256[:2] / f"{sha256}{suffix}"

    @staticmethod
    def digest(content: bytes) -> str:
        """SHA-256 of a photo file, in hexadecimal: its name."""
        return hashlib.sha256(content).hexdigest()

    def add(self, content: bytes, suffix: str) -> str:
        """Keep a photo; on return it survives a power cut.

        Returns:
            Its SHA-256, in hexadecimal.

        Raises:
            StoreError: it cannot be written.
        """
        sha256 = self.digest(content)
        target = self.path(sha256, suffix)
        partial = self.folder / ".partial" / secrets.token_hex(8)
        try:
            if not target.exists():
                for folder in (target.parent, partial.parent):
                    folder.mkdir(parents=True, exist_ok=True)
                with partial.open("xb") as file:
                    fcntl.flock(file, fcntl.LOCK_SH)
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    partial.replace(target)  # still locked
            # also when it is there: whoever put it there may have died before this
            for folder in (target.parent, self.folder, self.folder.parent):
                sync_folder(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StoreError(f"photo {target} cannot be written: {error.strerror}; {remedy_for(error)}") from error
        return sha256
