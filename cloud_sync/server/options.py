"""Options that several commands of ``pomona server`` share, and the database they mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cloud_sync.server.database import Database
    from cloud_sync.server.folder import ServerFolder

FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("pomona-server"),
    show_default=True,
    help="The server's folder.",
)
DATABASE = click.option(
    "--database",
    metavar="URL",
    envvar="POMONA_DATABASE",
    help="PostgreSQL, such as postgresql://pomona@host/pomona, or another SQLite file; also from POMONA_DATABASE.  "
    "[default: SQLite in the folder]",
)
BROKER = click.option("--broker", metavar="HOST:PORT", help="Where the broker listens.  [default: on this machine]")


@contextlib.contextmanager
def opened_database(folder: ServerFolder, url: str | None, *, create: bool = False) -> Iterator[Database]:
    """The server's database, closed afterwards.

    Args:
        folder: the server's folder.
        url: where the database is; None means the SQLite file in the folder.
        create: make it where missing.

    Raises:
        FolderError: it is no server's folder.
        DatabaseError: the database cannot be opened.
    """
    from cloud_sync.server.database import Database

    if url is not None:
        opened = Database(url, create=create)
    else:
        folder.read_settings()  # says so when this is no server folder, before a database is made in it
        opened = Database.in_file(folder.database.resolve(), create=create)
    try:
        yield opened
    finally:
        opened.close()


def broker_address(folder: ServerFolder, broker: str | None) -> tuple[str, int]:
    """Where the broker is.

    Args:
        folder: the server's folder.
        broker: HOST:PORT as it was given; None where the folder's settings tell.

    Raises:
        BadParameter: it is no such thing.
        FolderError: it is no server's folder.
    """
    from cloud_sync.hosts import check_host

    settings = folder.read_settings()
    if broker is None:
        return settings.local_host, settings.port
    host, _, number = broker.rpartition(":")
    if not host or not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 65535:
        raise click.BadParameter(f"{broker!r} is not HOST:PORT", param_hint="--broker")
    try:
        check_host(host)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--broker") from error
    return host, int(number)
