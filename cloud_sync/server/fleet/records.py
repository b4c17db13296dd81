"""Records and dead letters, a page at a time, and what dead letters have in common.

A listing begins behind the last one of the page before (keyset), so that it neither skips nor repeats what was there
when it began, however much is stored meanwhile, and its last page costs no more than its first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from cloud_sync.server.database import DeadLetter, Record

MOST_ON_PAGE = 1000
_RECORD_PLACE = re.compile(r"([a-z0-9-]{1,63})/([0-9a-f-]{36})")


@dataclass(frozen=True)
class Refusals:
    """Messages that were refused for the same reason.

    Attributes:
        reason: why.
        number: how many.
        devices: from how many devices they came.
        newest: the last of them.
    """

    reason: str
    number: int
    devices: int
    newest: DeadLetter


class PlaceError(ValueError):
    """A place in a listing that no answer has named."""


@dataclass(frozen=True)
class RecordFilter:
    """Which records are asked for; what is None does not matter.

    Attributes:
        type: type of the record.
        device: the device that sent it.
        orchard: name of the orchard.
        block: name of the block.
    """

    type: str | None = None
    device: str | None = None
    orchard: str | None = None
    block: str | None = None


def list_records(
    session: Session, wanted: RecordFilter, after: str | None, at_most: int
) -> tuple[Sequence[Record], str | None]:
    """Records in the order of device and record id, which sorts those of a device by the time they were made.

    Args:
        session: a view of the database.
        wanted: which.
        after: where the page before ended; None begins.
        at_most: how many.

    Returns:
        The records, and where the next page begins; None after the last.

    Raises:
        PlaceError: no page ended there.
    """
    query = select(Record).order_by(Record.device, Record.record)
    for column, value in (
        (Record.type, wanted.type),
        (Record.device, wanted.device),
        (Record.orchard, wanted.orchard),
        (Record.block, wanted.block),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        place = _RECORD_PLACE.fullmatch(after)
        if place is None:
            raise PlaceError(f"{after[:80]!r} is no place in a listing of records; take `next` of the page before")
        query = query.where(tuple_(Record.device, Record.record) > tuple_(place[1], place[2]))
    rows = session.scalars(query.limit(at_most + 1)).all()  # one more tells whether there is another page
    records = rows[:at_most]
    return records, f"{records[-1].device}/{records[-1].record}" if len(rows) > at_most else None


def list_dead_letters(
    session: Session, device: str | None, after: int | None, at_most: int
) -> tuple[Sequence[DeadLetter], int | None]:
    """Dead letters, the newest first.

    Args:
        session: a view of the database.
        device: the device whose topic they came by; None takes all.
        after: where the page before ended; None begins.
        at_most: how many.

    Returns:
        The dead letters, and where the next page begins; None after the last.
    """
    query = select(DeadLetter).order_by(DeadLetter.id.desc())
    if device is not None:
        query = query.where(DeadLetter.device == device)
    if after is not None:
        query = query.where(DeadLetter.id < after)
    rows = session.scalars(query.limit(at_most + 1)).all()
    letters = rows[:at_most]
    return letters, letters[-1].id if len(rows) > at_most else None


def group_dead_letters(session: Session, device: str | None = None, at_most: int = 100) -> list[Refusals]:
    """Dead letters by their reason, the newest first.

    Args:
        session: a view of the database.
        device: the device whose topic they came by; None takes all.
        at_most: how many reasons.
    """
    newest = func.max(DeadLetter.id).label("newest")
    groups = select(DeadLetter.reason, func.count(), func.count(DeadLetter.device.distinct()), newest)
    if device is not None:
        groups = groups.where(DeadLetter.device == device)
    rows = session.execute(groups.group_by(DeadLetter.reason).order_by(newest.desc()).limit(at_most)).all()
    letters = select(DeadLetter).where(DeadLetter.id.in_([row.newest for row in rows]))
    by_id = {letter.id: letter for letter in session.scalars(letters)}
    return [Refusals(reason, number, devices, by_id[last]) for reason, number, devices, last in rows if last in by_id]
