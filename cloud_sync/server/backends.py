"""What SQLite and PostgreSQL each need said when they are opened, so that a commit is on the disk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

_log = logging.getLogger(__name__)

# SQLSTATE classes that say nothing about the message: no connection, a rollback for another's sake, no resources, in
# use by another, an operator's intervention, and the system's own faults.
_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")
_DISK_FULL = "53100"
_LOST_RACES = ("40P01", "40001", "23505")  # deadlock, serialisation, the same row inserted by another

# A server that is gone is noticed within seconds, not when TCP gives up.
_POSTGRESQL_CONNECTION = {
    "application_name": "pomona",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def normalised(url: URL) -> URL:
    """The URL with the driver that Pomona uses: psycopg 3 for PostgreSQL, whichever version of SQLAlchemy."""
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    return url


def connection_arguments(url: URL, busy_timeout_s: float) -> dict[str, Any]:
    """What the driver is told.

    Args:
        url: the database.
        busy_timeout_s: how long SQLite waits for another writer.
    """
    if url.get_backend_name() == "sqlite":
        return {"timeout": busy_timeout_s}
    return dict(_POSTGRESQL_CONNECTION) if url.get_driver_name() == "psycopg" else {}


def prepare(engine: Engine, *, busy_timeout_s: float, create: bool) -> None:
    """See to it that transactions begin as we say and that a commit is on the disk.

    Args:
        engine: the database, not connected to yet.
        busy_timeout_s: how long to wait for another writer.
        create: whether it is ours to choose how it keeps what it holds.
    """
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, create=create)
    elif engine.dialect.name == "postgresql":
        _prepare_postgresql(engine, busy_timeout_s)


def is_there(url: URL) -> bool:
    """Whether there is a database to look into; SQLite makes an empty file of a name that it does not find."""
    is_file = url.get_backend_name() == "sqlite" and "uri" not in url.query
    return not is_file or Path(url.database or "").is_file()


def is_passing(error: Exception) -> bool:
    """Whether a transaction failed for a reason that lies not in what was to be stored, and passes."""
    if not isinstance(error, DBAPIError):
        return False
    state = _sqlstate(error)
    if state is not None:
        return state[:2] in _PASSING_CLASSES
    # SQLite's locked, full and broken, and a connection to PostgreSQL that is gone
    return error.connection_invalidated or isinstance(error, OperationalError | IntegrityError)


def is_worth_repeating(error: Exception) -> bool:
    """Whether the same transaction, begun at once again, may well succeed: it lost a race, or a stale connection."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or _sqlstate(error) in _LOST_RACES)


def is_full(error: Exception) -> bool:
    """Whether the disk has no space left for the database."""
    if not isinstance(error, DBAPIError):
        return False
    return "disk is full" in str(error.orig) or _sqlstate(error) == _DISK_FULL


def _sqlstate(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def _prepare_sqlite(engine: Engine, *, create: bool) -> None:
    # what is only read may turn out to be another program's file, whose journal is not ours to choose
    pragmas = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON") if create else ()

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("pomona_begin", "BEGIN"))


def _prepare_postgresql(engine: Engine, busy_timeout_s: float) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        # stronger settings of the server, for its replicas, stand
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )
        connection.execute(f"SET lock_timeout = {round(busy_timeout_s * 1000)}")
        connection.execute("SET timezone = 'UTC'")
        connection.commit()


def warn_of_loss(connection: Connection) -> None:
    """Say so when the database cannot keep what it commits, which no client can change."""
    if connection.dialect.name == "postgresql":
        for setting in ("fsync", "full_page_writes"):
            if connection.exec_driver_sql(f"SHOW {setting}").scalar() != "on":
                _log.error("PostgreSQL runs with %s off: a power cut can lose or damage what it has committed", setting)
