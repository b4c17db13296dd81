"""``pomona sync``."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

from device.commands.common import home_option, inbox_option, opened_store, stop_on_signals

if TYPE_CHECKING:
    from cloud_sync.identity import Identity


@click.group(invoke_without_command=True)
@click.option("--once", is_flag=True, help="End when everything is at the server.")
@click.option("--time-limit", type=click.FloatRange(1), default=120.0, show_default=True, help="Seconds for --once.")
@click.option("--verbose", is_flag=True, help="Say when the connection comes and goes.")
@click.option(
    "--health-every",
    type=click.FloatRange(0, 1440),
    default=15.0,
    show_default=True,
    help="Minutes between messages that say how this device fares; 0 sends none.",
)
@inbox_option
@home_option
@click.pass_context
def sync(
    ctx: click.Context,
    once: bool,
    time_limit: float,
    verbose: bool,
    health_every: float,
    inbox: Path | None,
    home: Path,
) -> None:
    """Send what was recorded to the server, and go on sending until stopped.

    A record leaves the outbox only when the server says that it is stored. With --once and no answer in time the
    command ends with exit code 1 and everything still waits.

    \b
    Examples:
      pomona sync enroll    first, with the code that `pomona server invite` printed
      pomona sync --once
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx, ctx.invoked_subcommand)
        return
    from cloud_sync.identity import read_identity
    from cloud_sync.upkeep import Upkeep
    from cloud_sync.uplink import Uplink, UplinkSettings
    from device.documents.fetcher import Fetcher
    from device.documents.shelf import shelved
    from device.errand import Errands
    from device.link import read_metered
    from device.model_state import tell_model_state
    from device.photo_giving import PhotoGiver
    from device.reporting import Reporter
    from device.thumbnails import remake_thumbnail

    logging.basicConfig(level=logging.INFO if verbose or not once else logging.ERROR, format="%(message)s")
    identity = read_identity(home)
    stop = stop_on_signals()
    # an enrolled device may have recorded nothing yet
    with opened_store(home, create=True) as store, Upkeep(home).running():
        tell_model_state(store, identity.name)
        store.outbox.remake = partial(remake_thumbnail, store)
        settings = UplinkSettings(metered={"yes": True, "no": False, "auto": None}[read_metered(store)])
        reporter = Reporter(store, identity.name, inbox=inbox, every_s=round(60 * health_every))
        with Errands(Fetcher(home), PhotoGiver(home)).running(time_limit, hurry=stop) as errands:
            uplink = Uplink(store.outbox, identity, settings, watch=reporter.note, on_documents=errands.announce)
            result = uplink.run(stop, until_empty=once, time_limit_s=time_limit if once else None)
        undone = sum(item.state == "announced" for item in shelved(store))
    click.echo(f"{result.stored} stored at the server, {result.rejected} refused, {result.waiting} waiting.")
    if undone:
        click.echo(f"{undone} documents of the server are not here yet; see `pomona sync documents`.")


def _refuse_options(ctx: click.Context, command: str) -> None:
    """Options before a command's name would be ignored, and another device's records would be meant."""
    for name in ctx.params:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            remedy = f"write it behind: pomona sync {command} --home" if name == "home" else "leave it out"
            raise click.UsageError(f"{option} before {command} has no effect; {remedy}", ctx)


@sync.command("enroll")
@click.argument("code", required=False)
@home_option
def enroll(code: str | None, home: Path) -> None:
    """Enrol this device with the CODE that `pomona server invite NAME` printed on the server.

    Without CODE it is asked for, which keeps it out of the shell's history and the list of processes. The device makes
    its key, which never leaves it. What ended midway can be done again with the same code.

    \b
    Example:
      pomona sync enroll
    """
    from cloud_sync.enrolling import enroll as enroll_here
    from cloud_sync.invitation import parse_invitation

    text = code if code is not None else click.prompt("Code", err=True)
    _show_enrolled(enroll_here(home, parse_invitation(text)))


@sync.command("renew")
@home_option
def renew(home: Path) -> None:
    """Renew this device's key and certificate now; `pomona sync` does so by itself in time.

    \b
    Example:
      pomona sync renew
    """
    from cloud_sync import keys
    from cloud_sync.enrolling import renew as renew_here

    identity = renew_here(home)
    ends = keys.read_certificate(identity.certificate).not_valid_after_utc
    click.echo(f"{identity.name} has a new key and certificate, good until {ends:%Y-%m-%d}.")


