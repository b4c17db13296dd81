"""The root of the command line: maps each command to its folder's ``cli.py`` and imports that only when it is used."""

from __future__ import annotations

import importlib
import io
import sys
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class _Entry:
    module: str
    extra: str
    help: str
    attribute: str = ""  # where the command's own name is no good name in Python


_COMMANDS: dict[str, _Entry] = {
    "block": _Entry("device.cli", "device", "Register blocks of an orchard."),
    "count": _Entry("device.cli", "device", "Count apples and blossoms in photos."),
    "decode": _Entry("cloud_sync.cli", "device", "Print what messages on the wire say."),
    "demo": _Entry("device.cli", "device", "Run the whole loop on this machine."),
    "doctor": _Entry("device.cli", "device", "Look at this device and say what to do."),
    "earth": _Entry("models.earth.cli", "earth", "Make composites and season files of satellite scenes."),
    "estimate": _Entry("device.cli", "device", "Correct the orchard's predicted yield by a visit's counts."),
    "evaluate": _Entry("export.cli", "device", "Measure a model bundle on labelled data."),
    "export": _Entry("export.cli", "train", "Make a model bundle of a trained network."),
    "harvest": _Entry("device.cli", "device", "Record a weighed harvest."),
    "map": _Entry("models.orchards.cli", "earth", "Map orchards, crops and yields.", "map_"),
    "models": _Entry("device.cli", "device", "Show the models of this device, build engines, take over a prior."),
    "page": _Entry("device.cli", "device", "Serve the pages for phone and desktop."),
    "plan": _Entry("device.cli", "device", "Plan a visit: how many trees to photograph, and which."),
    "satellite": _Entry("device.cli", "device", "Show what the satellite saw where sampled trees stand."),
    "season": _Entry("device.cli", "device", "Foretell a block's harvest from flowers and young fruit."),
    "server": _Entry("cloud_sync.server.cli", "server", "Run the backend and enrol devices."),
    "simulate": _Entry("device.cli", "device", "Draw virtual orchards with known fruit."),
    "summary": _Entry("device.cli", "device", "Show the manager's table."),
    "sync": _Entry("device.cli", "device", "Send records to the server."),
    "train": _Entry("models.cli", "train", "Train a network."),
    "yields": _Entry("models.cli", "train", "Make tables of seasons and yields."),
    "visit": _Entry("device.cli", "device", "Bring photos of sampled trees into a visit."),
}


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        try:
            command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute or cmd_name)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"'pomona {cmd_name}' needs {error.name}, which is not installed here: "
                f"pip install '.[{entry.extra}]' in Pomona's folder"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in sorted(_COMMANDS.items())])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pomona-orchard", prog_name="pomona")
def cli() -> None:
    """Count apples and blossoms in tree photos, correct the orchard's predicted yield on site, sync the counts.

    Start with: pomona demo
    """


def main() -> None:
    """Run the command line; wrong input ends with exit code 2, a failure with 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name in another encoding must not stop a batch
    sys.exit(_run())


def _run() -> int:
    try:
        result = cli.main(prog_name="pomona", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return 130
    except Exception as error:
        # our own errors say how the program ends; anything else is a mistake in the code and keeps its traceback
        exit_code = getattr(error, "exit_code", None)
        if exit_code is None:
            raise
        click.echo(f"Error: {error}", err=True)
        return int(exit_code)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
