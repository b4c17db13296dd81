"""``pomona server release``: the repository that devices install models from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud_sync.server.options import FOLDER

if TYPE_CHECKING:
    from cloud_sync.server.releases.repository import ReleaseRepository

_KEYS = click.option(
    "--keys",
    "offline_keys",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with the keys of root and targets, such as one on a stick.  [default: in the server's folder]",
)
_PASSPHRASE = "POMONA_RELEASE_PASSPHRASE"  # noqa: S105  (the name of a variable)


@click.group()
def release() -> None:
    """Release models to devices: only what passed the gate, signed so that a device takes nothing else.

    \b
    Examples:
      pomona server release init --folder pomona-server
      pomona server release add bundles/yolo-a --decision decision.json --folder pomona-server
    """


@release.command("init")
@_KEYS
@click.option(
    "--encrypt", is_flag=True, help="Ask for a pass phrase, and encrypt the keys of root and targets with it."
)
@FOLDER
def init(offline_keys: Path | None, encrypt: bool, folder: Path) -> None:
    """Make the repository of releases and its keys.

    Devices that enrol from now on trust it, and those enrolled before when they next hear from the server.

    \b
    Example:
      pomona server release init --keys /media/stick/pomona --encrypt --folder pomona-server
    """
    repository = _repository(folder, offline_keys)
    asked = repository.keys.pass_phrase
    repository.make(_new_pass_phrase() if encrypt and asked is not None else None)
    click.echo(f"releases lie in {repository.folder}; serve or copy that folder, its keys are not in it.")
    click.echo(f"Root: {_fingerprint(repository.newest_root())}. Devices show the same.")
    if offline_keys is None and not encrypt:
        click.echo(f"All keys lie in {repository.keys.online}. To release by hand only, move root.key and targets.key")
        click.echo("elsewhere and name their folder with --keys.")


@release.command("add")
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.option("--decision", type=click.Path(path_type=Path, dir_okay=False), help="Record of the gate's decision.")
@click.option("--ungated", metavar="REASON", help="Release without the gate; the reason is kept for all to see.")
@_KEYS
@FOLDER
def add(bundle: Path, decision: Path | None, ungated: str | None, offline_keys: Path | None, folder: Path) -> None:
    """Release the model bundle in folder BUNDLE.

    It needs the record of a decision in which the gate let it pass, or a reason to do without. Tell devices of it with
    `pomona server publish release NAME`, or let them ask: pomona models install.

    \b
    Examples:
      pomona server release add apyieldnet-1.1.0 --decision releases/decisions/....json
      pomona server release add bundles/yolo-a --ungated "the first release: nothing to compare with"
    """
    from cloud_sync.server.releases.releasing import read_decision
    from cloud_sync.server.releases.releasing import release as release_bundle

    judged = None if decision is None else read_decision(decision)
    made = release_bundle(_repository(folder, offline_keys), bundle, judged, ungated)
    click.echo(f"{made.name} is released, {made.size_bytes:,} bytes.")
    click.echo(f"Tell devices: pomona server publish release {made.name} --folder {folder}")


@release.command("withdraw")
@click.argument("name")
@_KEYS
@FOLDER
def withdraw(name: str, offline_keys: Path | None, folder: Path) -> None:
    """Release NAME no longer; devices that have it keep it.

    \b
    Example:
      pomona server release withdraw yolo-a-1.1.0 --folder pomona-server
    """
    from cloud_sync.server.releases.releasing import withdraw as withdraw_release

    withdraw_release(_repository(folder, offline_keys), name)
    click.echo(f"{name} is released no longer.")


@release.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@FOLDER
def list_(as_json: bool, folder: Path) -> None:
    """Show what is released, and by which decision.

    \b
    Example:
      pomona server release list --folder pomona-server
    """
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from cloud_sync.server.releases.releasing import releases

    found = releases(_repository(folder, None))
    if as_json:
        plain = [
            {**item.told, "name": item.name, "size_bytes": item.size_bytes, "sha256": item.sha256} for item in found
        ]
        click.echo(json.dumps(plain, ensure_ascii=False, indent=2))
        return
    name = Column("release", overflow="fold")  # whole, for `pomona server publish release` asks for it
    table = Table(name, "task", "for", "bytes", "released", "because")
    for item in found:
        told = item.told
        because = told["decision"]["reason"] if told["decision"] else f"without the gate: {told['ungated']}"
        cells = (item.name, told["task"], f"{told['crop']}, {told['region']}", f"{item.size_bytes:,}")
        table.add_row(*map(Text, (*cells, told["released_at"][:10], because)))
    Console().print(table)


@release.command("keys")
@click.option("--rotate", type=click.Choice(("root", "targets", "snapshot", "timestamp")), help="Give it a new key.")
@_KEYS
@FOLDER
def keys(rotate: str | None, offline_keys: Path | None, folder: Path) -> None:
    """Show what signs releases and until when, or give one part a new key.

    Devices follow by themselves: a new root is signed with its former key as well. A key that may be known to others is
    rotated at once; the former one then signs nothing that a device takes.

    \b
    Example:
      pomona server release keys --rotate targets --folder pomona-server
    """
    from rich.console import Console
    from rich.table import Table

    repository = _repository(folder, offline_keys)
    if rotate is not None:
        click.echo(f"{rotate} has a new key, {repository.rotate(rotate)}.")
    table = Table("role", "until", "key")
    ids = repository.key_ids()
    for role, ends in repository.expiries().items():
        table.add_row(role, f"{ends:%Y-%m-%d}", ids[role][:16])
    Console().print(table)
    click.echo(f"Root: {_fingerprint(repository.newest_root())}")


@release.command("renew")
@click.option("--offline", is_flag=True, help="Root and targets too; their keys are asked for.")
@_KEYS
@FOLDER
def renew(offline: bool, offline_keys: Path | None, folder: Path) -> None:
    """Sign for another 30 days that the releases are the newest, as a running server does by itself.

    Once that time is over devices install nothing, since somebody could be holding news back; they go on with what
    they have.

    \b
    Example:
      pomona server release renew --folder pomona-server
    """
    repository = _repository(folder, offline_keys)
    repository.renew(offline=offline)
    for role, ends in repository.expiries().items():
        click.echo(f"{role}: until {ends:%Y-%m-%d}")


def _repository(folder: Path, offline_keys: Path | None) -> ReleaseRepository:
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.releases.releasing import repository_of

    home = ServerFolder(folder)
    home.read_settings()  # says so when this is no server folder
    return repository_of(home, offline_keys, _asking())


def _asking() -> Callable[[], str]:
    """Asks for the pass phrase, once; an environment variable answers where nobody sits."""

    @cache
    def ask() -> str:
        known = os.environ.get(_PASSPHRASE)
        return known if known is not None else str(click.prompt("Pass phrase of the keys", hide_input=True, err=True))

    return ask


def _new_pass_phrase() -> str:
    known = os.environ.get(_PASSPHRASE)
    if known is None:
        known = str(click.prompt("New pass phrase", hide_input=True, confirmation_prompt=True, err=True))
    if len(known) < 8:
        raise click.BadParameter("a pass phrase has 8 characters or more")
    return known


def _fingerprint(root: bytes) -> str:
    from cloud_sync.releases import root_fingerprint

    return root_fingerprint(root)
