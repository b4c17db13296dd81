"""The server's tables, and opening them: SQLite on disk by default, any database SQLAlchemy knows by its URL."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Engine, Index, LargeBinary, String, create_engine, event, inspect
from sqlalchemy.engine import URL, Connection, Dialect, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from cloud_sync.server.errors import DatabaseError, MissingDatabaseError

# Ingest holds the lock for milliseconds; one that is held longer makes devices send again, which is better than a
# worker that stands still.
_BUSY_TIMEOUT_S = 2.0


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, held in UTC; SQLite keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        del dialect
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        del dialect
        return value if value is None or value.tzinfo else value.replace(tzinfo=timezone.utc)


class Base(DeclarativeBase):
    """What the tables share."""


class Record(Base):
    """The highest revision of one record of one device."""

    __tablename__ = "record"

    device: Mapped[str] = mapped_column(String(63), primary_key=True)
    record: Mapped[str] = mapped_column(String(36), primary_key=True)
    type: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    revision: Mapped[int]
    message: Mapped[str] = mapped_column(String(36))
    natural_key: Mapped[str] = mapped_column(index=True)
    orchard: Mapped[str | None] = mapped_column(String(200))
    block: Mapped[str | None] = mapped_column(String(200))
    store: Mapped[str] = mapped_column(String(36))
    sequence: Mapped[int] = mapped_column(BigInteger)
    boot: Mapped[str] = mapped_column(String(64))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    clock_synchronised: Mapped[bool]
    historical: Mapped[bool]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    digest: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (
        Index("record_by_place", "orchard", "block", "type"),
        # holds all that a comparison reads
        Index("record_by_sequence", "device", "store", "sequence", "digest"),
    )


class ReplacedRevision(Base):
    """The message that brought a revision of a record which a higher one has replaced since."""

    __tablename__ = "replaced_revision"

    device: Mapped[str] = mapped_column(String(63), primary_key=True)
    record: Mapped[str] = mapped_column(String(36), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    message: Mapped[str] = mapped_column(String(36))


class DeadLetter(Base):
    """A message that was refused, as it came."""

    __tablename__ = "dead_letter"

    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str]
    device: Mapped[str | None] = mapped_column(String(63))
    message: Mapped[str | None] = mapped_column(String(36))
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    correlation: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("dead_letter_by_message", "device", "message"),)


class Device(Base):
    """What is known of a device besides its records."""

    __tablename__ = "device"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    online: Mapped[bool] = mapped_column(default=False)
    store: Mapped[str | None] = mapped_column(String(36))


class Database:
    """The server's database.

    Args:
        url: where it is, as SQLAlchemy writes it: ``sqlite:////srv/pomona.sqlite``.
        create: make it and its tables where missing; otherwise a wrong name is an error, and nothing is changed.
        busy_timeout_s: how long SQLite waits for another writer.

    Raises:
        DatabaseError: it cannot be opened.
        MissingDatabaseError: it is missing, or no server's, and is not to be made.
    """

    def __init__(self, url: str | URL, *, create: bool = True, busy_timeout_s: float = _BUSY_TIMEOUT_S) -> None:
        try:
            parsed = make_url(url)
            self._name = parsed.render_as_string(hide_password=True)
            is_sqlite = parsed.get_backend_name() == "sqlite"
            self.engine = create_engine(
                parsed,
                json_serializer=partial(json.dumps, ensure_ascii=False, allow_nan=False),
                connect_args={"timeout": busy_timeout_s} if is_sqlite else {},
            )
            if is_sqlite:
                _prepare_sqlite(self.engine, create=create)
            if create:
                with self.write() as session:
                    Base.metadata.create_all(session.connection())
            else:
                self._require_tables(parsed)
        except (SQLAlchemyError, ImportError) as error:
            raise DatabaseError(f"database {_without_password(url)}: {_cause(error)}; check --database") from error

    @classmethod
    def in_file(cls, path: Path, *, create: bool = True) -> Database:
        """Open an SQLite file.

        Args:
            path: the file.
            create: make it where missing.

        Raises:
            DatabaseError: it cannot be opened.
            MissingDatabaseError: it is missing, or no server's, and is not to be made.
        """
        return cls(URL.create("sqlite", database=str(path)), create=create)

    def _require_tables(self, url: URL) -> None:
        # asked first, since SQLite makes an empty file of a name that it does not find
        is_file = url.get_backend_name() == "sqlite" and "uri" not in url.query
        is_there = not is_file or Path(url.database or "").is_file()
        if not is_there or not Base.metadata.tables.keys() <= set(inspect(self.engine).get_table_names()):
            raise MissingDatabaseError(
                f"database {self._name} {'has no tables of a Pomona server' if is_there else 'is not there'}; "
                "check --database, or start `pomona server run`, which makes it"
            )

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that waits for other writers; committed at the end, rolled back when anything fails.

        Raises:
            SQLAlchemyError: the database does not take it.
        """
        with Session(self.engine.execution_options(pomona_begin="BEGIN IMMEDIATE")) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """One view of the database, for reading.

        Raises:
            DatabaseError: it cannot be read.
        """
        try:
            with Session(self.engine) as session:
                yield session
        except SQLAlchemyError as error:
            raise DatabaseError(f"database {self._name}: {_cause(error)}; is it the right one?") from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _prepare_sqlite(engine: Engine, *, create: bool) -> None:
    """Transactions begin as we say, not when sqlite3 guesses, and a commit is on the disk."""
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


def _cause(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _without_password(url: str | URL) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "URL"
