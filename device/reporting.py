"""What the uplink's process does besides sending: says how the device fares, to the server and to this machine."""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path

from cloud_sync import clock
from cloud_sync.uplink import UplinkNews
from device.errors import StoreError
from device.health import gather_health
from device.machine import Machine
from device.store import Store
from device.uplink_status import UplinkStatus

DEFAULT_EVERY_S = 900
# A link that comes and goes shall not make a message each time, nor the memory card write each second.
_LEAST_S = 60.0

_log = logging.getLogger(__name__)


class Reporter:
    """Queues a health message when the uplink connects and every so often while it stays connected (SYNC-062).

    Args:
        store: the device's records.
        device: name of the device.
        inbox: folder in which photos arrive to be counted.
        every_s: seconds between health messages; 0 sends none.
        machine: the machine, None for this one.
    """

    def __init__(
        self,
        store: Store,
        device: str,
        *,
        inbox: Path | None = None,
        every_s: int = DEFAULT_EVERY_S,
        machine: Machine | None = None,
    ) -> None:
        self._store = store
        self._device = device
        self._inbox = inbox
        self._every_s = every_s
        self._machine = machine
        self._revision = 0
        self._reported_at: float | None = None
        self._told: UplinkNews | None = None
        self._written_at = 0.0
        self._since_uptime_s = clock.uptime_s()
        self._last_trouble = ""

    def note(self, news: UplinkNews) -> None:
        """Take note of how the uplink fares, and do what is due. A full disk is said once and stops nothing."""
        came = self._told is None or news.connected != self._told.connected
        if came:
            self._since_uptime_s = clock.uptime_s()
        try:
            if news != self._told and (came or time.monotonic() - self._written_at >= _LEAST_S):
                self._told, self._written_at = news, time.monotonic()
                UplinkStatus.of(news, self._since_uptime_s).write(self._store.folder)
            if news.connected and self._is_due(came=came):
                self._reported_at = time.monotonic()
                self.report()
            self._last_trouble = ""
        except (StoreError, OSError) as error:
            if str(error) != self._last_trouble:
                self._last_trouble = str(error)
                _log.warning("this device cannot say how it fares: %s", error)

    def report(self) -> None:
        """Queue a health message now.

        Raises:
            StoreError: the store cannot be read or written.
        """
        with self._store.explained():
            health = gather_health(
                self._store,
                self._device,
                inbox=self._inbox,
                next_s=self._every_s or None,
                machine=self._machine,
            )
        # what a restored store remembers is behind what the server holds; the time since the start never is
        self._revision = max(self._revision, health.uptime_s) + 1
        with self._store.change():
            self._store.outbox.report(record_of(self._store.outbox.store), self._revision, health)

    def _is_due(self, *, came: bool) -> bool:
        if self._every_s == 0:
            return False
        wait_s = min(self._every_s, _LEAST_S) if came else self._every_s
        return self._reported_at is None or time.monotonic() - self._reported_at >= wait_s


def record_of(store: str) -> str:
    """Id of the one health record that a store makes in this boot, the same whichever process asks."""
    return str(uuid.uuid5(uuid.UUID(store), clock.boot_id()))
