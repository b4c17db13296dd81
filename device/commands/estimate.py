"""``pomona estimate`` and ``pomona summary``."""

from __future__ import annotations

import csv
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud_sync.messages import STAGES
from device.commands.common import bundle_option, home_option, opened_store, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.orchard_summary import OrchardView
    from device.orchards import Block
    from device.queries import BlockSummary, ModelView, VisitSummary, YieldView
    from device.store import Store

# as device.visit_designs and device.sitings have them, which are imported only to estimate
DESIGNS = ("random", "systematic", "vigour", "row")
SITINGS = ("orchard", "block", "area", "hand-picked")


@click.command()
@click.option("--block", required=True, help="Name of the visited block.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Predicted yields: a season file, or a CSV or JSON with the orchard's and the sampling area's.  "
    "[default: the season file that the server has sent]",
)
@click.option(
    "--yield-model",
    type=click.Path(path_type=Path),
    help="Bundle that predicts from the season file.  [default: the active one, or one that comes with Pomona]",
)
@click.option("--any-region", is_flag=True, help="Take a model of another region; the estimate says so.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Day of the visit.  [default: the latest]")
@click.option("--stage", type=click.Choice(STAGES), help="Growth stage of the visit.")
@click.option("--fruit-weight", type=float, metavar="GRAMS", help="Single fruit weight in g.  [default: the block's]")
@click.option(
    "--weighed",
    type=click.Path(path_type=Path),
    help="CSV with the column weight_g[,tree]: fruit on a scale, in place of one weight.",
)
@click.option(
    "--siting",
    type=click.Choice(SITINGS),
    default="block",
    show_default=True,
    help="Where the trees were taken from: all of the orchard, all of the block, one area of it, or an area picked by "
    "hand because it looked good.",
)
@click.option(
    "--design",
    type=click.Choice(DESIGNS),
    default="random",
    show_default=True,
    help="How they were chosen there: at random, every so many trees on a walk along the rows, or at random in "
    "classes of vigour or in rows; vigour and row need two trees in every class or row.",
)
@click.option(
    "--trees",
    "listed",
    type=click.Path(path_type=Path),
    help="CSV or GeoJSON of all trees of the block, as for pomona plan; classes of vigour and rows need it.",
)
@bundle_option
@home_option
def estimate(
    block: str,
    predictions: Path | None,
    yield_model: Path | None,
    any_region: bool,
    day: datetime | None,
    stage: str | None,
    fruit_weight: float | None,
    weighed: Path | None,
    siting: str,
    design: str,
    listed: Path | None,
    bundle: Path | None,
    home: Path,
) -> None:
    """Correct the orchard's predicted yield by what was counted on the sampled trees.

    The correction factor is the yield observed on the sampling area over the yield predicted for it; the orchard's
    predicted yield is multiplied by it. The interval holds which trees were sampled, fruit weight, the detector's
    bias, hidden fruit as far as trees were counted by hand (pomona visit by-hand), and how much the satellite's
    error differs between areas. The estimate is kept and sent to the server.

    A season file that has no predictions yet is predicted from here, by the yield model on this device; it asks for the
    orchard's region, county and the county's planted area (pomona block add).

    \b
    Examples:
      pomona estimate --block B1 --predictions predictions.csv
      pomona estimate --block B1 --predictions season.json --siting block --design systematic --weighed fruit.csv
      pomona estimate --block B1 --predictions season.json --yield-model gansu-apples
    where predictions.csv is
      area,predicted_yield,unit
      orchard,1346.87,kg/mu
      sampling_area,1302.08,kg/mu
    """
    from device.estimates import Choices
    from device.estimates import estimate as make_estimate
    from device.model_predictions import predictions_for
    from device.orchards import find_block
    from device.queries import get_visit
    from device.sampled_visits import find_visit
    from device.yield_bundles import ModelChoice

    with opened_store(home) as store:
        found = find_block(store, block)
        visit = find_visit(store, found, day.date() if day else None, stage)
        predicted = predictions_for(store, found, visit, predictions, ModelChoice(yield_model, any_region))
        choices = Choices(fruit_weight, weighed, design, listed, siting, bundle)
        make_estimate(store, found, visit, predicted, choices)
        made = get_visit(store, visit.id)
        print_visit(made)
        if made.estimate is not None:
            _print_components(made.estimate)
        _print_pooled(store, found, visit.id)


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON object with the orchards of several blocks and the blocks."
)
@click.option(
    "--csv",
    "as_csv",
    is_flag=True,
    help="CSV, a line for each block, then one without a block for each orchard of several.",
)
@home_option
def summary(as_json: bool, as_csv: bool, home: Path) -> None:
    """Show each block's latest visit, counts and corrected yield, and orchards of several blocks as a whole.

    Where enough blocks of a season were estimated, they choose how blocks that nobody visited are corrected: by a
    proportion, a constant or a power of the prediction.

    \b
    Examples:
      pomona summary
      pomona summary --csv > summary.csv
    """
    from device.orchard_summary import summarise_orchards
    from device.queries import summaries_as_dict, summarise

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other; choose one.")
    with opened_store(home) as store:
        summaries, orchards = summarise(store), summarise_orchards(store)
    if as_json:
        click.echo(json.dumps(summaries_as_dict(summaries, orchards), ensure_ascii=False, indent=2))
    elif as_csv:
        _print_csv(summaries, orchards)
    else:
        print_summary(summaries)
        _print_orchards(orchards)


