"""Dead letters given another chance, when the server has learned what it refused, or thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, select, true
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cloud_sync.messages import MOST_REASON
from cloud_sync.server import backends
from cloud_sync.server.database import Database, DeadLetter
from cloud_sync.server.errors import DatabaseError
from cloud_sync.server.screening import Received, Refused, screen, unfold
from cloud_sync.server.storing import Reply, store


@dataclass(frozen=True)
class Choice:
    """Which dead letters are meant.

    Attributes:
        ids: these; empty for all.
        device: those of this device; None for all devices'.
    """

    ids: tuple[int, ...] = ()
    device: str | None = None

    def condition(self) -> ColumnElement[bool]:
        """The same for the database."""
        chosen: ColumnElement[bool] = true()
        if self.ids:
            chosen &= DeadLetter.id.in_(self.ids)
        if self.device is not None:
            chosen &= DeadLetter.device == self.device
        return chosen


@dataclass(frozen=True)
class Replayed:
    """What became of one dead letter.

    Attributes:
        replies: what its device is to be told.
        reason: why it still is one; None when it is none any more.
    """

    replies: tuple[Reply, ...]
    reason: str | None


def replay(database: Database, choice: Choice) -> Iterator[Replayed]:
    """Screen dead letters again and store what is understood now, each in a transaction of its own.

    Args:
        database: where they are.
        choice: which.

    Yields:
        What became of each, after it was committed.

    Raises:
        DatabaseError: the database does not take it now; what was not reached stays as it is.
    """
    with database.read() as session:
        ids = list(session.scalars(select(DeadLetter.id).where(choice.condition()).order_by(DeadLetter.id)))
    for number in ids:
        try:
            with database.write() as session:
                replayed = _replay(session, number)
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and backends.is_passing(error):
                raise DatabaseError(f"the database does not take messages now: {error}; try again") from error
            # as when it came: nothing a device has sent stops the server
            replayed = _refuse(database, number, f"the server cannot store it: {type(error).__name__}")
        if replayed is not None:
            yield replayed


def throw_away(database: Database, choice: Choice) -> int:
    """Delete dead letters; devices keep what they sent. Returns how many.

    Raises:
        SQLAlchemyError: the database does not take it.
    """
    with database.write() as session:
        gone = session.scalars(delete(DeadLetter).where(choice.condition()).returning(DeadLetter.id))
        return len(gone.all())


def _replay(session: Session, number: int) -> Replayed | None:
    letter = session.get(DeadLetter, number, with_for_update=True)
    if letter is None:  # stored or thrown away meanwhile
        return None
    # the broker vouched for the topic when it came; it is no sign of life now
    received = Received(letter.topic, letter.payload, letter.correlation, letter.received_at, retained=True)
    parts = [part if isinstance(part, Refused) else screen(part) for part in unfold(received)]
    items = [item for item in parts if item is not None]
    refused = [item for item in items if isinstance(item, Refused)]
    if len(refused) == len(items):
        letter.reason = refused[0].reason if refused else "an emptied state says nothing"
        return Replayed((), letter.reason)
    session.delete(letter)
    session.flush()
    return Replayed(tuple(store(session, items)), None)


def _refuse(database: Database, number: int, reason: str) -> Replayed:
    with database.write() as session:
        letter = session.get(DeadLetter, number)
        if letter is not None:
            letter.reason = reason[:MOST_REASON]
    return Replayed((), reason)
