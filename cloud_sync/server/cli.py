"""``pomona server``: make the server's folder, enrol devices, receive, and show what is held."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud_sync.server.access_commands import authority, echo_authority, enroll, invite, reader, revoke
from cloud_sync.server.document_commands import documents, publish, withdraw
from cloud_sync.server.keeping_commands import dead_letters, export, prune
from cloud_sync.server.options import BROKER, DATABASE, FOLDER, broker_address, opened_database
from cloud_sync.server.photo_commands import photos
from cloud_sync.server.release_commands import release
from cloud_sync.server.retrain_commands import retrain

if TYPE_CHECKING:
    from cloud_sync.server.folder import ServerFolder


@click.group()
def server() -> None:
    """Run the backend: enrol devices, receive their counts, show what is held.

    Example: pomona server init pomona-server --host sync.example.org
    """


@server.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--host", "hosts", multiple=True, required=True, help="Name or address of the server; devices use the first."
)
@click.option("--port", default=8883, show_default=True, type=click.IntRange(1, 65535), help="TCP port of the broker.")
@click.option(
    "--https-port",
    default=8443,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="TCP port of HTTPS for devices; 0 for none.",
)
@click.option("--bind", help="Address to listen on.  [default: all]")
@click.option("--new-keys", is_flag=True, help="Give the server's own parts new keys and revoke the former ones.")
def init(folder: Path, hosts: tuple[str, ...], port: int, https_port: int, bind: str | None, new_keys: bool) -> None:
    """Make FOLDER: authority, certificates, and the broker's configuration and access list.

    May be run again to change hosts or ports; keys and enrolled devices stay.

    Example: pomona server init pomona-server --host sync.example.org --host 192.0.2.7
    """
    from pydantic import ValidationError

    from cloud_sync.server.broker import initialise
    from cloud_sync.server.broker_control import reload_broker
    from cloud_sync.server.folder import ServerFolder, ServerSettings

    try:
        settings = ServerSettings(hosts=list(hosts), port=port, https_port=https_port, bind=bind)
    except ValidationError as error:
        raise click.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    home = ServerFolder(folder)
    configuration = initialise(home, settings, new_keys=new_keys)
    click.echo(f"server folder {folder} is ready for {', '.join(hosts)}.")
    if new_keys and not reload_broker(home):
        click.echo("Restart the broker: devices that have heard of it refuse the former key.")
    echo_authority(home)
    click.echo("Next:")
    click.echo(f"  mosquitto -c {configuration}")
    click.echo(f"  pomona server run --folder {folder}")
    if https_port:
        click.echo(f"  pomona server invite NAME --folder {folder}")
    else:
        click.echo(f"  pomona server enroll device.csr --folder {folder}")


@server.command()
@FOLDER
@DATABASE
@BROKER
@click.option(
    "--ingest",
    "processes",
    type=click.IntRange(1, 8),
    help="Processes that share the work.  [default: 1 with SQLite, which lets one write at a time; 2 with PostgreSQL]",
)
@click.option("--feed", is_flag=True, help="Publish each stored record as plain JSON too, for readers.")
def run(folder: Path, database: str | None, broker: str | None, processes: int | None, feed: bool) -> None:
    """Receive what devices send, until stopped; prints 'ready' once the broker passes messages on.

    A database of an older Pomona is upgraded first. Releases of models are signed again in time, with the keys that lie
    at the server.

    Example: pomona server run --folder pomona-server
    """
    from cloud_sync.server import processes as ingest
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.releases.freshness import fresh_releases

    home = ServerFolder(folder)
    host, port = broker_address(home, broker)
    if processes is None:
        processes = 1 if database is None or database.startswith("sqlite") else 2
    ingest.log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work = ingest.Work(folder, host, port, database, processes, feed)
    with _https(home, database, stop), fresh_releases(home, stop):
        ingest.run(work, stop, on_ready=lambda: click.echo("ready"))


@server.command()
@FOLDER
@DATABASE
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8430, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--name", "names", multiple=True, help="Host name under which a proxy on this machine offers the pages.")
def fleet(folder: Path, database: str | None, host: str, port: int, names: tuple[str, ...]) -> None:
    """Serve the fleet's pages: devices and their troubles, blocks, refused messages; /api and /metrics for programs.

    Only reads. Anybody on this machine may see them. To let others in, set a pass phrase of 8 characters or more in
    POMONA_FLEET_PASSPHRASE, or as the systemd credential fleet-passphrase, and give --host.

    Example: pomona server fleet --folder pomona-server
    """
    import uvicorn

    from cloud_sync.pages.access import read_pass_phrase
    from cloud_sync.pages.serving import address_of, listen
    from cloud_sync.server.fleet.application import create_app
    from cloud_sync.server.fleet.settings import PASS_PHRASE_CREDENTIAL, PASS_PHRASE_VARIABLE, FleetSettings
    from cloud_sync.server.folder import ServerFolder

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    home = ServerFolder(folder)
    given = read_pass_phrase(PASS_PHRASE_VARIABLE, PASS_PHRASE_CREDENTIAL)
    settings = FleetSettings(host, port, given, tuple(name.lower() for name in names))
    with opened_database(home, database) as opened:
        app = create_app(opened, home.metrics, settings)
        listening = listen(host, port)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=5
        )
        click.echo(f"Fleet at {address_of(listening)} (Ctrl+C stops it).")
        uvicorn.Server(config).run([listening])


@server.command()
@FOLDER
@DATABASE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def holdings(folder: Path, database: str | None, as_json: bool) -> None:
    """Show what the server holds, each thing once however many devices sent it.

    Example: pomona server holdings --folder pomona-server --json
    """
    from rich.console import Console

    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.holdings import read_holdings
    from cloud_sync.server.tables import holdings_table

    with opened_database(ServerFolder(folder), database) as opened, opened.read() as session:
        held = read_holdings(session)
    if as_json:
        click.echo(json.dumps(held.as_dict(), ensure_ascii=False))
    else:
        Console().print(holdings_table(held))
        click.echo(f"{held.devices} devices, {held.dead_letters} dead letters")


@contextlib.contextmanager
def _https(folder: ServerFolder, database: str | None, stop: threading.Event) -> Iterator[None]:
    """HTTPS for devices, where the settings have a port for it."""
    if folder.read_settings().https_port == 0:
        yield
        return
    from cloud_sync.server.https.serving import https_server

    with opened_database(folder, database, create=True) as opened, https_server(folder, opened, stop):
        yield


for command in (
    *(enroll, invite, revoke, authority, reader),
    *(publish, withdraw, documents, release, retrain, photos, dead_letters, prune, export),
):
    server.add_command(command)