_CORRECTED = ("corrected", "corrected_low", "corrected_high")
_ESTIMATED = (
    "observed",
    "predicted_area",
    "correction_factor",
    "correction_factor_low",
    "correction_factor_high",
    "predicted_orchard",
    "block_yield",
    "block_yield_low",
    "block_yield_high",
    *_CORRECTED,
)
_MODEL = ("model", "months", "pictures", "last_picture", "model_half_width", "like_training")
_CSV_COLUMNS = (
    "orchard",
    "block",
    "day",
    "stage",
    "trees",
    "photos",
    "fruit",
    "fruit_per_tree",
    "reviewed",
    "unit",
    *_ESTIMATED,
    *_MODEL,
    "notes",
)


def _print_csv(summaries: Sequence[BlockSummary], orchards: Sequence[OrchardView]) -> None:
    from device.wording import warnings_of

    writer = csv.DictWriter(sys.stdout, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for item in summaries:
        row: dict[str, object] = {"orchard": item.block.orchard, "block": item.block.name}
        if (visit := item.latest) is not None:
            row |= {name: getattr(visit, name) for name in ("day", "stage", "trees", "photos", "fruit", "reviewed")}
            row["fruit_per_tree"] = f"{visit.fruit_per_tree:.2f}"
            if (view := visit.estimate) is not None:
                row["unit"] = view.unit
                row["notes"] = "; ".join(warnings_of(visit))
                row |= {name: _csv_number(getattr(view, name)) for name in _ESTIMATED}
                row |= _csv_model(view.model)
        writer.writerow(row)
    for orchard in orchards:
        notes = (f"{orchard.visited} of {orchard.blocks} blocks estimated", *orchard.notes)
        row = {"orchard": orchard.orchard, "unit": orchard.unit, "notes": "; ".join(notes)}
        writer.writerow(row | {name: _csv_number(getattr(orchard, name)) for name in _CORRECTED})


def _csv_model(model: ModelView | None) -> dict[str, object]:
    if model is None:
        return {}
    told = (
        model.bundle,
        " ".join(map(str, model.months)),
        len(model.acquisitions),
        max(model.acquisitions, default=""),
        _csv_number(model.half_width),
        "no" if model.outside else "yes",
    )
    return dict(zip(_MODEL, told, strict=True))


def _csv_number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def print_summary(summaries: Sequence[BlockSummary]) -> None:
    """The manager's table, one block after another."""
    from device.wording import notes_of, summary_lines

    if not summaries:
        click.echo("No block is registered yet. Add one: pomona block add NAME --orchard ORCHARD")
    for number, item in enumerate(summaries):
        if number:
            click.echo()
        _print_table(item.block.orchard, item.block.name, summary_lines(item), notes_of(item.latest))


def print_visit(visit: VisitSummary) -> None:
    """A visit's counts and yields, and what to know before relying on them."""
    from device.wording import notes_of, visit_lines

    _print_table(visit.orchard, visit.block, visit_lines(visit), notes_of(visit))


def _print_components(view: YieldView) -> None:
    """What the interval is made of, the largest error first; its size is one standard deviation."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from device.wording import sd_words

    table = Table(box=box.SIMPLE, title="What makes the range as wide as it is", title_justify="left")
    table.add_column("error")
    table.add_column("size", justify="right")
    table.add_column("share of the range", justify="right")
    table.add_column("where it comes from")
    for error in sorted(view.components, key=lambda error: -error.relative_sd):
        table.add_row(error.name, sd_words(error), f"{error.share * 100:.0f} %", Text(error.choice))
    Console().print(table)


def _print_pooled(store: Store, block: Block, visit: str) -> None:
    """What the block's own trees and other blocks say together; a prior that is no use does not spoil the estimate."""
    from calibration.errors import CalibrationError
    from device.errors import InputError
    from device.pooled_factor import pool_visit, pooled_lines, pooled_title

    try:
        found = pool_visit(store, block, visit)
    except (InputError, CalibrationError) as error:
        warn(f"Note: other blocks were not drawn in: {error}")
        return
    if found is not None:
        _print_table(pooled_title(found).capitalize(), None, pooled_lines(block, found), found.notes)


def _print_orchards(orchards: Sequence[OrchardView]) -> None:
    from device.wording import orchard_lines

    for view in orchards:
        click.echo()
        _print_table(view.orchard, None, orchard_lines(view), view.notes)


def _print_table(orchard: str, block: str | None, lines: Sequence[tuple[str, str]], notes: Sequence[str]) -> None:
    """Narrow enough for a phone over ssh; names are people's own, so nothing in them is markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(orchard if block is None else f"{orchard}, block {block}", style="bold"))
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in lines:
        table.add_row(name, Text(value))
    console.print(table)
    for note in notes:
        console.print(Text.assemble(("Note: ", "yellow"), note))
