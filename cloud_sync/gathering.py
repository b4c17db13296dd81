"""What is sent next: the outbox's lanes, read as far as the window has room, and put together into batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import dataclass

from cloud_sync.lanes import Lane, Turns
from cloud_sync.outbox import Outbox, Waiting
from cloud_sync.window import SendWindow

# What is recent is looked for anew that often: a clock that is set makes the age of records known, and somebody may
# have put refused ones back.
_LOOK_AGAIN_S = 15.0


@dataclass(frozen=True)
class Gathering:
    """How messages are gathered.

    Attributes:
        most_bytes: length of the messages that travel together, before they are compressed.
        most_wait_s: how long messages wait for others; 0 sends each as soon as it is there.
        enough: that many waiting messages are sent without waiting for more.
        with_bulk: whether bulk is sent at all.
    """

    most_bytes: int = 64 * 1024
    most_wait_s: float = 0.0
    enough: int = 200
    with_bulk: bool = True

    @property
    def lanes(self) -> list[Lane]:
        """The lanes that are sent."""
        return [lane for lane in Lane if lane is not Lane.BULK or self.with_bulk]


class Gatherer:
    """Takes new messages from the lanes in their turns.

    Args:
        outbox: the store's outbox.
        window: the unanswered messages.

    Attributes:
        settings: how messages are gathered.
    """

    def __init__(self, outbox: Outbox, window: SendWindow) -> None:
        self.settings = Gathering()
        self._outbox = outbox
        self._window = window
        self._turns = Turns()
        self._queues: dict[Lane, deque[int]] = {}
        self._waiting_since: float | None = None
        self._fresh_from = 0
        self._look_again_at = 0.0

    def look(self, now: float) -> None:
        """See what waits without having been sent.

        Args:
            now: monotonic time in seconds.
        """
        in_window = self._window.sequences()
        queues = {lane: self._first_of(lane, now, in_window) for lane in self.settings.lanes}
        self._queues = queues if self._is_enough(sum(map(len, queues.values())), now) else {}

    def look_at_all(self) -> None:
        """See at the next look also what was put back among what was seen before."""
        self._look_again_at = 0.0

    def next_lane(self) -> Lane | None:
        """The lane whose turn it is, None when there is nothing to send or no room for it."""
        ready = [lane for lane, queue in self._queues.items() if queue and self._window.room(lane) > 0]
        return self._turns.next(ready) if ready else None

    def queue(self, lane: Lane) -> deque[int]:
        """Numbers of the messages of a lane that were seen and not taken yet."""
        return self._queues[lane]

    def sent(self, lane: Lane, size: int) -> None:
        """Note how many bytes a lane has sent."""
        self._turns.sent(lane, size)

    def fits(self, together: list[Waiting], another: Waiting) -> bool:
        """Whether a message may join others."""
        length = sum(len(waiting.payload) for waiting in together) + len(another.payload)
        return length <= self.settings.most_bytes

    def _first_of(self, lane: Lane, now: float, in_window: Container[int]) -> deque[int]:
        at_most = len(self._window) + max(0, self._window.room(lane))
        found = self._first_fresh(now, at_most) if lane is Lane.FRESH else self._outbox.lane(lane, 0, at_most)
        return deque(sequence for sequence in found if sequence not in in_window)

    def _first_fresh(self, now: float, at_most: int) -> list[int]:
        if now >= self._look_again_at:
            self._fresh_from, self._look_again_at = 0, now + _LOOK_AGAIN_S
        newest = self._outbox.newest()
        found = self._outbox.lane(Lane.FRESH, self._fresh_from, at_most)
        # what is older does not become recent, so a long backlog is not gone through each time
        self._fresh_from = found[0] if found else newest + 1
        return found

    def _is_enough(self, count: int, now: float) -> bool:
        """Whether what waits is sent now, or waits for more to come."""
        if count == 0:
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        if count >= self.settings.enough:
            self._waiting_since = now - self.settings.most_wait_s  # and so is the rest of it
        return now - self._waiting_since >= self.settings.most_wait_s
