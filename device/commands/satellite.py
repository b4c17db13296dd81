"""``pomona satellite``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.commands.common import home_option, opened_store
from device.feature_words import WEATHER

if TYPE_CHECKING:
    from device.season_cells import CellMeans, SeasonCells
    from device.store import Store

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@click.command()
@click.option("--block", help="Name of the block whose sampled trees are looked at.  [default: the whole orchard]")
@click.option(
    "--at",
    "places",
    nargs=2,
    type=float,
    multiple=True,
    metavar="LAT LON",
    help="A place in degrees, instead of the block's trees; give several for their mean.",
)
@click.option(
    "--season-file", "file", type=click.Path(path_type=Path), help="Season file.  [default: the one the server sent]"
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object.")
@home_option
def satellite(
    block: str | None, places: tuple[tuple[float, float], ...], file: Path | None, as_json: bool, home: Path
) -> None:
    """Show what the satellite saw, and the weather, where sampled trees stand: the mean of their cells in each month.

    A month in which too few of the cells were clear is shown as -, and a yield model refuses it.

    \b
    Examples:
      pomona satellite --block B1
      pomona satellite --season-file season-2026.json --at 34.5810 105.7200
    """
    from device.documents.applying import read_season_cells
    from device.errors import InputError

    if block is None and file is None:
        raise InputError("name a block whose orchard's season file the server sent, or a file with --season-file")
    if block is None:
        assert file is not None
        cells = read_season_cells(file, str(file))
        means = cells.at_trees("-", _named(places)) if places else cells.of_orchard()
    else:
        with opened_store(home) as store:
            cells, means = _of_block(store, block, file, _named(places))
    if as_json:
        click.echo(json.dumps(_as_dict(cells, means), ensure_ascii=False))
    else:
        _print(cells, means)


def _named(places: tuple[tuple[float, float], ...]) -> dict[str, tuple[float | None, float | None]]:
    return {str(number): place for number, place in enumerate(places, start=1)}


def _of_block(
    store: Store, name: str, file: Path | None, places: dict[str, tuple[float | None, float | None]]
) -> tuple[SeasonCells, CellMeans]:
    from device.documents.applying import read_season_cells, sent_season
    from device.orchards import find_block
    from device.sampled_visits import find_visit

    block = find_block(store, name)
    cells = sent_season(store, block.orchard) if file is None else read_season_cells(file, str(file))
    return cells, cells.at_trees(block.name, places or find_visit(store, block).places)


def _as_dict(cells: SeasonCells, means: CellMeans) -> dict[str, object]:
    def plain(values: list[float]) -> list[float | None]:
        return [None if math.isnan(value) else float(f"{value:.6g}") for value in values]

    return {
        "source": means.source,
        "months": means.months,
        "clear_share": plain(means.clear_share.tolist()),
        "values": {
            name: {"unit": cells.units[name], "values": plain(values.tolist())} for name, values in means.values.items()
        },
    }


def _print(cells: SeasonCells, means: CellMeans) -> None:
    """Eighty columns hold seven months."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(f"{means.source}: {means.what}", style="bold"))
    table = Table("", box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for month in means.months:
        table.add_column(_MONTHS[month - 1], justify="right", no_wrap=True)
    table.add_row("clear, %", *(_figure(100 * share) for share in means.clear_share))
    for name, values in means.values.items():
        label, factor, zero = WEATHER.get(name, (name, 1.0, 0.0))
        table.add_row(Text(label), *(_figure(factor * (value - zero)) for value in values))
    console.print(table)
    if cells.days:
        console.print(f"{len(cells.days)} acquisitions from {cells.days[0]} to {cells.days[-1]}", highlight=False)


def _figure(value: float) -> str:
    """Three figures, - where there is none."""
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
