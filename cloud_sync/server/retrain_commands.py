"""``pomona server retrain``: models that have learned from what devices observed."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from cloud_sync.server.options import DATABASE, FOLDER, opened_database


@click.group()
def retrain() -> None:
    """Train a model anew with what devices have observed, and release it if it is better.

    Example: pomona server retrain apyieldnet --table counties.parquet --folder pomona-server
    """


@retrain.command("apyieldnet")
@click.option(
    "--table",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Yield table of the statistics, as pomona yields table makes it.",
)
@click.option(
    "--evaluation-year",
    "evaluation_years",
    multiple=True,
    type=int,
    metavar="YEAR",
    help="Judge models on this year of the table; needed the first time, frozen then; may be given again.",
)
@click.option(
    "--champion",
    type=click.Path(path_type=Path, file_okay=False),
    help="Bundle in use, where none of its kind is released yet.",
)
@click.option("--model", metavar="NAME", help="Model to train, as for pomona train apyieldnet.  [default: as in use]")
@click.option("--name", metavar="NAME", help="Name of the bundle.  [default: that of the one in use]")
@click.option("--trials", default=8, show_default=True, type=click.IntRange(1, 1000), help="Settings to try.")
@click.option(
    "--members", default=3, show_default=True, type=click.IntRange(1, 20), help="Networks in a network's mean."
)
@click.option("--without", multiple=True, metavar="DEVICE", help="Leave this device's labels out; may be given again.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@FOLDER
@DATABASE
def apyieldnet(
    table: Path,
    evaluation_years: tuple[int, ...],
    champion: Path | None,
    model: str | None,
    name: str | None,
    trials: int,
    members: int,
    without: tuple[str, ...],
    seed: int,
    folder: Path,
    database: str | None,
) -> None:
    """Learn yields from the statistics and from the orchards that devices have counted.

    The challenger and the model in use predict the same frozen rows, of which neither has learned. The challenger is
    released only if the gate finds it better; the decision is kept either way.

    \b
    Example:
      pomona server retrain apyieldnet --table table.parquet --evaluation-year 2024 --evaluation-year 2025 \\
        --champion export/bundles/apple-yield-simulated --folder pomona-server
    """
    from cloud_sync.server.folder import ServerFolder
    from cloud_sync.server.retraining.yields import Retraining
    from cloud_sync.server.retraining.yields import retrain as run

    asked = Retraining(table, evaluation_years, champion, model, name, trials, members, without, seed)
    home = ServerFolder(folder)
    with opened_database(home, database) as opened:
        done = run(home, opened, asked, click.echo, datetime.now(timezone.utc).year)
    click.echo(f"{done.decision.challenger} against {done.decision.champion}: {done.decision.reason}")
    click.echo(f"decision: {done.record}")
    if done.released is None:
        click.echo("Not released; the model in use stays.")
        return
    click.echo(f"{done.released.name} is released, {done.released.size_bytes:,} bytes.")
    click.echo(f"Tell devices: pomona server publish release {done.released.name} --folder {folder}")
