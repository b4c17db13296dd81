"""What was read of scenes, kept in a folder, so that work that was interrupted goes on where it stopped."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.earth.errors import EarthInputError

_LOG = logging.getLogger(__name__)
_LEFT_BEHIND_S = 24 * 3600


class BlockCache:
    """Arrays under names; each is whole or not there, also when the process is killed while it writes.

    Several processes may use one folder: an array is written beside its place, synced and renamed, and what two of them
    write under one name is the same.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder, made if need be.

        Raises:
            EarthInputError: it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EarthInputError(f"cache {folder} cannot be made: {error.strerror}; name another folder") from error
        self.folder = folder
        for part in folder.glob("*/*.part"):  # of processes that were killed
            if time.time() - _age(part) > _LEFT_BEHIND_S:
                part.unlink(missing_ok=True)

    def get(self, name: str) -> NDArray[Any] | None:
        """The array of a name; None where there is none, or where its bytes are not those that were written."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if zlib.crc32(content[4:]) != int.from_bytes(content[:4], "little"):
            _LOG.warning("%s is damaged and is read again from its source", path)
            return None
        array: NDArray[Any] = np.load(io.BytesIO(content[4:]), allow_pickle=False)
        return array

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Keep an array.

        Raises:
            EarthInputError: the folder cannot be written, or is full.
        """
        path = self._path(name)
        held = io.BytesIO()
        np.save(held, array, allow_pickle=False)
        content = held.getvalue()
        part = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            with part.open("wb") as file:
                file.write(zlib.crc32(content).to_bytes(4, "little"))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise EarthInputError(
                f"cache {self.folder} cannot be written: {error.strerror}; free space or name another folder"
            ) from error

    def _path(self, name: str) -> Path:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return self.folder / digest[:2] / digest[2:]


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
