"""Counting photos as they arrive in a folder, from a camera, a card reader or a share."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cloud_sync.messages import STAGES
from device.errors import InputError
from device.orchards import find_block
from device.photo_naming import name_trees
from device.recording import Visit
from device.sides import Rule
from device.store import Store
from device.visits import day_of, import_photos
from export.runtime.counter import Counter
from export.runtime.errors import PhotoError
from export.runtime.photos import PHOTO_SUFFIXES

DONE, FAILED = ".done", ".failed"
# A file that grew or was written to this recently may still be on its way.
SETTLED_AFTER_S = 2.0

_log = logging.getLogger(__name__)


class _Look(NamedTuple):
    """How a file looked; one that looks the same for a while has arrived whole, whatever the clocks say."""

    size_bytes: int
    written_ns: int


class _Verdict(NamedTuple):
    """What became of a photo, in words, and the folder it belongs into now."""

    where: str
    said: str
    level: int


class InboxWatcher:
    """Counts what arrives in ``inbox/BLOCK/STAGE/TREE/photo``.

    A counted photo is moved to ``inbox/.done``, one that cannot be counted to ``inbox/.failed`` with a text file
    beside it that says why. A photo is moved only after its count is in the store, and counting it again after a
    kill changes nothing. One that cannot be moved is said once and left where it is.

    Args:
        store: the device's records.
        counter: what counts.
        inbox: the folder; made where missing.
        sides: how the sides of a tree become one count; None leaves it as each visit has it.
        renew: gives what counts now, since a model may be installed meanwhile; None keeps the counter.

    Raises:
        InputError: the inbox is no folder, or cannot be made.
    """

    def __init__(
        self,
        store: Store,
        counter: Counter,
        inbox: Path,
        sides: Rule | None = None,
        renew: Callable[[], Counter] | None = None,
    ) -> None:
        try:
            inbox.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{inbox}: {error.strerror}; name the folder in which photos arrive") from error
        self._store = store
        self._counter = counter
        self._renew = renew
        self._inbox = inbox
        self._sides = sides
        self._first_seen: dict[Path, tuple[_Look, float]] = {}
        self._left_lying: dict[Path, tuple[_Look, _Verdict]] = {}
        self._unreadable: set[str] = set()

    def run(self, stop: threading.Event, every_s: float) -> None:
        """Look again and again until told to stop; a photo counts once it has stopped changing.

        Raises:
            StoreError: the store cannot be written.
            EngineError: the engine fails.
        """
        while not stop.is_set():
            self.look(stop)
            stop.wait(every_s)

    def look(self, stop: threading.Event, settled_after_s: float = SETTLED_AFTER_S) -> None:
        """Look once.

        Args:
            stop: ends the look after the photo that is being counted.
            settled_after_s: photos that changed within this time are left for a later look; 0 takes all.

        Raises:
            StoreError: the store cannot be written.
            EngineError: the engine fails.
        """
        photos = self._photos()
        if photos and self._renew is not None:
            self._counter = self._renew()
        now = time.monotonic()
        self._first_seen = {path: self._since(path, look, now) for path, look in photos.items()}
        self._left_lying = {path: left for path, left in self._left_lying.items() if photos.get(path) == left[0]}
        for path, look in photos.items():
            if stop.is_set():
                return
            if path in self._left_lying:
                self._try_again_to_move(path)
            elif now - self._first_seen[path][1] >= settled_after_s:
                self._set_aside(path, look, self._count(path))

    def _since(self, path: Path, look: _Look, now: float) -> tuple[_Look, float]:
        known = self._first_seen.get(path)
        return known if known is not None and known[0] == look else (look, now)

    def _photos(self) -> dict[Path, _Look]:
        found: dict[Path, _Look] = {}
        for folder, folders, files in os.walk(self._inbox, onerror=self._cannot_look):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(folder, name)
                if name.startswith(".") or path.suffix.lower() not in PHOTO_SUFFIXES:
                    continue
                if (look := self._look_at(path)) is not None:
                    found[path] = look
        return found

    def _look_at(self, path: Path) -> _Look | None:
        try:
            status = path.stat()
        except FileNotFoundError:
            return None  # somebody took it away again
        except OSError as error:
            self._cannot_look(error)
            return None
        return _Look(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None

    def _cannot_look(self, error: OSError) -> None:
        place = str(error.filename)
        if not isinstance(error, FileNotFoundError) and place not in self._unreadable:
            self._unreadable.add(place)
            _log.error("%s: %s; let Pomona's user read it", place, error.strerror)

    def _count(self, path: Path) -> _Verdict:
        try:
            visit, root = self._place(path)
            report = import_photos(self._store, self._counter, visit, name_trees(root, [path]))
        except (InputError, PhotoError) as error:
            return _failed(str(error))
        for failure in report.failed:
            return _failed(failure.reason)
        for _path, where in report.elsewhere:
            return _Verdict(DONE, where, logging.WARNING)
        return _Verdict(DONE, "counted" if report.counted else "counted before", logging.INFO)

    def _place(self, path: Path) -> tuple[Visit, Path]:
        """The visit a photo belongs to, and the folder of its block and stage."""
        inside = path.relative_to(self._inbox).parts
        if len(inside) < 3:
            raise InputError("the photo lies in no block's and stage's folder; put it into BLOCK/STAGE/TREE/")
        block = find_block(self._store, inside[0])
        stage = next((known for known in STAGES if known == inside[1]), None)
        if stage is None:
            raise InputError(f"{inside[1]!r} is no stage; name the folder {', '.join(STAGES)}")
        return Visit(block, day_of([path]), stage, sides=self._sides), self._inbox / inside[0] / inside[1]

    def _set_aside(self, path: Path, look: _Look, verdict: _Verdict) -> None:
        _log.log(verdict.level, "%s: %s", path, verdict.said)
        try:
            self._move(path, verdict)
        except OSError as error:
            self._left_lying[path] = (look, verdict)
            _log.error(
                "%s cannot be moved to %s (%s) and is left where it is; let Pomona's user write to %s",
                path,
                verdict.where,
                error.strerror,
                path.parent,
            )

    def _try_again_to_move(self, path: Path) -> None:
        try:
            self._move(path, self._left_lying[path][1])
        except OSError:
            return  # said before
        del self._left_lying[path]

    def _move(self, path: Path, verdict: _Verdict) -> None:
        if not path.exists():
            return  # somebody took it away
        target = _free(self._inbox / verdict.where / path.relative_to(self._inbox))
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        if verdict.where == FAILED:
            target.with_name(f"{target.name}.txt").write_text(f"{verdict.said}\n", encoding="utf-8")


def _failed(reason: str) -> _Verdict:
    return _Verdict(FAILED, reason, logging.ERROR)


def _free(path: Path) -> Path:
    """The path itself, or with a number behind where an earlier photo of that name lies: cameras begin again at 1."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free
