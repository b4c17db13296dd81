"""Which waiting messages go first: three lanes that share the line, so that none waits for another to be empty."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from cloud_sync import clock

# A record older than this when it is sent is history to the server.
HISTORICAL_AFTER = timedelta(hours=24)
# later than any moment there is
_NEVER = "~"


class Lane(enum.IntEnum):
    """Lanes in the order of their right of way."""

    FRESH = 0  # small records made within the last day
    BACKLOG = 1  # older ones, and those whose age nobody knows
    BULK = 2  # thumbnails and photos


# How the line is shared while all of them have something to send.
_WEIGHTS = {Lane.FRESH: 16, Lane.BACKLOG: 4, Lane.BULK: 1}


@dataclass(frozen=True)
class Recent:
    """What is known to have been recorded within the last :data:`HISTORICAL_AFTER`, though clocks lie.

    Attributes:
        boot: id of this boot if all of it lies within that time, else empty.
        since: records from this moment on, by a clock that was right, are recent; as ISO 8601 in UTC. Where the clock
            is not known to be right now, no moment is.
    """

    boot: str
    since: str

    @classmethod
    def now(cls) -> Recent:
        """As it is now."""
        up_s = clock.uptime_s()
        is_known = clock.is_synchronised()
        return cls(
            boot=clock.boot_id() if up_s < HISTORICAL_AFTER.total_seconds() else "",
            since=(clock.now() - HISTORICAL_AFTER).isoformat() if is_known else _NEVER,
        )

    def is_historical(self, recorded_at: str, *, clock_synchronised: bool, boot: str) -> bool:
        """Whether a record is known to be older; false where nobody can tell."""
        return clock_synchronised and self.since != _NEVER and recorded_at < self.since and boot != self.boot


class Turns:
    """Whose turn it is: start-time fair queueing by bytes, so that each lane moves at its share or faster."""

    def __init__(self) -> None:
        self._time = 0.0
        self._free_at = dict.fromkeys(Lane, 0.0)

    def next(self, waiting: Iterable[Lane]) -> Lane:
        """The lane to send from; among equals the one with the right of way.

        Args:
            waiting: the lanes that have something to send, at least one.
        """
        return min(waiting, key=lambda lane: (self._start(lane), lane))

    def sent(self, lane: Lane, size: int) -> None:
        """Note what a lane has sent.

        Args:
            lane: the lane.
            size: bytes.
        """
        self._time = self._start(lane)
        self._free_at[lane] = self._time + size / _WEIGHTS[lane]

    def _start(self, lane: Lane) -> float:
        # a lane that was empty has saved nothing up
        return max(self._free_at[lane], self._time)
