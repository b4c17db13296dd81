"""Throwing away what is old: replaced revisions, dead letters and, where it is asked for, records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from cloud_sync.server.database import Base, Database, DeadLetter, Record, ReplacedRevision

# Between two portions the processes that receive get their turn.
_PORTION = 5000


@dataclass(frozen=True)
class Pruned:
    """How much was, or would be, thrown away.

    Attributes:
        replaced: notes of which message brought a revision that a higher one has replaced.
        dead_letters: refused messages.
        records: current records.
    """

    replaced: int
    dead_letters: int
    records: int


def prune(database: Database, before: datetime, types: Collection[str] = (), *, pretend: bool = False) -> Pruned:
    """Throw away what is older.

    Args:
        database: where it is.
        before: what was replaced, refused or received before goes.
        types: types of record of which current records go as well; none means none.
        pretend: only count.

    Raises:
        SQLAlchemyError: the database does not take it; what is gone by then is gone.
    """
    old_record = (Record.received_at < before) & Record.type.in_(types)
    remove = _count if pretend else _delete
    records = remove(database, Record, (Record.device, Record.record), old_record) if types else 0
    same = (Record.device == ReplacedRevision.device) & (Record.record == ReplacedRevision.record)
    old_revision = ReplacedRevision.replaced_at < before
    if types:  # a record that came again would stumble over what its predecessor left
        old_revision |= ~exists().where(same)
    revision_key = (ReplacedRevision.device, ReplacedRevision.record, ReplacedRevision.revision)
    return Pruned(
        replaced=remove(database, ReplacedRevision, revision_key, old_revision),
        dead_letters=remove(database, DeadLetter, (DeadLetter.id,), DeadLetter.received_at < before),
        records=records,
    )


_Key = tuple[InstrumentedAttribute[str] | InstrumentedAttribute[int], ...]


def _delete(database: Database, table: type[Base], key: _Key, which: ColumnElement[bool]) -> int:
    gone = 0
    while True:
        portion = select(*key).where(which).limit(_PORTION)
        with database.write() as session:
            deleted = session.execute(delete(table).where(tuple_(*key).in_(portion)).returning(key[0])).all()
        gone += len(deleted)
        if len(deleted) < _PORTION:
            return gone


def _count(database: Database, table: type[Base], _key: _Key, which: ColumnElement[bool]) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(table).where(which)).one()
