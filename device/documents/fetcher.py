"""Fetching what the server announces beside the uplink, and putting it to use."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from cloud_sync.documents import Notice, decode_catalogue
from cloud_sync.errors import FetchError, HttpsError, MessageError, WrongContentError
from cloud_sync.fetching import PART, fetch
from device.documents.applying import apply
from device.documents.shelf import Shelved, clear, documents_folder, note_catalogue, settle, shelved
from device.errand import LOOK_AGAIN_S, Errand
from device.errors import InputError, ReleaseError
from device.link import is_sparing
from device.store import Store

_log = logging.getLogger(__name__)

# over a link that is paid for by the byte larger documents wait, and releases
_MOST_SPARING_BYTES = 1024 * 1024
# what came and was something else will be so again; to fetch it each minute would cost more than it helps
_WRONG_AGAIN_S = 3600.0


class Fetcher(Errand):
    """Fetches and applies documents.

    Args:
        home: the device's folder.
        least_wait_s: longest wait after a first attempt that failed.
    """

    def __init__(self, home: Path, least_wait_s: float = 2.0) -> None:
        super().__init__("documents", home, least_wait_s)
        self._wrong: dict[str, float] = {}

    def work(self, store: Store, payload: bytes | None) -> float | None:
        """Note what was announced, and try each document that is wanted once; as the base class says."""
        if payload is not None:
            self._note(store, payload)
        wanted = [item for item in shelved(store) if item.state == "announced"]
        sparing = any(_is_large(item.notice) for item in wanted) and is_sparing(store)
        held = [item for item in wanted if sparing and _is_large(item.notice)]
        for item in held:
            _say(store, item, "it waits for a link that is not metered, or for `pomona sync metered no`")
        failed = [item for item in wanted if item not in held and not self._fetch(store, item)]
        if failed:
            return self.after_failure_s()
        self.succeeded()
        return LOOK_AGAIN_S if held else None

    def _note(self, store: Store, payload: bytes) -> None:
        try:
            note_catalogue(store, decode_catalogue(payload))
        except MessageError as error:
            _log.warning("what the server announces cannot be read: %s", error)
        clear(store)  # first of all: what is wanted may need the room

    def _fetch(self, store: Store, item: Shelved) -> bool:
        """Whether the document is dealt with; what is wrong with the server or the link is raised."""
        notice = item.notice
        if time.monotonic() < self._wrong.get(notice.sha256, 0.0):
            return False
        part = documents_folder(store.folder) / f"{notice.sha256}{PART}"
        before = _size(part)
        try:
            apply(store, notice, fetch(self.server(), notice, documents_folder(store.folder)))
        except HttpsError as error:
            if _size(part) > before:
                self.succeeded()  # a link that breaks off again and again carries it all the same
            settle(store, item, "announced", str(error))
            raise
        except (FetchError, ReleaseError) as error:
            if isinstance(error, (WrongContentError, ReleaseError)):
                self._wrong[notice.sha256] = time.monotonic() + _WRONG_AGAIN_S
            _say(store, item, str(error))
            return False
        except InputError as error:
            _log.error("%s of the server is not used: %s", notice, error)
            settle(store, item, "refused", str(error))
        else:
            _log.info("%s, version %d, is in use", notice, notice.version)
            settle(store, item, "applied")
            clear(store)
        return True


def _size(part: Path) -> int:
    """How much of a document is there."""
    return part.stat().st_size if part.exists() else 0


def _is_large(notice: Notice) -> bool:
    return notice.kind == "release" or notice.size_bytes > _MOST_SPARING_BYTES


def _say(store: Store, item: Shelved, reason: str) -> None:
    """Why a document is not there yet: once in the log, and for `pomona sync documents`."""
    if reason != item.reason:
        _log.warning("%s waits: %s", item.notice, reason)
    settle(store, item, "announced", reason)
