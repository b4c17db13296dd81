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
