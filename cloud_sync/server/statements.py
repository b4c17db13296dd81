"""Statements over many rows at once, as each of the two databases takes them fastest.

The rows travel as one JSON parameter, so that a statement stays the same, and prepared, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    FromClause,
    Insert,
    Select,
    Table,
    bindparam,
    case,
    column,
    delete,
    false,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql as of_postgresql
from sqlalchemy.dialects import sqlite as of_sqlite
from sqlalchemy.orm import Session
from sqlalchemy.types import JSON

from cloud_sync.server.database import DeadLetter, Device, Record

Key = tuple[str, str]
"""A device and an id of its own, of a record or a message."""

RECORDS: Table = Record.__table__  # type: ignore[assignment]
_DEAD: Table = DeadLetter.__table__  # type: ignore[assignment]
_DEVICES: Table = Device.__table__  # type: ignore[assignment]


def is_postgresql(session: Session) -> bool:
    """Whether the session is one of PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


def insert_missing(session: Session, rows: Sequence[dict[str, Any]]) -> set[Key]:
    """Insert records of PostgreSQL where there are none; waits for another process that inserts the same.

    Args:
        session: the open transaction.
        rows: columns by name, in the order in which every process inserts: none then waits for the other's other row.

    Returns:
        The keys that were not there.
    """
    given = [{**row, **{name: row[name].isoformat() for name in ("recorded_at", "received_at")}} for row in rows]
    return {(device, record) for device, record in session.execute(_insert_missing(), {"given": given})}


def insert_all(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert records that are known to be missing."""
    session.execute(insert(RECORDS), rows)


def find_records(session: Session, keys: Iterable[Key]) -> Iterable[Any]:
    """Device, record, revision and message of the records that are there; PostgreSQL lets nobody else change them."""
    return session.execute(_find_records(postgresql=is_postgresql(session)), {"keys": [list(key) for key in keys]})


def delete_dead_letters(session: Session, keys: Iterable[Key]) -> None:
    """Delete the dead letters of these messages."""
    statement = _delete_dead_letters(postgresql=is_postgresql(session))
    session.execute(statement, {"keys": [list(key) for key in keys]})


def insert_dead_letters(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert dead letters, but for messages that another process has just buried."""
    dialect = of_postgresql if is_postgresql(session) else of_sqlite
    session.execute(dialect.insert(_DEAD).on_conflict_do_nothing(), rows)


def note_devices(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Keep what is new of devices.

    Args:
        session: the open transaction.
        rows: ``name``, ``last_seen``, ``store``, ``online`` and ``clock_error_s`` (None where there is nothing new)
            and ``heard``, whether ``last_seen`` is a sign of life, by name in the order of the names.
    """
    session.execute(_note_devices(postgresql=is_postgresql(session)), rows)


@cache
def _insert_missing() -> Insert:
    columns = [column(each.name, each.type) for each in RECORDS.columns]
    given = func.json_to_recordset(bindparam("given", type_=JSON)).table_valued(*columns)
    rows = given.render_derived(name="given", with_types=True)
    statement = of_postgresql.insert(RECORDS).from_select([each.name for each in columns], select(rows))
    return statement.on_conflict_do_nothing().returning(RECORDS.c.device, RECORDS.c.record)


@cache
def _find_records(*, postgresql: bool) -> Select[Any]:
    keys, device, record = _keys(postgresql=postgresql)
    there = RECORDS.c
    found = select(there.device, there.record, there.revision, there.message).select_from(keys)
    found = found.join(RECORDS, (there.device == device) & (there.record == record))
    # in one order in all processes, so that none waits for the other's other row; SQLite has but one writer
    return found.order_by(there.device, there.record).with_for_update(of=RECORDS) if postgresql else found


@cache
def _delete_dead_letters(*, postgresql: bool) -> Delete:
    keys, device, message = _keys(postgresql=postgresql)
    there = _DEAD.c
    found = select(there.id).select_from(keys)
    found = found.join(_DEAD, (there.device == device) & (there.message == message))
    return delete(_DEAD).where(there.id.in_(found))


@cache
def _note_devices(*, postgresql: bool) -> Insert:
    insert_into = (of_postgresql if postgresql else of_sqlite).insert(_DEVICES)
    online = bindparam("online", type_=_DEVICES.c.online.type)
    new = insert_into.values(
        name=bindparam("name"),
        last_seen=bindparam("last_seen"),
        online=func.coalesce(online, false()),
        store=bindparam("store"),
        clock_error_s=bindparam("clock_error_s"),
    )
    heard = bindparam("heard", type_=_DEVICES.c.online.type)
    changed: Insert = new.on_conflict_do_update(
        index_elements=[_DEVICES.c.name],
        set_={
            "last_seen": case((heard, new.excluded.last_seen), else_=_DEVICES.c.last_seen),
            "online": func.coalesce(online, _DEVICES.c.online),
            "store": func.coalesce(new.excluded.store, _DEVICES.c.store),
            "clock_error_s": func.coalesce(new.excluded.clock_error_s, _DEVICES.c.clock_error_s),
        },
    )
    return changed


def _keys(*, postgresql: bool) -> tuple[FromClause, ColumnElement[str], ColumnElement[str]]:
    """The parameter ``keys`` as a table, and the two parts of each key."""
    given = bindparam("keys", type_=JSON)
    each = func.json_array_elements(given) if postgresql else func.json_each(given)
    keys = each.table_valued(column("value", JSON)).alias("keys")
    return keys, keys.c.value[0].as_string(), keys.c.value[1].as_string()