@sync.command("request")
@click.argument("name")
@home_option
def request(name: str, home: Path) -> None:
    """Make this device's key and a request for its certificate, to be carried to the server by hand.

    \b
    Example:
      pomona sync request kiwi-07
    """
    from cloud_sync import keys
    from cloud_sync.identity import create_request

    path = create_request(home, name)
    click.echo(f"Request in {path}. Have the server sign it: pomona server enroll {path.name} --folder FOLDER")
    click.echo(f"Key of {name}: {keys.fingerprint(keys.read_request(path).public_key())}. See that it shows the same.")


@sync.command("accept")
@click.argument("file", type=click.Path(path_type=Path))
@home_option
def accept(file: Path, home: Path) -> None:
    """Take the certificate and the broker's address from FILE, which the server made of this device's request.

    \b
    Example:
      pomona sync accept kiwi-07.json
    """
    from cloud_sync.identity import install_enrolment

    _show_enrolled(install_enrolment(home, file))


def _show_enrolled(identity: Identity) -> None:
    from cloud_sync import keys

    fingerprint = keys.fingerprint(keys.read_certificate(identity.trust_root).public_key())
    click.echo(f"This device is {identity.name} and sends to {identity.broker_host}:{identity.broker_port}.")
    click.echo(f"Authority: {fingerprint}. See that `pomona server init` showed the same on the server.")


@sync.command("status")
@home_option
def status(home: Path) -> None:
    """Say how much waits to be sent.

    \b
    Example:
      pomona sync status
    """
    with opened_store(home) as store:
        state = store.outbox.state(health=False)
    since = f", the oldest since {state.oldest:%Y-%m-%d %H:%M} UTC" if state.oldest else ""
    click.echo(f"{state.waiting} records wait{since}; {state.rejected} were refused.")


@sync.command("thumbnails")
@click.argument("switch", required=False, type=click.Choice(("on", "off")))
@home_option
def thumbnails(switch: str | None, home: Path) -> None:
    """Send a small picture, 20 kB at most, of each photo imported from now on, or none; without a word, say which.

    All other records go first.

    \b
    Example:
      pomona sync thumbnails off
    """
    from device.thumbnails import thumbnails_wanted, want_thumbnails

    with opened_store(home) as store:
        if switch is not None:
            want_thumbnails(store, wanted=switch == "on")
        wanted = thumbnails_wanted(store)
    click.echo(f"Photos imported from now on are sent {'with a' if wanted else 'without their'} small picture.")


@sync.command("metered")
@click.argument("answer", required=False, type=click.Choice(("yes", "no", "auto")))
@home_option
def metered(answer: Literal["yes", "no", "auto"] | None, home: Path) -> None:
    """Spare a link that is paid for by the byte, or do not, or ask NetworkManager; without a word, say which.

    Over a metered link records are sent in larger batches, every five minutes, and small pictures wait for another
    link. It counts from the next `pomona sync` on.

    \b
    Example:
      pomona sync metered yes
    """
    from device.link import read_metered, write_metered

    with opened_store(home) as store:
        if answer is not None:
            write_metered(store, answer)
        known = read_metered(store)
    said = {
        "yes": "The link is metered: small pictures wait.",
        "no": "The link is not metered: everything is sent.",
        "auto": "NetworkManager is asked whether the link is metered.",
    }
    click.echo(said[known])


@sync.command("replay")
@home_option
def replay(home: Path) -> None:
    """Offer refused records to the server again, for instance after it was upgraded.

    \b
    Example:
      pomona sync replay
    """
    with opened_store(home) as store:
        number = store.outbox.replay_rejected()
    click.echo(f"{number} refused records wait to be sent again.")


@sync.command("documents")
@home_option
def documents(home: Path) -> None:
    """Show what the server has given this device: registry, sampling plans, season files, prior, releases.

    \b
    Example:
      pomona sync documents
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from device.documents.shelf import shelved

    with opened_store(home) as store:
        items = shelved(store)
    if not items:
        click.echo("The server has announced no documents yet.")
        return
    table = Table("kind", "about", "version", "size", "state")
    for item in items:
        notice = item.notice
        state = f"{item.state}: {item.reason}" if item.reason else item.state
        table.add_row(notice.kind, Text(notice.name), str(notice.version), f"{notice.size_bytes:,} B", Text(state))
    Console().print(table)
