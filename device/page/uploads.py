"""Uploads on disk: what came in is kept, with what became of each photo, until all of it is counted.

A phone that was told that its photos arrived may be switched off, and so may the device: an upload that was not
counted to its end is taken up again when the pages are next started.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from cloud_sync.files import make_folder, sync_folder, write_whole
from cloud_sync.messages import Stage
from cloud_sync.outbox import new_id
from device.disk import remedy_for
from device.errors import InputError, StoreError

_FILE = "upload.json"
_ID = re.compile(r"[0-9a-f-]{36}")
_KEPT_S = 14 * 24 * 3600.0
_BROKEN_OFF_AFTER_S = 24 * 3600.0


class UploadedPhoto(BaseModel):
    """A photo of an upload.

    Attributes:
        name: name it came with.
        number: its sub-folder; None when it was refused on arrival.
        state: ``waiting``; ``counted``; ``known`` when it had been counted before; or ``failed``.
        sha256: its name in the store, once it is there.
        count: what was counted in it.
        message: why it failed, with the remedy.
    """

    name: str
    number: int | None = None
    state: Literal["waiting", "counted", "known", "failed"] = "waiting"
    sha256: str | None = None
    count: int | None = None
    message: str | None = None


class Upload(BaseModel):
    """Photos of one side of one tree, sent together.

    Attributes:
        id: its folder.
        block: name of the block.
        day: day of the visit.
        stage: growth stage.
        tree: code of the tree.
        side: side of the tree.
        photos: the photos.
        problem: what on this device keeps photos waiting, with the remedy.
    """

    id: str
    block: str
    day: date
    stage: Stage
    tree: str
    side: str
    photos: list[UploadedPhoto]
    problem: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to count."""
        return all(photo.state != "waiting" for photo in self.photos)


class UploadFolder:
    """The uploads of one device.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> tuple[str, Path]:
        """A new upload's id, and the folder its photos go to.

        Raises:
            StoreError: the folder cannot be made.
        """
        identifier = new_id()
        path = self._folder / identifier
        try:
            make_folder(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be made: {error.strerror}; {remedy_for(error)}") from error
        return identifier, path

    def photo_path(self, upload: Upload, photo: UploadedPhoto) -> Path:
        """Where a photo that waits lies."""
        return self._folder / upload.id / str(photo.number) / photo.name

    def save(self, upload: Upload) -> None:
        """Write an upload's state; on return it survives a power cut, and so do its photos.

        Raises:
            StoreError: it cannot be written.
        """
        folder = self._folder / upload.id
        try:
            for path in (*(entry for entry in folder.iterdir() if entry.is_dir()), self._folder):
                sync_folder(path)
            write_whole(folder / _FILE, upload.model_dump_json(exclude_none=True).encode())
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror}; {remedy_for(error)}") from error

    def read(self, identifier: str) -> Upload:
        """An upload by its id.

        Raises:
            InputError: no such upload, or none any more.
        """
        try:
            if not _ID.fullmatch(identifier):
                raise FileNotFoundError(identifier)
            return Upload.model_validate_json((self._folder / identifier / _FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"upload {identifier!r} is unknown here; its counts, if it was counted, are in the visit"
            ) from error

    def settle(self, upload: Upload, photo: UploadedPhoto) -> None:
        """Write down what became of a photo, then drop the file, which is in the store or no photo one can count in."""
        self.save(upload)
        self.photo_path(upload, photo).unlink(missing_ok=True)

    def unfinished(self) -> list[str]:
        """Ids of the uploads that still wait to be counted, oldest first."""
        return [upload.id for upload in self._all() if not upload.is_finished]

    def photos_waiting(self) -> int:
        """How many photos still wait to be counted."""
        return sum(photo.state == "waiting" for upload in self._all() for photo in upload.photos)

    def discard(self, identifier: str) -> None:
        """Drop an upload that never arrived whole."""
        shutil.rmtree(self._folder / identifier, ignore_errors=True)

    def tidy(self) -> None:
        """Drop finished uploads after two weeks, and what broke off long ago while it arrived."""
        finished = {upload.id for upload in self._all() if upload.is_finished}
        for path in self._entries():
            kept_s = _KEPT_S if path.name in finished else _BROKEN_OFF_AFTER_S
            is_whole = (path / _FILE).exists()
            if (path.name in finished or not is_whole) and time.time() - path.stat().st_mtime > kept_s:
                self.discard(path.name)

    def _all(self) -> list[Upload]:
        uploads = []
        for path in self._entries():
            with contextlib.suppress(InputError):  # still arriving, or broken off
                uploads.append(self.read(path.name))
        return uploads

    def _entries(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*") if _ID.fullmatch(path.name))
