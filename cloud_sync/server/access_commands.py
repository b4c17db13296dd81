"""``pomona server enroll``, ``invite``, ``revoke``, ``authority`` and ``reader``: whom the server lets in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud_sync.server.options import FOLDER

if TYPE_CHECKING:
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.rotation import RotationState


@click.command()
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
    echo_authority(home)
    if home.revoked.read_bytes() != revoked_before:
        click.echo(f"The former certificate is revoked. {_shut_out(home, enrolment.device)}")


@click.command()
@click.argument("name")
@FOLDER
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


@click.command()
@click.argument("name")
@FOLDER
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


@click.command()
@click.argument("step", type=click.Choice(["show", "prepare", "switch", "finish"]), default="show")
@FOLDER
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


@click.command()
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
    from cloud_sync.server.broker_control import reload_broker
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.readers import add_reader, remove_reader
    from cloud_sync.topics import READER

    home = ServerFolder(folder)
    settings = home.read_settings()
    if revoked:
        remove_reader(home, name)
        click.echo(f"The certificate of reader {name} is revoked. {_shut_out(home, READER + name)}")
        return
    files = out or Path(f"reader-{name}")
    add_reader(home, name, files)
    host, port = settings.hosts[0], settings.port
    can_now = reload_broker(home)
    click.echo(f"Now {name} can read:" if can_now else f"Reload the broker (SIGHUP); then {name} can read:")
    click.echo(
        f"  mosquitto_sub -V 5 -h {host} -p {port} --cafile {files / 'root.pem'} --cert {files / 'reader.pem'} "
        f"--key {files / 'reader.key'} -q 1 -t 'pomona/v1/+/stored/#'"
    )
    click.echo("That is the feed of `pomona server run --feed`; 'pomona/v1/+/up/#' is what devices send.")


def echo_authority(folder: ServerFolder) -> None:
    """Show the fingerprint that a device's person compares."""
    from cloud_sync import keys

    fingerprint = keys.fingerprint(keys.read_certificate(folder.root_certificate).public_key())
    click.echo(f"Authority: {fingerprint}. See that `pomona sync accept` shows the same on each device.")


def _shut_out(folder: ServerFolder, device: str) -> str:
    """Have the broker refuse a device and end its connection; returns what became of that."""
    from cloud_sync.server.broker_control import end_connection, reload_broker

    if reload_broker(folder) and end_connection(folder, device):
        return "The broker refuses it from now on and has ended its connection."
    return (
        "The running broker was not found here, so restart it now: that ends the connection it may have, and it is "
        "refused from then on. A reload (SIGHUP) would refuse new connections only."
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
