"""Numbers of a store that the server skipped: seen in what comes, and asked for where they stay away.

Most gaps are none: messages overtake one another in their lanes, are handled by another process, wait at the device, or
were replaced by a later revision of their record. So a gap is looked at again after a while, and the device, which
knows what it was answered for, sends nothing where nothing is missing.

Times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud_sync.digests import MOST_RANGES, Missing
from cloud_sync.server.database import Record

_WAIT_S = 60.0
_MOST_STORES = 20_000
# A gap is not looked at beyond so many numbers that are held in it; the device's comparison finds what lies there.
_MOST_HELD = 10_000


@dataclass(frozen=True)
class Gap:
    """Numbers that were skipped.

    Attributes:
        device: the device.
        store: its store.
        low: the first of them.
        high: the last of them.
    """

    device: str
    store: str
    low: int
    high: int

    def missing(self, session: Session) -> Missing | None:
        """Which of them are held by no record now, None when all are.

        Args:
            session: a view of the database.
        """
        held = session.scalars(
            select(Record.sequence)
            .where(Record.device == self.device, Record.store == self.store)
            .where(Record.sequence >= self.low, Record.sequence <= self.high)
            .order_by(Record.sequence)
            .limit(_MOST_HELD)
        ).all()
        # what was not looked at may well be held, and asking for it would have it all sent again
        behind = self.high + 1 if len(held) < _MOST_HELD else held[-1] + 1
        ranges: list[tuple[int, int]] = []
        following = self.low
        for sequence in [*held, behind]:
            if sequence > following:
                ranges.append((following, sequence - 1))
            following = sequence + 1
        return Missing(store=self.store, ranges=ranges[:MOST_RANGES]) if ranges else None


class Gaps:
    """The highest number seen of each store, and the gaps that were seen below it."""

    def __init__(self) -> None:
        self._highest: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._seen: dict[tuple[str, str], tuple[int, int, float]] = {}

    def note(self, device: str, store: str, sequence: int, now: float) -> None:
        """Note a message that was received.

        Args:
            device: the device.
            store: its store.
            sequence: the message's number.
            now: the time.
        """
        key = (device, store)
        highest = self._highest.get(key, sequence)
        if sequence > highest + 1:
            low, _, since = self._seen.get(key, (highest + 1, 0, now))
            self._seen[key] = (low, sequence - 1, since)
        self._highest[key] = max(highest, sequence)
        self._highest.move_to_end(key)
        if len(self._highest) > _MOST_STORES:  # anybody with a certificate can make up stores
            forgotten, _ = self._highest.popitem(last=False)
            self._seen.pop(forgotten, None)

    def due(self, now: float) -> list[Gap]:
        """The gaps that were seen long enough ago to be looked at, once each.

        Args:
            now: the time.
        """
        due = [key for key, (_, _, since) in self._seen.items() if now - since >= _WAIT_S]
        return [Gap(*key, *self._seen.pop(key)[:2]) for key in due]
