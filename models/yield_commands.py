"""``pomona train apyieldnet`` and ``pomona yields``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from models.yields.runs import YieldRun, YieldTraining
    from models.yields.table import YieldTable

_MODELS = (
    "lasso",
    "ridge",
    "multiple-linear",
    "plsr",
    "lstm",
    "gru",
    "bilstm",
    "boosted-trees",
    "county-effects",
    "county-mean",
    "last-year",
    "apyieldnet",
    "apyieldnet-on-county-effects",
)


@click.command("apyieldnet")
@click.option(
    "--table",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Yield table, as pomona yields table makes it.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run; resumed if begun.",
)
@click.option(
    "--model",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", *_MODELS]),
    metavar="NAME",
    help="What is fitted in the end; auto takes the lowest error on years left out.",
)
@click.option(
    "--compare",
    multiple=True,
    type=click.Choice(_MODELS),
    metavar="NAME",
    help=f"Compare this model; may be given again: {', '.join(_MODELS)}.  [default: all]",
)
@click.option(
    "--trials",
    default=8,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Settings that each search tries, the same number for every model.",
)
@click.option(
    "--members", default=3, show_default=True, type=click.IntRange(1, 20), help="Networks in a network's mean."
)
@click.option(
    "--augment",
    default="off",
    show_default=True,
    type=click.Choice(["off", "noise", "mixup", "tvae"]),
    help="Rows that APYieldNet learns from besides; each includes the ones before it.",
)
@click.option(
    "--protocol",
    default="strict",
    show_default=True,
    type=click.Choice(["strict", "paper"]),
    help="paper: add rows first, then divide, so that near-copies say when to stop.",
)
@click.option("--in-season", is_flag=True, help="Fit models for seasons that have only begun, too.")
@click.option("--licence", default="AGPL-3.0-or-later", show_default=True, help="Licence of the weights (SPDX).")
@click.option("--attribution", multiple=True, help="Whom the data's licence asks to name; may be given again.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes.")
def train_apyieldnet(
    table: Path,
    out: Path,
    model: str,
    compare: tuple[str, ...],
    trials: int,
    members: int,
    augment: Any,
    protocol: Any,
    in_season: bool,
    licence: str,
    attribution: tuple[str, ...],
    seed: int,
    jobs: int,
) -> None:
    """Train a yield model on a table of seasons and yields, beside the models that a sceptic would ask for.

    Every model predicts each year from the others, with the same search; the one with the lowest error is then fitted
    to all years. Stop it any time and start it again to go on.

    \b
    Example:
      pomona train apyieldnet --table table.parquet --out runs/yields --in-season
    """
    from models.yields.lineup import MODELS
    from models.yields.run_page import write_run_page
    from models.yields.runs import MODEL_FOLDER, YieldTraining, rows_to_train_on, train_yields

    training = YieldTraining(
        table=table,
        output=out,
        model=model,
        compare=compare or tuple(MODELS),
        trials=trials,
        members=members,
        added=augment,
        protocol=protocol,
        in_season=in_season,
        licence=licence,
        attribution=attribution,
        seed=seed,
        jobs=jobs,
    )
    _show_table(rows_to_train_on(table))
    with _progress() as tell:
        run = train_yields(training, tell)
    page = write_run_page(out, run, _settings(training))
    _show_run(run)
    click.echo(f"model: {out / MODEL_FOLDER}")
    click.echo(f"results: {page}")


def _settings(training: YieldTraining) -> dict[str, Any]:
    names = ("table", "model", "compare", "trials", "members", "added", "protocol", "in_season", "seed", "commit")
    return {name: getattr(training, name) for name in names}


def _show_table(table: YieldTable) -> None:
    from models.yields.season_features import SEASON_FEATURES

    years = table.years
    orchards = int((table.orchard != "").sum())
    of_orchards = f", {orchards} of them of orchards" if orchards else ""
    click.echo(
        f"{table.crop}, {table.region}: {len(table)} yields{of_orchards}; {len(table.counties)} counties, "
        f"{len(years)} years from {years[0]} to {years[-1]}; {len(table.features)} features in "
        f"{len(table.months)} months; {table.yield_kg_per_ha.mean():,.0f} kg/ha on average"
    )
    if len(years) < 5:
        click.echo(f"{len(years)} years are few: what is found on them may be chance.")
    held = {feature.name for feature in SEASON_FEATURES}
    if lacking := [feature.name for feature in table.features if feature.name not in held]:
        click.echo(
            f"A device's season file has no {', '.join(lacking[:5])}: a model that needs them cannot predict there."
        )


def _show_run(run: YieldRun) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from models.yields.lineup import MODELS
    from models.yields.run_page import HEADER, comparison_rows, in_season_rows

    console = Console(width=None if sys.stdout.isatty() else 140)

    def show(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        table = Table(title=title, title_justify="left", box=box.SIMPLE)
        for place, name in enumerate(header):
            table.add_column(name, justify="right" if place else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)

    show("Years left out", HEADER, comparison_rows(run))
    if run.in_season:
        show("In season", ("known", "RMSE kg/ha", "R²", "inside %"), in_season_rows(run))
    for name in run.passed_over:
        click.echo(f"{MODELS[name]} has a lower error, but cannot run on a device.")
    season = run.fitted.seasons[0]
    click.echo(f"{season.candidate}, fitted to all years; 90 % interval ± {season.half_width_kg_per_ha:,.0f} kg/ha")


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal; a line for each step in a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield lambda done, total, step: click.echo(f"{done}/{total} {step}", err=True)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")
        yield lambda done, total, step: progress.update(task, completed=done, total=total, description=step)


@click.group()
def yields() -> None:
    """Make and show tables of seasons and yields."""


@yields.command("simulate")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File of the table.")
@click.option("--counties", default=24, show_default=True, type=click.IntRange(2, 500))
@click.option("--first-year", default=2016, show_default=True, type=click.IntRange(1950, 2100))
@click.option("--years", default=10, show_default=True, type=click.IntRange(3, 60))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Another draws other counties.")
def simulate(out: Path, counties: int, first_year: int, years: int, seed: int) -> None:
    """Write a table of counties that do not exist, with seasons as they could be and yields that follow from them.

    \b
    Example:
      pomona yields simulate --out simulated.parquet
    """
    from models.yields.simulated import Simulation, simulate_counties
    from models.yields.table_file import write_table

    drawn = simulate_counties(Simulation(counties, first_year, years, seed))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_table(drawn, out)
    click.echo(f"{out}: {len(drawn)} simulated yields of {counties} counties in {years} years")


@yields.command("show")
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
def show(table: Path) -> None:
    """Check a table and say what it holds.

    \b
    Example:
      pomona yields show table.parquet
    """
    from models.yields.runs import rows_to_train_on

    _show_table(rows_to_train_on(table))
