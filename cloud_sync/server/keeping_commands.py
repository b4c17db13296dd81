"""``pomona server dead-letters``, ``prune`` and ``export``: what is refused, what is old, and records for others."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloud_sync.server.options import BROKER, DATABASE, FOLDER, broker_address, opened_database

if TYPE_CHECKING:
    from cloud_sync.server.dead_letters import Choice
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.storing import Reply

_AGE = re.compile(r"([0-9]{1,5})([dh])")


class _Age(click.ParamType[timedelta]):
    """A number of days or hours."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """As the base class."""
        match = _AGE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no age; write 400d for days or 12h for hours", param, ctx)
        number = int(match.group(1))
        return timedelta(days=number) if match.group(2) == "d" else timedelta(hours=number)


_IDS = click.option("--id", "ids", type=int, multiple=True, metavar="N", help="This one, as the list numbers it.")
_DEVICE = click.option("--device", metavar="NAME", help="Those of this device.")
_ALL = click.option("--all", "every", is_flag=True, help="All of them.")


@click.group("dead-letters", invoke_without_command=True)
@FOLDER
@DATABASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with the payload in base64.")
@click.pass_context
def dead_letters(context: click.Context, folder: Path, database: str | None, as_json: bool) -> None:
    """Show messages that were refused, and why.

    Example: pomona server dead-letters --folder pomona-server
    """
    from rich.console import Console
    from sqlalchemy import select

    from cloud_sync.server.database import DeadLetter
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.tables import dead_letter_as_dict, dead_letters_table

    if context.invoked_subcommand is not None:
        return
    with opened_database(ServerFolder(folder), database) as opened, opened.read() as session:
        letters = list(session.scalars(select(DeadLetter).order_by(DeadLetter.id)))
    if as_json:
        for letter in letters:
            click.echo(json.dumps(dead_letter_as_dict(letter), ensure_ascii=False))
    else:
        Console().print(dead_letters_table(letters))


@dead_letters.command()
@_IDS
@_DEVICE
@_ALL
@FOLDER
@DATABASE
@BROKER
def replay(
    ids: tuple[int, ...], device: str | None, every: bool, folder: Path, database: str | None, broker: str | None
) -> None:
    """Store refused messages that this server understands by now, and tell their devices.

    Example: pomona server dead-letters replay --all --folder pomona-server
    """
    from cloud_sync.errors import BrokerError
    from cloud_sync.server.dead_letters import replay as replay_letters
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.tables import printable

    choice = _choice(ids, device, every=every)
    home = ServerFolder(folder)
    address = broker_address(home, broker)
    replies: list[Reply] = []
    done = 0
    reasons: dict[str, int] = {}
    with opened_database(home, database) as opened:
        for replayed in replay_letters(opened, choice):
            replies += replayed.replies
            if replayed.reason is None:
                done += 1
            else:
                reasons[replayed.reason] = reasons.get(replayed.reason, 0) + 1
    click.echo(f"{done} stored now, {sum(reasons.values())} still refused.")
    for reason, number in sorted(reasons.items(), key=lambda item: -item[1])[:10]:
        click.echo(f"  {number} x {printable(reason)}")
    if replies:
        try:
            _tell(home, address, replies)
        except BrokerError as error:
            click.echo(f"The devices are not told: {error} What is stored stays so; they hear it when they send again.")


@dead_letters.command("delete")
@_IDS
@_DEVICE
@_ALL
@FOLDER
@DATABASE
def delete(ids: tuple[int, ...], device: str | None, every: bool, folder: Path, database: str | None) -> None:
    """Throw refused messages away; their devices keep what they sent.

    Example: pomona server dead-letters delete --device kiwi-07 --folder pomona-server
    """
    from cloud_sync.server.dead_letters import throw_away
    from cloud_sync.server.folder import ServerFolder

    choice = _choice(ids, device, every=every)
    with opened_database(ServerFolder(folder), database) as opened:
        click.echo(f"{throw_away(opened, choice)} dead letters deleted.")


@click.command()
@click.option(
    "--older-than", "age", type=_Age(), required=True, metavar="AGE", help="Such as 400d for days or 12h for hours."
)
@click.option(
    "--records",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Delete current records of this type too, such as thumbnail; may be given again.",
)
@click.option("--pretend", is_flag=True, help="Only say how much it would be.")
@FOLDER
@DATABASE
def prune(age: timedelta, types: tuple[str, ...], pretend: bool, folder: Path, database: str | None) -> None:
    """Delete dead letters that are old, and notes of replaced revisions; current records only with --records.

    Give an age above that of the oldest backup a device may be restored from.

    Example: pomona server prune --older-than 400d --folder pomona-server
    """
    from cloud_sync.messages import BODIES
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.pruning import prune as prune_old

    for kind in types:
        if kind not in BODIES:
            raise click.BadParameter(f"{kind!r} is no type of record; they are {', '.join(BODIES)}")
    with opened_database(ServerFolder(folder), database) as opened:
        gone = prune_old(opened, datetime.now(timezone.utc) - age, types, pretend=pretend)
    verb = "would go" if pretend else "deleted"
    click.echo(
        f"{gone.replaced} notes of replaced revisions, {gone.dead_letters} dead letters, {gone.records} records {verb}."
    )


@click.command()
@click.argument("out", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]),
    help="Only records received then (UTC, unless it says) or later.",
)
@FOLDER
@DATABASE
def export(out: Path, since: datetime | None, folder: Path, database: str | None) -> None:
    """Write all records to FOLDER as Parquet files, one a type of record.

    Example: pomona server export records --folder pomona-server
    """
    from cloud_sync.server.errors import MissingPyArrowError
    from cloud_sync.server.folder import ServerFolder

    try:
        from cloud_sync.server.exporting import export as export_records
    except ModuleNotFoundError as error:
        raise MissingPyArrowError(
            "writing Parquet needs PyArrow: pip install '.[parquet]' in Pomona's folder"
        ) from error
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=timezone.utc)
    with opened_database(ServerFolder(folder), database) as opened:
        for written in export_records(opened, out, since):
            note = f"; {written.skipped} of a newer Pomona left out" if written.skipped else ""
            click.echo(f"{written.file}: {written.records} records{note}")


def _choice(ids: tuple[int, ...], device: str | None, *, every: bool) -> Choice:
    from cloud_sync.server.dead_letters import Choice

    if [bool(ids), device is not None, every].count(True) != 1:
        raise click.UsageError("say which: --id N, --device NAME or --all")
    return Choice(ids, device)


def _tell(home: ServerFolder, address: tuple[str, int], replies: list[Reply]) -> None:
    from cloud_sync.identity import Identity
    from cloud_sync.server.telling import tell
    from cloud_sync.topics import server_name

    key, certificate = home.ingest_key(0), home.ingest_certificate(0)
    if not certificate.exists():
        click.echo(f"The devices are not told: run `pomona server init {home.path}` again and restart the broker.")
        return
    tell(Identity(server_name(0), key, certificate, home.root_certificate, *address), replies)
    click.echo(f"{len({device for device, _ in replies})} devices are told.")
