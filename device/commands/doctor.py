"""``pomona doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.commands.common import home_option, inbox_option

if TYPE_CHECKING:
    from device.doctor import Finding

_STYLES = {"bad": "bold red", "note": "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@inbox_option
@home_option
def doctor(as_json: bool, inbox: Path | None, home: Path) -> int:
    """Look at this device: records, connection, disk, temperature, power, clock; and say what to do.

    Exit code 1 when something needs somebody now. The same goes to the server while `pomona sync` runs.

    \b
    Examples:
      pomona doctor
      pomona doctor --json
    """
    from device.doctor import examine

    health, findings = examine(home, inbox)
    troubles = [trouble for finding in findings for trouble in finding.troubles]
    if as_json:
        values = {
            "health": health.model_dump(mode="json", exclude_none=True),
            "findings": [{"name": finding.name, "told": finding.told} for finding in findings],
            "troubles": [vars(trouble) for trouble in troubles],
        }
        click.echo(json.dumps(values, ensure_ascii=False))
    else:
        _print(findings)
        number = len(troubles)
        click.echo("Nothing is wrong." if not troubles else f"{number} thing{'s' if number > 1 else ''} to look after.")
    return int(any(trouble.level == "bad" for trouble in troubles))


def _print(findings: list[Finding]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for finding in findings:
        table.add_row(finding.name, Text(finding.told))
        for trouble in finding.troubles:
            mark = "! " if trouble.level == "bad" else ""
            table.add_row("", Text(f"{mark}{trouble.text}: {trouble.remedy}", _STYLES[trouble.level]))
    Console().print(table)
