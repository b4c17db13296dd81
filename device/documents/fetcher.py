"""Fetching what the server announces beside the uplink, in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from cloud_sync.backoff import Backoff
from cloud_sync.documents import decode_catalogue
from cloud_sync.errors import FetchError, MessageError
from cloud_sync.fetching import DocumentServer, fetch
from device.documents.applying import apply
from device.documents.shelf import Shelved, clear, documents_folder, note_catalogue, settle, shelved
from device.errors import InputError, StoreError
from device.store import Store

_log = logging.getLogger(__name__)


class Fetcher:
    """Fetches and applies documents until told to stop; the thread and its connection to the store are its own.

    Args:
        home: the device's folder.
        server: where documents are fetched.
        least_wait_s: longest wait after a first attempt that failed; it doubles, to five minutes.
    """

    def __init__(self, home: Path, server: Callable[[], DocumentServer], least_wait_s: float = 2.0) -> None:
        self._home = home
        self._server = server
        self._backoff = Backoff(least_wait_s, 300.0)
        self._announced: queue.Queue[bytes | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="documents", daemon=True)

    def start(self) -> None:
        """Begin; what was announced before and not fetched is fetched first."""
        self._thread.start()

    def announce(self, payload: bytes) -> None:
        """Take what the server published on ``down/document``; any thread may call this."""
        self._announced.put(payload)

    def stop(self, wait_s: float) -> None:
        """End after what was announced so far has been tried once, or when the time is over."""
        self._announced.put(None)
        self._thread.join(wait_s)

    def _run(self) -> None:
        store = Store(self._home)
        try:
            wait_s: float | None = 0.0
            while True:
                try:
                    payload = self._announced.get(timeout=wait_s)
                except queue.Empty:
                    pass
                else:
                    if payload is None:
                        return
                    self._note(store, payload)
                wait_s = self._backoff.next_s() if self._fetch_all(store) else None
        except StoreError as error:
            _log.error("documents are not fetched: %s", error)
        finally:
            store.close()

    def _note(self, store: Store, payload: bytes) -> None:
        try:
            note_catalogue(store, decode_catalogue(payload))
        except MessageError as error:
            _log.warning("what the server announces cannot be read: %s", error)

    def _fetch_all(self, store: Store) -> int:
        """Try each document that is wanted once. Returns how many could not be fetched."""
        failed = 0
        for item in shelved(store):
            if item.state == "announced":
                failed += not self._fetch(store, item)
        if not failed:
            self._backoff.reset()
            clear(store)
        return failed

    def _fetch(self, store: Store, item: Shelved) -> bool:
        notice = item.notice
        try:
            file = fetch(self._server(), notice, documents_folder(self._home))
            apply(store, notice, file)
        except FetchError as error:
            if str(error) != item.reason:
                _log.warning("%s", error)
            settle(store, notice, "announced", str(error))
            return False
        except InputError as error:
            _log.error("%s %r of the server is not used: %s", notice.kind, notice.name, error)
            settle(store, notice, "refused", str(error))
        else:
            _log.info("%s %r, version %d, is in use", notice.kind, notice.name, notice.version)
            settle(store, notice, "applied")
        return True
