"""``pomona server photos``: asking devices for full photos."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud_sync.server.options import DATABASE, FOLDER, opened_database

if TYPE_CHECKING:
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.photo_requests import PhotoRequest


class _PhotoHash(click.ParamType[str]):
    """SHA-256 of a photo."""

    name = "sha256"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As the base class."""
        text = value.lower()
        if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
            self.fail(f"{value!r} is no SHA-256; photo records hold it, as 64 hexadecimal digits", param, ctx)
        return text


_PHOTO = click.option("--photo", "photos", type=_PhotoHash(), multiple=True, metavar="SHA256", help="This photo.")


@click.group(invoke_without_command=True)
@FOLDER
@DATABASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with the files that are here.")
@click.pass_context
def photos(context: click.Context, folder: Path, database: str | None, as_json: bool) -> None:
    """Show the full photos that devices were asked for, and which have arrived.

    Devices send a record of each photo and a small picture; a full photo only when it is asked for.

    Example: pomona server photos --folder pomona-server
    """
    from rich.console import Console

    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.photo_requests import all_requests
    from cloud_sync.server.tables import photos_table

    if context.invoked_subcommand is not None:
        return
    home = ServerFolder(folder)
    with opened_database(home, database) as opened, opened.read() as session:
        asked = all_requests(session)
    if as_json:
        for request in asked:
            click.echo(json.dumps(_as_dict(home, request)))
    else:
        Console().print(photos_table(asked))
        click.echo(f"Those that have arrived lie in {home.photos}.")


@photos.command("request")
@_PHOTO
@click.option("--orchard", metavar="NAME", help="Those of this orchard.")
@click.option("--block", metavar="NAME", help="Those of this block.")
@click.option("--tree", metavar="CODE", help="Those of this tree of the block.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Those of visits on this day.")
@click.option("--device", metavar="NAME", help="Those of this device.")
@click.option("--also-metered", is_flag=True, help="Have them sent over a metered link too.")
@FOLDER
@DATABASE
def request_photos(
    photos: tuple[str, ...],
    orchard: str | None,
    block: str | None,
    tree: str | None,
    day: datetime | None,
    device: str | None,
    also_metered: bool,
    folder: Path,
    database: str | None,
) -> None:
    """Ask devices for full photos: some, or all that the options leave. They are sent after all records.

    A device that is connected hears of it within seconds, the others when they connect. Over a metered link photos
    wait, unless --also-metered says otherwise.

    \b
    Examples:
      pomona server photos request --block B1 --tree R03-T12 --folder pomona-server
      pomona server photos request --photo SHA256 --device kiwi-07
    """
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.photo_requests import ARRIVED, Wanted, ask

    if not photos and not block:
        raise click.UsageError("name photos with --photo, or a block with --block")
    if tree is not None and block is None:
        raise click.UsageError("--tree needs its --block")
    wanted = Wanted(photos, device, orchard, block, tree, day.date() if day else None, also_metered)
    with opened_database(ServerFolder(folder), database) as opened:
        asked = ask(opened, wanted)
    here = sum(request.state == ARRIVED for request in asked)
    devices = sorted({request.device for request in asked if request.state != ARRIVED})
    click.echo(f"Photos asked of {', '.join(devices) or 'no device'}: {len(asked) - here}; here already: {here}.")


@photos.command("withdraw")
@click.option("--device", metavar="NAME", required=True, help="The device that was asked.")
@_PHOTO
@FOLDER
@DATABASE
def withdraw_photos(device: str, photos: tuple[str, ...], folder: Path, database: str | None) -> None:
    """Ask a device no longer for photos that have not arrived: for some, or for all.

    Example: pomona server photos withdraw --device kiwi-07 --folder pomona-server
    """
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.photo_files import PhotoFiles
    from cloud_sync.server.photo_requests import withdraw

    home = ServerFolder(folder)
    with opened_database(home, database) as opened:
        withdrawn = withdraw(opened, device, photos)
    with home.explained():
        for photo in withdrawn:
            PhotoFiles(home.photos).forget(device, photo)
    click.echo(f"Photos no longer asked of {device}: {len(withdrawn)}.")


def _as_dict(home: ServerFolder, request: PhotoRequest) -> dict[str, object]:
    from cloud_sync.server.photo_files import PhotoFiles
    from cloud_sync.server.photo_requests import ARRIVED

    file = PhotoFiles(home.photos).path(request.photo, request.suffix)
    return {
        "device": request.device,
        "photo": request.photo,
        "state": request.state,
        "reason": request.reason,
        "also_metered": request.metered,
        "asked_at": request.asked_at.isoformat(),
        "settled_at": request.settled_at.isoformat() if request.settled_at else None,
        "file": str(file) if request.state == ARRIVED else None,
    }
