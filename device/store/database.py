"""Opening the store and changing it: one transaction, one record, one message."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from cloud_sync import outbox
from cloud_sync.files import make_folder
from cloud_sync.messages import Body
from cloud_sync.outbox import Outbox, new_id
from device.errors import StoreError
from device.store import schema
from device.store.photo_files import PhotoFiles

FILE_NAME = "store.sqlite"
# Page, sync and counting are processes of their own; a writer waits this long for another.
_BUSY_TIMEOUT_MS = 30_000


class Store:
    """A device's records.

    Args:
        folder: holds the database and the photos; made where missing.

    Raises:
        StoreError: the folder or database cannot be opened or written, or is from a newer Pomona.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        try:
            if not self.path.exists():
                make_folder(folder)
        except OSError as error:
            raise StoreError(f"store {folder}: {error.strerror}; choose a folder you may write to") from error
        with self.explained():
            self.db = Database(sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_MS / 1000, check_same_thread=False))
            try:
                self.db.execute("PRAGMA journal_mode = WAL")
                self.db.execute("PRAGMA synchronous = FULL")
                self.db.execute("PRAGMA foreign_keys = ON")
                self._migrate()
            except BaseException:
                self.db.close()
                raise
        self.photos = PhotoFiles(folder / "photos")
        self.outbox = Outbox(self.db)

    def _migrate(self) -> None:
        sets = (outbox.MIGRATIONS, schema.MIGRATIONS)
        if any(migrations.pending(self.db) for migrations in sets):
            with self.change():  # another process may be opening the same new store
                for migrations in sets:
                    migrations.apply(self.db)
        for migrations in sets:
            known = {migration.name for migration in migrations._migrations}  # there is no public accessor
            if unknown := {applied.name for applied in migrations.applied(self.db)} - known:
                raise StoreError(
                    f"{self.path} was written by a newer Pomona ({', '.join(sorted(unknown))}); upgrade Pomona here"
                )

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what SQLite says of the disk and the file into errors that name the store and the remedy.

        Raises:
            StoreError: the database cannot be read or written.
        """
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # a mistake in the code, not in the world
        except sqlite3.DatabaseError as error:
            text = str(error)
            remedy = "check the folder's permissions and the disk"
            if "full" in text:
                remedy = "free some space; nothing recorded was lost"
            elif "locked" in text:
                remedy = "another Pomona process has held it for long; stop it and try again"
            elif "not a database" in text or "malformed" in text:
                remedy = "restore it from a backup"
            raise StoreError(f"store {self.path}: {text}; {remedy}") from error

    @contextlib.contextmanager
    def change(self) -> Iterator[Database]:
        """One transaction that others wait for; rolled back whole when anything in it fails.

        Raises:
            StoreError: the database cannot be written.
        """
        with self.explained():
            self.db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.conn.execute("COMMIT")
            except BaseException:
                self.db.rollback()
                raise

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row of a query, None where there is none."""
        return next(iter(self.db.query(sql, list(parameters))), None)

    def record(
        self,
        table: str,
        key: dict[str, Any],
        values: dict[str, Any],
        body: Body,
        unsent: dict[str, Any] | None = None,
    ) -> str:
        """Insert a row or change it, and queue its message where that says something new; inside :meth:`change`.

        Args:
            table: name of the table.
            key: columns of its natural key.
            values: the other columns that the message carries.
            body: the message's body.
            unsent: columns that it does not carry; they are kept without a new revision.

        Returns:
            Id of the row.
        """
        columns = {**values, **(unsent or {})}
        where = " AND ".join(f"{column} = ?" for column in key)
        row = self.one(f"SELECT * FROM {table} WHERE {where}", list(key.values()))  # noqa: S608  (our own names)
        if row is None:
            row = {"id": new_id(), "revision": 1}
            self.db.table(table).insert({**row, **key, **columns})
            self.outbox.enqueue(row["id"], 1, body)
            return str(row["id"])
        says_new = any(row[column] != value for column, value in values.items())
        if says_new or any(row[column] != value for column, value in columns.items()):
            revision = row["revision"] + says_new
            self.db.table(table).update(row["id"], {**columns, "revision": revision})
            if says_new:
                self.outbox.enqueue(row["id"], revision, body)
        return str(row["id"])

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        self.db.close()
