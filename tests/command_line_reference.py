"""Writes docs/reference/command-line.md from the commands' own help: ``python -m tests.command_line_reference``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from pomona import cli

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
_HEAD = """# Command line

Errors go to stderr with what is wrong and what to do. Exit codes: 0 done, 1 a failure, 2 wrong input. Long work shows
progress on a terminal and stays quiet in a pipe.

<!-- written by python -m tests.command_line_reference -->
"""


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Context, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, parent=context, info_name=name, terminal_width=100, max_content_width=100)
        yield inner, command
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def reference() -> str:
    """The page's text."""
    root = click.Context(cli, info_name="pomona", **cli.context_settings)
    parts = [
        f"\n## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n"
        for context, command in _commands(cli, root)
    ]
    return _HEAD + "".join(parts)


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
