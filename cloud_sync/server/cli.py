"""``pomona server``: make the server's folder, enrol devices, receive, and show what is held."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cloud_sync.identity import Identity
    from cloud_sync.server.database import Database
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.rotation import RotationState

_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("pomona-server"),
    show_default=True,
    help="The server's folder.",
)
_DATABASE = click.option("--database", metavar="URL", help="SQLAlchemy URL.  [default: SQLite in the folder]")


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
    _echo_authority(home)
    click.echo("Next:")
    click.echo(f"  mosquitto -c {configuration}")
    click.echo(f"  pomona server run --folder {folder}")
    if https_port:
        click.echo(f"  pomona server invite NAME --folder {folder}")
    else:
        click.echo(f"  pomona server enroll device.csr --folder {folder}")


@server.command()
@click.argument("request", metavar="CSR_FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_FOLDER
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
    from cloud_sync.server.enrolling import enroll_by_file
    from cloud_sync.server.errors import FolderError
    from cloud_sync.server.folder import ServerFolder

    home = ServerFolder(folder)
    home.read_settings()
    revoked_before = home.revoked.read_bytes()
    enrolment = enroll_by_file(home, request.read_bytes(), request, replace=replace)
    file = out or Path(f"{enrolment.device}.enrolment.json")
    try:
        write_whole(file, enrolment.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise FolderError(f"{file}: {error.strerror}; choose another place with --out") from error
    click.echo(f"{enrolment.device} is enrolled. On the device: pomona sync accept {file}")
    key = keys.parse_certificate(enrolment.certificate.encode(), file).public_key()
    click.echo(f"Key of {enrolment.device}: {keys.fingerprint(key)}. See that `pomona sync request` showed the same.")
    _echo_authority(home)
    if home.revoked.read_bytes() != revoked_before:
        click.echo(f"The former certificate is revoked. {_shut_out(home, enrolment.device)}")


@server.command()
@click.argument("name")
@_FOLDER
@click.option(
    "--hours",
    default=24.0,
    show_default=True,
    type=click.FloatRange(0, 24 * 30, min_open=True),
    help="How long it is good.",
)
@click.option(
    "--replace", is_flag=True, help="Take the place of a device of this name that is gone; its key is revoked."
)
def invite(name: str, folder: Path, hours: float, replace: bool) -> None:
    """Invite a device that shall be called NAME: print a code that it enrols with, once.

    Who has the code can enrol in the device's place, so hand it to nobody else. A new invitation makes the former one
    void, as does `pomona server revoke NAME`.

    Example: pomona server invite kiwi-07 --folder pomona-server
    """
    from datetime import timedelta

    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.invitations import invite as make_invitation

    home = ServerFolder(folder)
    invitation = make_invitation(home, name, timedelta(hours=hours), replace=replace)
    click.echo(invitation.text)
    click.echo(f"On the device, within {hours:g} hours: pomona sync enroll. It asks for the code above.", err=True)


@server.command()
@click.argument("name")
@_FOLDER
def revoke(name: str, folder: Path) -> None:
    """Shut out device NAME, which is lost or stolen, and end its invitation; the name may be enrolled again.

    Example: pomona server revoke kiwi-07 --folder pomona-server
    """
    from cloud_sync.server.certificates import Authority
    from cloud_sync.server.folder import ServerFolder

    home = ServerFolder(folder)
    home.read_settings()
    Authority(home).withdraw(name)
    click.echo(f"What {name} was given is revoked. {_shut_out(home, name)}")


@server.command()
@click.argument("step", type=click.Choice(["show", "prepare", "switch", "finish"]), default="show")
@_FOLDER
@click.option("--leave-behind", is_flag=True, help="Go on although devices are shut out by it.")
def authority(step: str, folder: Path, leave_behind: bool) -> None:
    """Show the authority, or give it a new key: prepare, switch, finish, each once the devices have followed.

    A device follows by itself within hours of being connected; one that was enrolled by file, by `pomona server enroll`
    and `pomona sync accept` after each step.

    Example: pomona server authority prepare --folder pomona-server
    """
    from cloud_sync.server import rotation
    from cloud_sync.server.broker_control import reload_broker
    from cloud_sync.server.errors import FolderError
    from cloud_sync.server.folder import ServerFolder

    home = ServerFolder(folder)
    home.read_settings()
    if step in {"switch", "finish"} and not leave_behind:
        behind = rotation.state_of(home).left_behind
        if behind:
            raise FolderError(
                f"{', '.join(behind)} would be shut out, since they have not followed yet; wait until they were "
                "connected for some hours, or give --leave-behind and enrol them again"
            )
    if step != "show":
        {"prepare": rotation.prepare, "switch": rotation.switch, "finish": rotation.finish}[step](home)
        if not reload_broker(home):
            click.echo("Restart the broker now, or reload it (SIGHUP), so that it trusts whom it should.")
    _echo_rotation(rotation.state_of(home))


@server.command()
@_FOLDER
@_DATABASE
@click.option("--broker", metavar="HOST:PORT", help="Where the broker listens.  [default: on this machine]")
def run(folder: Path, database: str | None, broker: str | None) -> None:
    """Receive what devices send, until stopped; prints 'ready' once the broker passes messages on.

    Example: pomona server run --folder pomona-server
    """
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.ingest import Ingest

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = ServerFolder(folder)
    identity = _ingest_identity(home, broker)
    opened = _open(home, database, create=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with _https(home, stop):
            Ingest(identity, opened).run(stop, on_ready=lambda: click.echo("ready"))
    finally:
        opened.close()


@server.command()
@_FOLDER
@_DATABASE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def holdings(folder: Path, database: str | None, as_json: bool) -> None:
    """Show what the server holds, each thing once however many devices sent it.

    Example: pomona server holdings --folder pomona-server --json
    """
    from rich.console import Console

    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.holdings import read_holdings
    from cloud_sync.server.tables import holdings_table

    opened = _open(ServerFolder(folder), database)
    with opened.read() as session:
        held = read_holdings(session)
    opened.close()
    if as_json:
        click.echo(json.dumps(held.as_dict(), ensure_ascii=False))
    else:
        Console().print(holdings_table(held))
        click.echo(f"{held.devices} devices, {held.dead_letters} dead letters")


@server.command("dead-letters")
@_FOLDER
@_DATABASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with the payload in base64.")
def dead_letters(folder: Path, database: str | None, as_json: bool) -> None:
    """Show messages that were refused, and why.

    Example: pomona server dead-letters --folder pomona-server
    """
    from rich.console import Console
    from sqlalchemy import select

    from cloud_sync.server.database import DeadLetter
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.tables import dead_letter_as_dict, dead_letters_table

    opened = _open(ServerFolder(folder), database)
    with opened.read() as session:
        letters = list(session.scalars(select(DeadLetter).order_by(DeadLetter.id)))
    opened.close()
    if as_json:
        for letter in letters:
            click.echo(json.dumps(dead_letter_as_dict(letter), ensure_ascii=False))
    else:
        Console().print(dead_letters_table(letters))


def _https(folder: ServerFolder, stop: threading.Event) -> contextlib.AbstractContextManager[None]:
    """HTTPS for devices, where the settings have a port for it."""
    if folder.read_settings().https_port == 0:
        return contextlib.nullcontext()
    from cloud_sync.server.https.serving import https_server

    return https_server(folder, stop)


def _ingest_identity(folder: ServerFolder, broker: str | None) -> Identity:
    from cloud_sync.hosts import check_host
    from cloud_sync.identity import Identity
    from cloud_sync.topics import SERVER_NAME

    settings = folder.read_settings()
    host, port = settings.local_host, settings.port
    if broker is not None:
        host, _, number = broker.rpartition(":")
        if not host or not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 65535:
            raise click.BadParameter(f"{broker!r} is not HOST:PORT", param_hint="--broker")
        port = int(number)
        try:
            check_host(host)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--broker") from error
    key, certificate = folder.ingest / "ingest.key", folder.ingest / "ingest.pem"
    return Identity(SERVER_NAME, key, certificate, folder.trusted, host, port)


def _shut_out(folder: ServerFolder, device: str) -> str:
    """Have the broker refuse a device and end its connection; returns what became of that."""
    from cloud_sync.server.broker_control import end_connection, reload_broker

    if reload_broker(folder) and end_connection(folder, device):
        return "The broker refuses it from now on and has ended its connection."
    return (
        "The running broker was not found here, so restart it now: that ends the device's connection, and the device "
        "is refused from then on. A reload (SIGHUP) would refuse new connections only."
    )


def _echo_rotation(state: RotationState) -> None:
    from cloud_sync import keys

    click.echo(f"Authority: {keys.fingerprint(state.current.public_key())}.")
    behind = f"{len(state.left_behind)} of {state.devices} devices"
    if state.following is not None:
        click.echo(f"Next: {keys.fingerprint(state.following.public_key())}. Not trusted yet by {behind}.")
    if state.former is not None:
        former = keys.fingerprint(state.former.public_key())
        click.echo(f"Former, still trusted: {former}. It signed the certificates of {behind}.")
    if state.left_behind:
        click.echo(f"  {', '.join(state.left_behind)}")


def _echo_authority(folder: ServerFolder) -> None:
    from cloud_sync import keys

    fingerprint = keys.fingerprint(keys.read_certificate(folder.root_certificate).public_key())
    click.echo(f"Authority: {fingerprint}. See that `pomona sync accept` shows the same on each device.")


def _open(folder: ServerFolder, url: str | None, *, create: bool = False) -> Database:
    from cloud_sync.server.database import Database

    if url is not None:
        return Database(url, create=create)
    folder.read_settings()  # says so when this is no server folder, before a database is made in it
    return Database.in_file(folder.database.resolve(), create=create)
