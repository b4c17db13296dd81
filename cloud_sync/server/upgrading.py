"""Bringing a database to the version this program works with, and telling which one it has."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

_log = logging.getLogger(__name__)

_FIRST = "1"
_LOCK = 7_305_814_220_001  # any number, the same in every Pomona
_TABLES = {"record", "replaced_revision", "dead_letter", "device"}  # of version 1


class NewerVersionError(Exception):
    """The database was made by a newer Pomona."""


def upgrade(connection: Connection) -> None:
    """Bring a database to this program's version, making the tables in an empty one.

    Args:
        connection: in a transaction that waits for other writers.

    Raises:
        NewerVersionError: it has a version that this program does not know.
        SQLAlchemyError: the database does not take it.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")  # two servers may start at once
    before = version(connection)
    if before is None and has_tables(connection):
        command.stamp(_configuration(connection), _FIRST)  # made before databases had versions
        before = _FIRST
    newest = newest_version()
    if before == newest:
        return
    if before is not None:
        if before not in {script.revision for script in _scripts().walk_revisions()}:
            raise NewerVersionError(before)
        _log.warning("upgrading the database from version %s to %s", before, newest)
    command.upgrade(_configuration(connection), newest)


def change_version(connection: Connection, wanted: str) -> None:
    """Bring a database to another version, an older one too.

    Raises:
        CommandError: there is no such version.
        SQLAlchemyError: the database does not take it.
    """
    before = version(connection) or "base"
    configuration = _configuration(connection)
    known = ["base", *reversed([script.revision for script in _scripts().walk_revisions()])]
    go = command.downgrade if known.index(wanted) < known.index(before) else command.upgrade
    go(configuration, wanted)


def version(connection: Connection) -> str | None:
    """The version of a database, None for one that has none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_version() -> str:
    """The version this program works with."""
    newest = _scripts().get_current_head()
    assert newest is not None
    return newest


def has_tables(connection: Connection) -> bool:
    """Whether this is a Pomona server's database, of whatever version."""
    return set(inspect(connection).get_table_names()) >= _TABLES


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration(None))


def _configuration(connection: Connection | None) -> Config:
    configuration = Config()
    folder = str(Path(__file__).with_name("migrations"))
    configuration.set_main_option("script_location", folder.replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    configuration.attributes["connection"] = connection
    return configuration
