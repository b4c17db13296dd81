"""The server's tables, and opening them: SQLite on disk by default, PostgreSQL by its URL.

Who changes a table adds a version to ``migrations/versions``; a test compares the two.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, Double, Index, LargeBinary, String, create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from cloud_sync.server import backends, upgrading
from cloud_sync.server.errors import DatabaseError, MissingDatabaseError
from cloud_sync.server.positions import add_positions

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

    # what a float is by default depends on SQLAlchemy's version
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Double()}


class Record(Base):
    """The highest revision of one record of one device."""

    __tablename__ = "record"

    device: Mapped[str] = mapped_column(String(63), primary_key=True)
    record: Mapped[str] = mapped_column(String(36), primary_key=True)
    type: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    revision: Mapped[int]
    message: Mapped[str] = mapped_column(String(36))
    natural_key: Mapped[str]
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
    body: Mapped[dict[str, Any]] = mapped_column(JSON().with_variant(JSONB(), "postgresql"))

    __table_args__ = (
        Index("record_by_type", "type", "device", "record"),
        # holds all that tells whether a block has changed
        Index("record_by_place", "orchard", "block", "type", "digest"),
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
    replaced_at: Mapped[datetime] = mapped_column(UtcDateTime)


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

    __table_args__ = (Index("dead_letter_by_message", "device", "message", unique=True),)


class Device(Base):
    """What is known of a device besides its records."""

    __tablename__ = "device"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    online: Mapped[bool] = mapped_column(default=False)
    store: Mapped[str | None] = mapped_column(String(36))
    clock_error_s: Mapped[float | None]
    clock_synchronised: Mapped[bool | None]
    health: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    )
    health_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class HealthSample(Base):
    """Figures a device gave of its health at one moment, for charts."""

    __tablename__ = "health_sample"
    FIGURES: ClassVar = ("waiting", "disk_free_bytes", "memory_free_bytes", "temperature_c", "battery_percent", "load")

    device: Mapped[str] = mapped_column(String(63), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    waiting: Mapped[int | None] = mapped_column(BigInteger)
    disk_free_bytes: Mapped[int | None] = mapped_column(BigInteger)
    memory_free_bytes: Mapped[int | None] = mapped_column(BigInteger)
    temperature_c: Mapped[float | None]
    battery_percent: Mapped[float | None]
    load: Mapped[float | None]


class Database:
    """The server's database.

    Args:
        url: where it is, as SQLAlchemy writes it: ``sqlite:////srv/pomona.sqlite``, ``postgresql://user@host/pomona``.
        create: make its tables where missing, and upgrade those of an older Pomona; otherwise a wrong name is an
            error, and nothing is changed.
        busy_timeout_s: how long to wait for another writer.

    Raises:
        DatabaseError: it cannot be opened, or was made by a newer Pomona.
        MissingDatabaseError: it is missing, no server's, or an older Pomona's, and is not to be made.
    """

    def __init__(self, url: str | URL, *, create: bool = True, busy_timeout_s: float = _BUSY_TIMEOUT_S) -> None:
        try:
            parsed = backends.normalised(make_url(url))
            self.engine = create_engine(
                parsed,
                json_serializer=partial(json.dumps, ensure_ascii=False, allow_nan=False),
                connect_args=backends.connection_arguments(parsed, busy_timeout_s),
            )
        except (SQLAlchemyError, ImportError) as error:
            raise DatabaseError(f"database {_without_password(url)}: {_cause(error)}; check --database") from error
        self._name = parsed.render_as_string(hide_password=True)
        backends.prepare(self.engine, busy_timeout_s=busy_timeout_s, create=create)
        try:
            if create:
                self._upgrade()
            else:
                self._require_tables(parsed)
        except SQLAlchemyError as error:
            self.close()
            remedy = "free some space on its disk" if backends.is_full(error) else "check --database"
            raise DatabaseError(f"database {self._name}: {_cause(error)}; {remedy}") from error
        except BaseException:
            self.close()
            raise

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

    @property
    def is_embedded(self) -> bool:
        """Whether it is SQLite, which lets one write at a time."""
        return self.engine.dialect.name == "sqlite"

    def _upgrade(self) -> None:
        with self.write() as session:
            connection = session.connection()
            try:
                upgrading.upgrade(connection)
            except upgrading.NewerVersionError as error:
                raise DatabaseError(
                    f"database {self._name} has version {error}, made by a newer Pomona; update this one"
                ) from error
            add_positions(connection)
            backends.warn_of_loss(connection)

    def _require_tables(self, url: URL) -> None:
        found = None
        if backends.is_there(url):
            with self.engine.connect() as connection:
                if upgrading.has_tables(connection):
                    found = upgrading.version(connection) or "0"
        newest = upgrading.newest_version()
        if found is None:
            state = "has no tables of a Pomona server" if backends.is_there(url) else "is not there"
            raise MissingDatabaseError(
                f"database {self._name} {state}; check --database, or start `pomona server run`, which makes it"
            )
        if found != newest:
            raise MissingDatabaseError(
                f"database {self._name} has version {found}, this Pomona works with {newest}; "
                "start `pomona server run`, which upgrades it, or update this Pomona"
            )

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that waits for other writers; committed at the end, rolled back when anything fails.

        SQLite lets nobody else write meanwhile, PostgreSQL nobody else change the same rows.

        Raises:
            SQLAlchemyError: the database does not take it.
        """
        with Session(self.engine.execution_options(pomona_begin="BEGIN IMMEDIATE")) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """One view of the database, for reading: what is written meanwhile is not seen.

        Raises:
            DatabaseError: it cannot be read.
        """
        engine = self.engine
        if not self.is_embedded:  # SQLite's view is one from the first query on
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        try:
            with Session(engine) as session:
                yield session
        except SQLAlchemyError as error:
            raise DatabaseError(f"database {self._name}: {_cause(error)}; is it the right one?") from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _cause(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _without_password(url: str | URL) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "URL"
