"""``pomona server``: make the server's folder, enrol devices, receive, and show what is held."""

from __future__ import annotations

import json
import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud_sync.server.document_commands import documents, publish, withdraw
from cloud_sync.server.keeping_commands import dead_letters, export, prune
from cloud_sync.server.options import BROKER, DATABASE, FOLDER, broker_address, opened_database

if TYPE_CHECKING:
    from cloud_sync.server.folder import ServerFolder

_RESTART = (
    "Restart the broker now: that ends the device's connection, and the device is refused from then on. "
    "A reload (SIGHUP) would refuse new connections only."
)


@click.group()
def server() -> None:
    """Run the backend: enrol devices, receive their counts, show what is held.

    Example: pomona server init pomona-server --host sync.example.org
    """


@server.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--host", "hosts", multiple=True, required=True, help="Name or address of the broker; devices use the first."
)
@click.option("--port", default=8883, show_default=True, type=click.IntRange(1, 65535), help="TCP port of the broker.")
@click.option("--bind", help="Address the broker listens on.  [default: all]")
def init(folder: Path, hosts: tuple[str, ...], port: int, bind: str | None) -> None:
    """Make FOLDER: authority, certificates, and the broker's configuration and access list.

    May be run again to change hosts or port; keys and enrolled devices stay.

    Example: pomona server init pomona-server --host sync.example.org --host 192.0.2.7
    """
    from pydantic import ValidationError

    from cloud_sync.server.broker import initialise
    from cloud_sync.server.folder import ServerFolder, ServerSettings

    try:
        settings = ServerSettings(hosts=list(hosts), port=port, bind=bind)
    except ValidationError as error:
        raise click.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    home = ServerFolder(folder)
    configuration = initialise(home, settings)
    click.echo(f"server folder {folder} is ready for {', '.join(hosts)}.")
    _echo_authority(home)
    click.echo("Next:")
    click.echo(f"  mosquitto -c {configuration}")
    click.echo(f"  pomona server run --folder {folder}")
    click.echo(f"  pomona server enroll device.csr --folder {folder}")


@server.command()
@click.argument("request", metavar="CSR_FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@FOLDER
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: NAME.enrolment.json]"
)
@click.option(
    "--replace", is_flag=True, help="Take the place of a device of this name that is gone; its key is revoked."
)
def enroll(request: Path, folder: Path, out: Path | None, replace: bool) -> None:
    """Sign a device's request and write the file it needs.

    Example: pomona server enroll device.csr --folder pomona-server --out jetson-1.json
    """
    from cloud_sync import keys
    from cloud_sync.files import write_whole
    from cloud_sync.identity import Broker, Enrolment
    from cloud_sync.server.certificates import Authority
    from cloud_sync.server.errors import FolderError
    from cloud_sync.server.folder import ServerFolder

    home = ServerFolder(folder)
    settings = home.read_settings()
    authority = Authority(home)
    revoked_before = home.revoked.read_bytes()
    name, certificate = authority.enroll(request.read_bytes(), request, replace=replace)
    enrolment = Enrolment(
        device=name,
        certificate=certificate.decode("ascii"),
        trust_root=home.root_certificate.read_text(encoding="ascii"),
        broker=Broker(host=settings.hosts[0], port=settings.port),
    )
    file = out or Path(f"{name}.enrolment.json")
    try:
        write_whole(file, enrolment.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise FolderError(f"{file}: {error.strerror}; choose another place with --out") from error
    click.echo(f"{name} is enrolled. On the device: pomona sync accept {file}")
    key = keys.parse_certificate(certificate, file).public_key()
    click.echo(f"Key of {name}: {keys.fingerprint(key)}. See that `pomona sync request` showed the same.")
    _echo_authority(home)
    if home.revoked.read_bytes() != revoked_before:
        click.echo(f"The former certificate is revoked. {_RESTART}")


@server.command()
@click.argument("name")
@FOLDER
def revoke(name: str, folder: Path) -> None:
    """Shut out device NAME, which is lost or stolen; the name may be enrolled again.

    Example: pomona server revoke kiwi-07 --folder pomona-server
    """
    from cloud_sync.server.certificates import Authority
    from cloud_sync.server.folder import ServerFolder

    home = ServerFolder(folder)
    home.read_settings()
    Authority(home).withdraw(name)
    click.echo(f"The certificate of {name} is revoked. {_RESTART}")


@server.command()
@click.argument("name")
@FOLDER
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for its files.  [default: reader-NAME]"
)
@click.option("--revoke", "revoked", is_flag=True, help="Shut reader NAME out.")
def reader(name: str, folder: Path, out: Path | None, revoked: bool) -> None:
    """Let NAME, a program and no device, read what devices send and what is stored: key and certificate for it.

    Example: pomona server reader grafana --folder pomona-server
    """
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.readers import add_reader, remove_reader

    home = ServerFolder(folder)
    settings = home.read_settings()
    if revoked:
        remove_reader(home, name)
        click.echo(f"The certificate of reader {name} is revoked. {_RESTART}")
        return
    files = out or Path(f"reader-{name}")
    add_reader(home, name, files)
    host, port = settings.hosts[0], settings.port
    click.echo(f"Reload the broker (SIGHUP); then {name} can read:")
    click.echo(
        f"  mosquitto_sub -V 5 -h {host} -p {port} --cafile {files / 'root.pem'} --cert {files / 'reader.pem'} "
        f"--key {files / 'reader.key'} -q 1 -t 'pomona/v1/+/stored/#'"
    )


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

    A database of an older Pomona is upgraded first.

    Example: pomona server run --folder pomona-server
    """
    from cloud_sync.server import processes as ingest
    from cloud_sync.server.folder import ServerFolder

    home = ServerFolder(folder)
    host, port = broker_address(home, broker)
    if processes is None:
        processes = 1 if database is None or database.startswith("sqlite") else 2
    ingest.log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work = ingest.Work(folder, host, port, database, processes, feed)
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


def _echo_authority(folder: ServerFolder) -> None:
    from cloud_sync import keys

    fingerprint = keys.fingerprint(keys.read_certificate(folder.root_certificate).public_key())
    click.echo(f"Authority: {fingerprint}. See that `pomona sync accept` shows the same on each device.")


for command in (publish, withdraw, documents, dead_letters, prune, export):
    server.add_command(command)
