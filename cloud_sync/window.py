"""Which messages are on their way, and when one is sent again.

What counts is the server's answer. The broker's PUBACK only says that the broker has taken a message; it may still
lose it, or keep it for a server that never comes. So the window bounds the messages the server has not answered for,
and a server that says nothing at all is asked with a single message now and then, however long that lasts.

Times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cloud_sync.lanes import Lane

# How much of the window a lane may fill, so that there is always room for those before it.
_SHARES = {Lane.FRESH: 1.0, Lane.BACKLOG: 0.75, Lane.BULK: 0.1}


class Leg(enum.Enum):
    """How far a message is known to have come."""

    SENT = enum.auto()  # handed to the present connection, which delivers it or breaks
    TAKEN = enum.auto()  # the broker has it, or had it
    LOST = enum.auto()  # the connection broke before the broker confirmed it


@dataclass
class _Flight:
    sequence: int
    lane: Lane
    leg: Leg
    times_sent: int
    due_at: float


class SendWindow:
    """The unanswered messages of one uplink.

    Args:
        size: most messages unanswered at a time.
        resend_s: seconds without an answer after which a message is sent again; doubles with each time.
        most_resend_s: longest such wait.
    """

    def __init__(self, size: int, resend_s: float, most_resend_s: float) -> None:
        self._size = size
        self._resend_s = resend_s
        self._most_resend_s = most_resend_s
        self._flights: dict[str, _Flight] = {}
        self._heard_at = 0.0
        self._probe_at = 0.0
        self._probe_s = resend_s

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, message: str) -> bool:
        return message in self._flights

    def room(self, lane: Lane) -> int:
        """How many more messages of a lane may be sent."""
        in_lane = sum(flight.lane is lane for flight in self._flights.values())
        return min(self._size - len(self._flights), max(1, int(self._size * _SHARES[lane])) - in_lane)

    def sequences(self) -> set[int]:
        """Numbers of the unanswered messages."""
        return {flight.sequence for flight in self._flights.values()}

    def times_sent(self, message: str) -> int:
        """How often an unanswered message was sent; 0 when it is none."""
        flight = self._flights.get(message)
        return flight.times_sent if flight else 0

    def lane_of(self, message: str) -> Lane:
        """The lane an unanswered message was sent in."""
        return self._flights[message].lane

    def sent(self, message: str, sequence: int, now: float, lane: Lane = Lane.FRESH) -> None:
        """Note that a message was handed to the connection, for the first time or again."""
        if not self._flights:
            self._heard_at = now  # nothing was asked, so the silence begins here
        flight = self._flights.setdefault(message, _Flight(sequence, lane, Leg.SENT, 0, now))
        flight.leg = Leg.SENT
        flight.times_sent += 1
        flight.due_at = now + min(self._resend_s * 2 ** min(flight.times_sent - 1, 30), self._most_resend_s)

    def taken(self, message: str) -> None:
        """Note the broker's PUBACK."""
        if flight := self._flights.get(message):
            flight.leg = Leg.TAKEN

    def returned(self, message: str) -> None:
        """Note that what carried a message was refused: it is to be sent again by other means."""
        if flight := self._flights.get(message):
            flight.leg = Leg.LOST

    def answered(self, message: str) -> None:
        """Note the server's last word on a message: it is no longer waited for."""
        self._flights.pop(message, None)

    def heard(self, now: float) -> None:
        """Note any answer, `retry` too: the server lives.

        After a silence it gets time to work through what the broker kept for it, before that is sent again.
        """
        if self._is_silent(now):
            for flight in self._flights.values():
                if flight.leg is Leg.TAKEN:
                    flight.due_at = now + self._resend_s
        self._heard_at, self._probe_at, self._probe_s = now, now, self._resend_s

    def reconnected(self, now: float, *, session_present: bool) -> None:
        """Note a new connection.

        Args:
            now: the time.
            session_present: whether the broker still knew us; if not, what it had taken may be gone with the session.
        """
        for flight in self._flights.values():
            if flight.leg is Leg.SENT or not session_present:
                flight.leg = Leg.LOST
        self._probe_at, self._probe_s = now, self._resend_s

    def due(self, now: float) -> list[tuple[str, int]]:
        """Messages to send again now, as (message, sequence) in order; a single one while the server is silent."""
        due = [
            (flight.sequence, message)
            for message, flight in self._flights.items()
            if flight.leg is Leg.LOST or (flight.leg is Leg.TAKEN and flight.due_at <= now)
        ]
        if due and self._is_silent(now):
            if now < self._probe_at:
                return []
            self._probe_at = now + self._probe_s
            self._probe_s = min(self._probe_s * 2, self._most_resend_s)
            due = [min(due)]
        return [(message, sequence) for sequence, message in sorted(due)]

    def _is_silent(self, now: float) -> bool:
        return now - self._heard_at >= self._resend_s
