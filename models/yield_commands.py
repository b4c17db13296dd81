"""``pomona train apyieldnet`` and ``pomona yields``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.progress import progress_bar

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


_SETS = ("illinois-soybean", "iowa-corn", "iowa-soybean", "china-wheat", "us-state-apples")


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
@click.option(
    "--hold-out",
    multiple=True,
    type=int,
    metavar="YEAR",
    help="Learn nothing from this year, so that later models can be judged on it; may be given again.",
)
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
    hold_out: tuple[int, ...],
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
    from models.yields.runs import YieldTraining, rows_to_train_on, train_yields

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
        hold_out=tuple(sorted(set(hold_out))),
        licence=licence,
        attribution=attribution,
        seed=seed,
        jobs=jobs,
    )
    _show_table(rows_to_train_on(table, training.hold_out))
    with progress_bar() as told:
        run = train_yields(training, told)
    page = write_run_page(out, run, _settings(training))
    _show_run(run)
    click.echo(f"results: {page}")
    click.echo(f"Next: pomona export apyieldnet --run {out} --out bundle --name my-apples")


def _settings(training: YieldTraining) -> dict[str, Any]:
    names = (
        "table",
        "model",
        "compare",
        "trials",
        "members",
        "added",
        "protocol",
        "in_season",
        "hold_out",
        "seed",
        "commit",
    )
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


@click.group()
def yields() -> None:
    """Make and show tables of seasons and yields."""


@yields.command("table")
@click.option(
    "--statistics",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV with a row a county and year: county, year, yield; area, orchard and source if you have them.",
)
@click.option("--unit", required=True, metavar="UNIT", help="Unit of the yields, such as kg/mu or t/ha.")
@click.option(
    "--season",
    "seasons",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV with a row a county and month, as pomona earth weather writes it; may be given again.",
)
@click.option(
    "--features",
    multiple=True,
    metavar="YEAR=FILE",
    help="Parquet of a year, as pomona earth features --by-month --at writes it; once for each year.",
)
@click.option("--crop", default="apple", show_default=True)
@click.option("--region", required=True, help="Name of the region, such as Gansu.")
@click.option(
    "--area-unit", default="ha", show_default=True, metavar="UNIT", help="Unit of planted areas: ha, mu, acre."
)
@click.option("--first", default=4, show_default=True, type=click.IntRange(1, 12), help="First month of the season.")
@click.option("--last", default=10, show_default=True, type=click.IntRange(1, 12), help="Last month.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COLUMN",
    help="What a column is called in your file, such as yield=Ertrag; may be given again.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File of the table.")
def table_command(
    statistics: Path,
    unit: str,
    seasons: tuple[Path, ...],
    features: tuple[str, ...],
    crop: str,
    region: str,
    area_unit: str,
    first: int,
    last: int,
    columns: tuple[str, ...],
    out: Path,
) -> None:
    """Join a statistics table and what seasons were like into a table to train on.

    \b
    Example:
      pomona yields table --statistics yields.csv --unit kg/mu --season weather.csv \\
        --features 2022=indices-2022.parquet --features 2023=indices-2023.parquet --region Gansu --out table.parquet
    """
    from models.yields.statistics import Statistics, table_of
    from models.yields.table_file import write_table

    if first > last:
        raise click.BadParameter("is after the last month", param_hint="--first")
    given = Statistics(
        yields=statistics,
        seasons=seasons,
        features={_year(year): Path(file) for year, file in _pairs(features, "--features")},
        unit=unit,
        crop=crop,
        region=region,
        area_unit=area_unit,
        months=tuple(range(first, last + 1)),
        columns=dict(_pairs(columns, "--column")),
    )
    table, left_out = table_of(given)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_table(table, out)
    _show_table(table)
    if left_out:
        shown = ", ".join(left_out[:5]) + (", …" if len(left_out) > 5 else "")
        click.echo(f"Left out, because a feature is missing in some month: {len(left_out)} rows ({shown})")
    click.echo(f"table: {out}")


@yields.command("import")
@click.argument("name", metavar="SET", type=click.Choice(_SETS))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File of the table.")
def import_set(name: str, folder: Path, out: Path) -> None:
    """Write a public set, whose files lie in FOLDER, as a table.

    \b
    Example:
      pomona yields import us-state-apples data/apple_state_yield_weather --out states.parquet
    """
    from models.yields import importers
    from models.yields.table_file import write_table

    readers: dict[str, Callable[[Path], YieldTable]] = {
        "illinois-soybean": importers.illinois_soybean,
        "iowa-corn": lambda path: importers.iowa(path, "corn"),
        "iowa-soybean": lambda path: importers.iowa(path, "soybean"),
        "china-wheat": importers.china_wheat,
        "us-state-apples": lambda path: importers.rain_of_states(importers.state_apples(path)),
    }
    table = readers[name](folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_table(table, out)
    _show_table(table)
    click.echo(f"table: {out}")


def _pairs(given: tuple[str, ...], option: str) -> list[tuple[str, str]]:
    pairs = [tuple(text.split("=", 1)) for text in given]
    if bad := [text for text, pair in zip(given, pairs, strict=True) if len(pair) != 2 or not all(pair)]:
        raise click.BadParameter(f"{bad[0]!r} has no '=' between a name and a value", param_hint=option)
    return [(pair[0], pair[1]) for pair in pairs]


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 4):
        raise click.BadParameter(f"{text!r} is no year", param_hint="--features")
    return int(text)


@yields.command("simulate")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File of the table.")
@click.option("--counties", default=24, show_default=True, type=click.IntRange(2, 500))
@click.option("--first-year", default=2016, show_default=True, type=click.IntRange(1990, 2100))
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
