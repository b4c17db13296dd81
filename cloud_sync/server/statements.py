"""Statements over many rows at once, as each of the two databases takes them fastest.

The rows travel as one JSON parameter, so that a statement stays the same, and prepared, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Dialect,
    FromClause,
    Insert,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    case,
    cast,
    column,
    delete,
    false,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql as of_postgresql
from sqlalchemy.dialects import sqlite as of_sqlite
from sqlalchemy.dialects.postgresql import JSONB
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
    """Insert records that are known to be missing; their bodies are JSON text."""
    connection = session.connection()
    statement, columns = _insert_all(connection.dialect)
    values = [tuple(row[name] if bind is None else bind(row[name]) for name, bind in columns) for row in rows]
    connection.exec_driver_sql(statement, values)


def update_records(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Give records that are there new columns; their bodies are JSON text."""
    keyed = [{**row, "of_device": row["device"], "of_record": row["record"]} for row in rows]
    session.connection().execute(_update_records(postgresql=is_postgresql(session)), keyed)


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
    # the body is text in the text, which costs less than to take it apart and to put it together twice
    columns = [column(each.name, Text() if each.name == "body" else each.type) for each in RECORDS.columns]
    given = func.json_to_recordset(bindparam("given", type_=JSON)).table_valued(*columns)
    rows = given.render_derived(name="given", with_types=True)
    values = select(*(cast(each, JSONB) if each.name == "body" else each for each in rows.c))
    statement = of_postgresql.insert(RECORDS).from_select([each.name for each in columns], values)
    return statement.on_conflict_do_nothing().returning(RECORDS.c.device, RECORDS.c.record)


@cache
def _insert_all(dialect: Dialect) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
    """The statement and its columns in order, each with what makes a value fit for the driver.

    SQLAlchemy would look up and name the parameters of each row anew, which takes as long as the database does.
    """
    # the body is JSON already
    types = {each.name: Text() if each.name == "body" else each.type for each in RECORDS.columns}
    statement = insert(RECORDS).values({name: bindparam(name, type_=kind) for name, kind in types.items()})
    compiled = statement.compile(dialect=dialect)
    binds = {name: kind.dialect_impl(dialect).bind_processor(dialect) for name, kind in types.items()}
    assert compiled.positiontup is not None, dialect.name
    return str(compiled), [(name, binds[name]) for name in compiled.positiontup]


@cache
def _update_records(*, postgresql: bool) -> Update:
    body: ColumnElement[Any] = bindparam("body", type_=Text())
    values: dict[str, ColumnElement[Any]] = {
        each.name: bindparam(each.name, type_=each.type) for each in RECORDS.columns if not each.primary_key
    }
    values["body"] = cast(body, JSONB) if postgresql else body
    there = RECORDS.c
    of_key = (there.device == bindparam("of_device")) & (there.record == bindparam("of_record"))
    return update(RECORDS).where(of_key).values(values)


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
