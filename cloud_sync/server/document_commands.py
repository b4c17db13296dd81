"""``pomona server publish``, ``documents`` and ``withdraw``: what the server gives devices."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from cloud_sync.documents import KINDS, Kind
from cloud_sync.server.options import DATABASE, FOLDER, opened_database

_DEVICE = click.option("--device", metavar="NAME", help="The one device it is for.  [default: all]")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Orchard that a season file is about; other documents say it themselves.")
@_DEVICE
@FOLDER
@DATABASE
def publish(kind: str, file: Path, name: str | None, device: str | None, folder: Path, database: str | None) -> None:
    """Give devices a document; those that are connected fetch it within seconds, the others when they connect.

    KIND is registry (orchard, blocks and trees), plan (trees to photograph, as `pomona plan --json` prints it), season
    (a season file), prior (of the correction factor) or release (FILE is a name of `pomona server release list`;
    devices install it).

    Example: pomona server publish season season-2026.json --name "North farm" --folder pomona-server
    """
    from cloud_sync.server.documents import Publication
    from cloud_sync.server.documents import publish as publish_document
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.topics import check_device_name

    if device is not None:
        check_device_name(device)
    home = ServerFolder(folder)
    with opened_database(home, database) as opened:
        notice = publish_document(opened, home, Publication(cast("Kind", kind), file, name, device))
    meant = device or "all devices"
    click.echo(f"{notice.kind} {notice.name!r}, version {notice.version}, {notice.size_bytes:,} bytes, for {meant}.")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@_DEVICE
@FOLDER
@DATABASE
def withdraw(kind: str, name: str, device: str | None, folder: Path, database: str | None) -> None:
    """List a document no longer; devices that have it put it to use no more.

    Example: pomona server withdraw season "North farm" --folder pomona-server
    """
    from cloud_sync.server.documents import withdraw as withdraw_document
    from cloud_sync.server.folder import ServerFolder

    with opened_database(ServerFolder(folder), database) as opened:
        withdraw_document(opened, kind, name, device)
    click.echo(f"{kind} {name!r} is no longer listed for {device or 'all devices'}.")


@click.command()
@FOLDER
@DATABASE
def documents(folder: Path, database: str | None) -> None:
    """Show the documents that devices are given.

    Example: pomona server documents --folder pomona-server
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from cloud_sync.server.documents import published
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.tables import moment_text

    table = Table("kind", "about", "for", "version", "bytes", "published, UTC")
    with opened_database(ServerFolder(folder), database) as opened, opened.read() as session:
        for row in published(session):
            size = f"{row.size_bytes:,}"
            moment = moment_text(row.published_at)
            table.add_row(row.kind, Text(row.name), row.device or "all", str(row.version), size, moment)
    Console().print(table)
