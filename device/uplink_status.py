"""How the uplink fares, in a file that page, ``pomona doctor`` and metrics read: it runs in a process of its own."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cloud_sync import clock
from cloud_sync.uplink import UplinkNews

FILE_NAME = "uplink.json"


class UplinkStatus(BaseModel):
    """What an uplink last wrote of itself.

    Attributes:
        connected: whether the broker has accepted this device.
        condition: the same in words.
        stored: messages that left for the server since the uplink was started.
        rejected: messages that were refused since.
        since_uptime_s: when the connection came or went, in seconds since the machine was started.
        boot: id of that start.
        process: number of the uplink's process.
    """

    model_config = ConfigDict(extra="ignore")

    connected: bool
    condition: str
    stored: int
    rejected: int
    since_uptime_s: int
    boot: str
    process: int

    @classmethod
    def of(cls, news: UplinkNews, since_uptime_s: int) -> UplinkStatus:
        """The status of this process's uplink."""
        return cls(
            connected=news.connected,
            condition=news.condition,
            stored=news.stored,
            rejected=news.rejected,
            since_uptime_s=since_uptime_s,
            boot=clock.boot_id(),
            process=os.getpid(),
        )

    @property
    def since_s(self) -> int:
        """Seconds since the connection came or went."""
        return max(0, clock.uptime_s() - self.since_uptime_s)

    def write(self, home: Path) -> None:
        """Put the status where others find it; not brought to the disk at once, since a power cut makes it void.

        Raises:
            OSError: the folder does not take it.
        """
        fresh = home / f".{FILE_NAME}.new"
        fresh.write_text(self.model_dump_json(), encoding="utf-8")
        fresh.replace(home / FILE_NAME)


def read_uplink_status(home: Path) -> UplinkStatus | None:
    """The status of the uplink that runs for a store; None where none runs."""
    try:
        status = UplinkStatus.model_validate_json((home / FILE_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    if status.boot != clock.boot_id():
        return None
    with contextlib.suppress(OSError):  # gone, or its number is another user's by now
        os.kill(status.process, 0)
        return status
    return None
