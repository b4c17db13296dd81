"""What the server asks of this device beside the records, done in a thread of its own so that no count waits for it."""

from __future__ import annotations

import abc
import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from cloud_sync.backoff import Backoff
from cloud_sync.errors import HttpsError, IdentityError
from cloud_sync.https import HttpsClient, client_of
from cloud_sync.identity import read_identity
from device.errors import StoreError
from device.store import Store

_log = logging.getLogger(__name__)

_MOST_WAIT_S = 300.0
_HURRIED_S = 2.0
# what waits for another link is looked at again
LOOK_AGAIN_S = 300.0


class Errand(abc.ABC):
    """Works until told to stop: at the start, when the server says something, and again after what failed.

    Nothing that fails ends it: a server that is away, a full disk and a locked store are waited for. The store's
    connection is the thread's own.

    Args:
        name: what it does, for the log.
        home: the device's folder.
        least_wait_s: longest wait after a first attempt that failed; it doubles, to five minutes.
    """

    def __init__(self, name: str, home: Path, least_wait_s: float = 2.0) -> None:
        self._name = name
        self._home = home
        self._backoff = Backoff(least_wait_s, _MOST_WAIT_S)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._newest: bytes | None = None
        self._stopping = False
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; what was left undone before is tried first."""
        self._wake.set()
        self._thread.start()

    def announce(self, payload: bytes) -> None:
        """Take what the server has published, which makes void what it said before; any thread may call this."""
        with self._lock:
            self._newest = payload
        self._wake.set()

    def stop(self, wait_s: float, hurry: threading.Event) -> None:
        """End when what was announced so far has been tried once, or when the time is over.

        Args:
            wait_s: how long to wait.
            hurry: once set, hardly any longer; what is broken off is gone on with the next time.
        """
        self._stopping = True
        self._wake.set()
        until = time.monotonic() + wait_s
        while self._thread.is_alive() and (left_s := until - time.monotonic()) > 0:
            if hurry.is_set():
                self._thread.join(min(left_s, _HURRIED_S))
                return
            self._thread.join(min(left_s, 0.2))

    @abc.abstractmethod
    def work(self, store: Store, payload: bytes | None) -> float | None:
        """Do what is to be done.

        Args:
            store: the device's records.
            payload: what the server has published; None where that was dealt with before.

        Returns:
            Seconds after which to be called again, :attr:`after_failure_s` after a failure; None when nothing is left.

        Raises:
            HttpsError: the server cannot be reached, or says no. It is said once, and tried again.
            StoreError: the store cannot be read or written. Likewise.
            OSError: a file cannot be read or written. Likewise.
        """

    def after_failure_s(self) -> float:
        """Seconds to wait: at random, and longer each time."""
        return self._backoff.next_s()

    def succeeded(self) -> None:
        """Begin with short waits again."""
        self._backoff.reset()

    def server(self) -> HttpsClient:
        """The server, with the certificate in use, which may have been renewed since the last time.

        Raises:
            HttpsError: the server has no HTTPS, or this device's certificate cannot be used.
        """
        try:
            return client_of(read_identity(self._home))
        except IdentityError as error:
            raise HttpsError(str(error)) from error

    def _run(self) -> None:
        wait_s: float | None = None
        while True:
            self._wake.wait(wait_s)
            self._wake.clear()
            is_last, payload = self._stopping, self._newest
            if is_last and payload is None:
                return
            wait_s = self._try(payload)
            if is_last:
                return

    def _try(self, payload: bytes | None) -> float | None:
        try:
            with contextlib.closing(Store(self._home)) as store, store.explained():
                wait_s = self.work(store, payload)
        except (HttpsError, StoreError, OSError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _log.warning("%s wait: %s", self._name, error)
            return self.after_failure_s()
        if self._trouble:
            self._trouble = ""
            _log.info("%s go on", self._name)
        with self._lock:
            if self._newest is payload:
                self._newest = None
        return wait_s


class Errands:
    """Several, that hear the same.

    Args:
        errands: they.
    """

    def __init__(self, *errands: Errand) -> None:
        self._errands = errands

    def announce(self, payload: bytes) -> None:
        """As :meth:`Errand.announce`."""
        for errand in self._errands:
            errand.announce(payload)

    @contextlib.contextmanager
    def running(self, wait_s: float, hurry: threading.Event) -> Iterator[Errands]:
        """Work until the block ends, and then as :meth:`Errand.stop`."""
        for errand in self._errands:
            errand.start()
        try:
            yield self
        finally:
            for errand in self._errands:
                errand.stop(wait_s, hurry)
