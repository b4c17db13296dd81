"""What time it is, on a device whose clock may never have been set.

A clock without a battery begins in 1970, or where it was when the power went. Three things say more: the day this
Pomona was released, records made while the time was known, and the server, asked over the authenticated connection.
The first two are a *floor*: it cannot be earlier. The last one tells the time until the next boot, on a counter that
nobody sets.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from cloud_sync import clock
from cloud_sync.files import write_whole

# No device that runs this code lives before this day. Raised with a release, to a day that all who test it have passed.
RELEASED = datetime(2025, 9, 1, tzinfo=timezone.utc)
# A time is called known when it is right to within this.
_MOST_ERROR_S = 60.0
# What the counter of a cheap board may gain or lose.
_DRIFT = 1e-4
_FILE = "time.json"


class ServerTime(BaseModel):
    """What the server said, tied to the counter of this boot."""

    at: AwareDatetime = Field(description="the server's time")
    error_s: float = Field(ge=0, le=86_400, description="by how much it may be wrong: half the way there and back")
    boot: str = Field(description="id of the boot")
    uptime_s: float = Field(ge=0, allow_inf_nan=False, description="seconds since that boot when it was that time")


@dataclass(frozen=True)
class Reading:
    """The time, as well as the device knows it.

    Attributes:
        at: the time.
        is_known: whether it is right to within a minute.
        device_clock: what the device's own clock says, where that is something else.
    """

    at: datetime
    is_known: bool
    device_clock: datetime | None = None


def uptime_s() -> float:
    """Seconds since the machine was started, sleep included, whatever is done to its clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Timekeeper:
    """Reads the time, and keeps what the server said of it for the other processes and the next boot.

    Args:
        folder: where it is kept, beside the device's identity; None keeps nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / _FILE if folder is not None else None
        self._seen: tuple[int, int] | None = None
        self._told: ServerTime | None = None

    def read(self, floor: datetime = RELEASED) -> Reading:
        """The time now.

        Args:
            floor: a time that is known to have passed, beside those known here.
        """
        own = clock.now()
        told = self._server_time()
        floor = max(floor, self._floor(told))
        if own >= floor and clock.is_synchronised():
            return Reading(own, is_known=True)
        if told is not None and (now := _carried_on(told)) is not None:
            return Reading(now, is_known=True, device_clock=own)
        return Reading(own, is_known=False) if own >= floor else Reading(floor, is_known=False, device_clock=own)

    def known_past(self) -> datetime:
        """The latest moment that has passed for certain; what ended before it has ended.

        A clock that nobody vouches for does not count: it may be years ahead, and would make good certificates look
        old. Neither do times of records: a clock once set wrong would shut the device out for good.
        """
        reading = self.read()
        return reading.at if reading.is_known else self._floor(self._server_time())

    def learn(self, server_time: datetime, asked_at_s: float) -> None:
        """Keep what the server said.

        Args:
            server_time: its time, from some moment between the question and now.
            asked_at_s: :func:`uptime_s` when the question was sent.

        Raises:
            OSError: the folder or disk does not take it.
        """
        now_s = uptime_s()
        error_s = max(0.0, now_s - asked_at_s) / 2
        told = ServerTime(at=server_time, error_s=error_s, boot=clock.boot_id(), uptime_s=max(0.0, now_s - error_s))
        self._keep(told)

    def learn_floor(self, server_time: datetime) -> None:
        """Keep a time of the server that came by file, who knows when.

        Raises:
            OSError: the folder or disk does not take it.
        """
        told = self._server_time()
        if told is None or told.at < server_time:
            self._keep(ServerTime(at=server_time, error_s=0, boot="", uptime_s=0))

    def _keep(self, told: ServerTime) -> None:
        if self._file is not None:
            write_whole(self._file, told.model_dump_json().encode())

    @staticmethod
    def _floor(told: ServerTime | None) -> datetime:
        if told is None or told.at <= RELEASED:
            return RELEASED
        return max(RELEASED, told.at - timedelta(seconds=told.error_s))

    def _server_time(self) -> ServerTime | None:
        """What was kept; read again when the file has changed, since another process learns it."""
        if self._file is None:
            return None
        try:
            stat = self._file.stat()
        except OSError:
            return None
        if self._seen != (stat.st_mtime_ns, stat.st_ino):
            self._told = None
            # a damaged file tells nothing, and is written anew at the next connection
            with contextlib.suppress(OSError, ValidationError):
                self._told = ServerTime.model_validate_json(self._file.read_bytes())
            self._seen = (stat.st_mtime_ns, stat.st_ino)
        return self._told


def _carried_on(told: ServerTime) -> datetime | None:
    """The server's time, carried on to now by the counter; None after another boot, or when too long ago."""
    passed_s = uptime_s() - told.uptime_s
    if told.boot != clock.boot_id() or told.boot == "unknown" or passed_s < 0:
        return None
    if told.error_s + _DRIFT * passed_s > _MOST_ERROR_S:
        return None
    with contextlib.suppress(OverflowError):
        return told.at.astimezone(timezone.utc) + timedelta(seconds=passed_s)
    return None
