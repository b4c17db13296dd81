"""``pomona models install``, ``activate`` and ``rollback``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.commands.common import default_engines, home_option, opened_store, warn

if TYPE_CHECKING:
    from device.releases.installing import Installed
    from device.store import Store

# as export.runtime.opening has them, which is imported only where it is needed
_TASK = click.argument("task", default="detection")


@click.command()
@click.argument("source", required=False)
@click.option(
    "--release", "name", help="Name and version of one release.  [default: the newest that fits, of each task]"
)
@click.option("--task", help="Only releases of this task, such as detection.")
@click.option("--any-region", is_flag=True, help="Take a yield model of another region than the orchards'.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Root of the releases to trust from now on; only where enrolment brought none. Compare the fingerprint.",
)
@home_option
def install(
    source: str | None, name: str | None, task: str | None, any_region: bool, root: Path | None, home: Path
) -> None:
    """Install the models that SOURCE has released: a folder, or an https:// address; without, this device's server.

    Nothing is believed that is not signed by whom this device trusts, is older than what was seen before, or has ended.
    A model that does not fit the orchard, or fails when it is tried, is refused. The one before stays, and comes back
    by `pomona models rollback`, or by itself where the new one does not start. Older ones that counted nothing are
    deleted.

    \b
    Examples:
      pomona models install
      pomona models install /media/stick/releases --root /media/stick/releases/metadata/1.root.json
    """
    from device.releases.installing import Wanted
    from device.releases.installing import install as install_releases
    from device.releases.source import open_source
    from device.releases.trust import trust_root

    found = open_source(home, source)
    with opened_store(home, create=True) as store:
        if root is not None:
            click.echo(f"Root: {trust_root(home, root)}. See that the server shows the same.")
        with _telling() as say:
            done = install_releases(store, found, Wanted(name, task, any_region), say)
        for item in done:
            _tell(item)
        for item in done:
            if item.anew and item.task == "detection":
                _build_engine(store, item)


@click.command()
@click.argument("bundle")
@home_option
def activate(bundle: str, home: Path) -> None:
    """Make an installed BUNDLE serve, by its name as `pomona models list` shows it.

    \b
    Example:
      pomona models activate yolo-a-light-1.1.0+0123456789ab
    """
    from device.errors import InputError
    from device.releases.active import activate as activate_bundle
    from device.releases.active import installed
    from export.runtime.self_test import try_bundle

    with opened_store(home) as store:
        known = {item.identity: item for item in installed(store)}
        if bundle not in known:
            raise InputError(f"no bundle {bundle} is installed; there are {', '.join(known) or 'none'}")
        try_bundle(known[bundle].folder)
        active = activate_bundle(store, known[bundle].manifest.task, bundle, "activated by hand")
    click.echo(f"{active.bundle} serves for {active.task} now.")


@click.command()
@_TASK
@home_option
def rollback(task: str, home: Path) -> None:
    """Go back to the model that served before for TASK, detection where it is not named.

    \b
    Example:
      pomona models rollback
    """
    from device.releases.active import roll_back

    with opened_store(home) as store:
        active = roll_back(store, task)
    click.echo(f"{active.bundle or 'What comes with Pomona'} serves for {task} again.")


def _tell(item: Installed) -> None:
    before = item.previous or "what comes with Pomona"
    if item.anew:
        click.echo(f"{item.identity} is installed and serves for {item.task} from now on, in place of {before}.")
    else:
        click.echo(f"{item.identity} is the newest for {item.task}, and served before.")


def _build_engine(store: Store, item: Installed) -> None:
    """Build the TensorRT engine where there is TensorRT; the former engine counts meanwhile."""
    from device.releases.active import folder_of
    from export.runtime.bundle import open_bundle
    from export.runtime.errors import BundleError, EngineError, MissingPartError
    from export.runtime.gpu import tensorrt_is_installed
    from export.runtime.tensorrt_build import BuildSettings, build_engine

    if not tensorrt_is_installed():
        return
    click.echo("Building its TensorRT engine; what counted before goes on until it is done.")
    try:
        build_engine(open_bundle(folder_of(store, item.identity)), default_engines(), BuildSettings())
    except (BundleError, EngineError, MissingPartError, OSError) as error:
        warn(f"Its TensorRT engine was not built: {error}. Build it later: pomona models build")


@contextlib.contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Says each step on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update
