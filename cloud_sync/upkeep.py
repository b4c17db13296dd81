"""What a device does beside sending, now and then: hears the server's time, whom to trust, and renews its key."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Iterator
from pathlib import Path

from cloud_sync.backoff import Backoff
from cloud_sync.enrolling import hear, renew
from cloud_sync.errors import HttpsError, IdentityError
from cloud_sync.identity import read_identity

_log = logging.getLogger(__name__)

_EVERY_S = 6 * 3600.0
# what was asked is waited for, since a device may connect for a moment only; but not for a server that is mute
_END_WITHIN_S = 10.0


class Upkeep:
    """Asks the server at the start and every six hours; where it cannot be reached, after waits that double.

    Args:
        folder: the device's folder.
        every_s: seconds between two questions.
        least_backoff_s: upper end of the first wait after a failure.
    """

    def __init__(self, folder: Path, every_s: float = _EVERY_S, least_backoff_s: float = 5.0) -> None:
        self._folder = folder
        self._every_s = every_s
        self._backoff = Backoff(least_backoff_s, every_s)
        self._condition = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Work in a thread of its own until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(target=self.run, args=(stop,), name="upkeep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_END_WITHIN_S)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            stop.wait(self.once())

    def once(self) -> float:
        """Ask, and renew where the server says so.

        Returns:
            Seconds to wait before the next time.
        """
        try:
            if read_identity(self._folder).https is None:
                return self._every_s
            if hear(self._folder).renew:
                renew(self._folder)
                _log.info("this device has a new key and certificate")
            self._say(logging.DEBUG, "the server was asked for time and trust")
        except (HttpsError, IdentityError) as error:
            self._say(logging.WARNING, str(error))
            return self._backoff.next_s()
        self._backoff.reset()
        return self._every_s * random.uniform(0.9, 1.1)  # all devices of an orchard come back at the same moment

    def _say(self, level: int, condition: str) -> None:
        """One log line when the condition changes, not one an attempt."""
        if condition != self._condition:
            self._condition = condition
            _log.log(level, "%s", condition)
