"""``pomona harvest`` and ``pomona season``."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.commands.common import bundle_option, home_option, opened_store

if TYPE_CHECKING:
    from device.seasons.season import Season


@click.command()
@click.option("--block", required=True, help="Name of the picked block.")
@click.option("--weight-kg", required=True, type=float, metavar="KG", help="Weight picked; 0 takes the day back.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Day of the picking.  [default: today]")
@click.option(
    "--trees",
    type=int,
    metavar="N",
    help="Number of trees it came from, where only they were picked and weighed.  [default: the block's]",
)
@click.option("--fruit-weight", type=float, metavar="GRAMS", help="Mean weight of a fruit, where some were weighed.")
@home_option
def harvest(
    block: str, weight_kg: float, day: datetime | None, trees: int | None, fruit_weight: float | None, home: Path
) -> None:
    """Record what was weighed of a block on a day of picking; the days of a season are added up.

    Entering a day again replaces it. The harvest tells how good the season's forecasts were, and its lessons make the
    next season's better: pomona season. It is sent to the server.

    \b
    Examples:
      pomona harvest --block B1 --weight-kg 20400 --day 2026-09-18
      pomona harvest --block B1 --weight-kg 1250 --trees 40 --fruit-weight 187
    """
    from device.orchards import find_block
    from device.seasons.harvests import Picking, record_picking, season_harvest

    picked = _today() if day is None else day.date()
    with opened_store(home) as store:
        found = find_block(store, block)
        record_picking(store, found, Picking(picked, weight_kg, trees, fruit_weight))
        weighed = season_harvest(store, found, picked.year)
    if weighed is None:
        click.echo(f"Nothing is weighed of block {found.name} in {picked.year}.")
        return
    days = len(weighed.pickings)
    click.echo(
        f"{weighed.weight_kg:,.0f} kg weighed of block {found.name} in {picked.year} on {days} day{'s' * (days > 1)}: "
        f"{weighed.result.kg_per_tree:,.1f} kg a tree."
    )


def _today() -> date:
    from cloud_sync import clock
    from device.errors import InputError

    if not clock.is_synchronised():
        raise InputError("this device's clock is not known to be right; give the day of the picking with --day")
    return clock.now().astimezone().date()


@click.command()
@click.option("--block", required=True, help="Name of the block.")
@click.option("--season", "year", type=int, metavar="YEAR", help="Year of its harvest.  [default: the latest]")
@click.option("--json", "as_json", is_flag=True, help="A JSON object with each visit's forecast and score.")
@bundle_option
@home_option
def season(block: str, year: int | None, as_json: bool, bundle: Path | None, home: Path) -> None:
    """Foretell the harvest from flowers and young fruit, corrected with every later visit, and score it when weighed.

    Each line is a forecast from the visit of that day and those before. Fruit set, drop and fruit weight are assumed
    at first; the block's own harvests (pomona harvest) teach better ones.

    \b
    Examples:
      pomona season --block B1
      pomona season --block B1 --season 2025 --json
    """
    from device.orchards import find_block
    from device.seasons.season import follow_season
    from device.seasons.telling import season_as_dict

    with opened_store(home) as store:
        followed = follow_season(store, find_block(store, block), year, bundle)
    if as_json:
        click.echo(json.dumps(season_as_dict(followed), ensure_ascii=False, indent=2))
    else:
        _print(followed)


def _print(followed: Season) -> None:
    """Narrow enough for a phone over ssh; names are people's own, so nothing in them is markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from device.seasons.telling import interval_note, rate_rows, rates_title, season_lines, season_unit, visit_row

    console = Console()
    console.print(Text(f"{followed.block.orchard}, block {followed.block.name}, season {followed.year}", style="bold"))
    scored = followed.harvest is not None
    if followed.foretold:
        visits = Table("visit", box=box.SIMPLE, pad_edge=False)  # 80 columns hold it
        foretold = f"{season_unit(followed.block)} foretold"
        for name in ("counted\na tree", foretold, *(("error", "in\nrange") if scored else ())):
            visits.add_column(name, justify="right", no_wrap=True)
        for told in followed.foretold:
            visits.add_row(*visit_row(followed.block, told))
        console.print(visits)
    lines = Table.grid(padding=(0, 2))
    for name, words in season_lines(followed):
        lines.add_row(Text(f"  {name}", style="dim"), Text(words))
    console.print(lines)
    console.print(f"\n{rates_title(followed)}", highlight=False)
    rates = Table("", "taken", box=box.SIMPLE)
    if followed.learned is not None:
        rates.add_column("next season")
    for row in rate_rows(followed):
        rates.add_row(*row)
    console.print(rates)
    notes = (interval_note(), *followed.notes) if followed.foretold else followed.notes
    for note in notes:
        console.print(Text.assemble(("Note: ", "yellow"), note))
