"""``pomona plan``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from cloud_sync.messages import STAGES, Stage
from device.commands.common import home_option, opened_store, warn

if TYPE_CHECKING:
    from device.planning.plan import Plan

    _ParamType = click.ParamType[float]
else:  # click 8.3 has no type parameter here
    _ParamType = click.ParamType


class _Share(_ParamType):
    """A share as 10% or 0.1; a plain 10 could mean either and is asked about."""

    name = "SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*", str(value))
        if match is None or (not match[2] and float(match[1]) >= 1):
            self.fail(f"{value!r} is no share; write it like 10% or 0.1", param, ctx)
        return float(match[1]) / (100 if match[2] else 1)


_SHARE = _Share()


@click.command()
@click.option("--block", required=True, help="Name of the block to visit.")
@click.option(
    "--precision",
    default="10%",
    show_default=True,
    type=_SHARE,
    help="Half width of the interval of the mean per tree.",
)
@click.option(
    "--confidence",
    default="95%",
    show_default=True,
    type=_SHARE,
    help="How often such intervals hold the truth.",
)
@click.option("--rows", metavar="ROWS", help="Rows of the block: 28x60 for 28 rows of 60 trees, 60,58,61, or 28.")
@click.option(
    "--trees",
    type=click.Path(path_type=Path),
    help="CSV or GeoJSON of all trees: tree, or row and position; latitude, longitude, vigour.",
)
@click.option(
    "--number",
    type=click.IntRange(2),
    help="Photograph so many trees, or a few more where so many would keep step with the rows, and say what they can "
    "promise.",
)
@click.option("--cv", type=_SHARE, help="Spread between trees, standard deviation / mean.  [default: as seen before]")
@click.option(
    "--design",
    type=click.Choice(("systematic", "spread-out", "stratified")),
    help="How trees are chosen.  [default: stratified where vigour or past counts are known, else systematic]",
)
@click.option(
    "--allocation",
    type=click.Choice(("proportional", "neyman")),
    help="How trees are divided among strata.  [default: neyman where the spread inside strata is known]",
)
@click.option(
    "--stage", type=click.Choice(STAGES), help="Growth stage of the visit; flowers differ otherwise than fruit."
)
@click.option("--seed", type=click.IntRange(0), help="Another seed chooses other trees.  [default: the block's own]")
@click.option("--sent", is_flag=True, help="Show the plan that the server has sent for the block.")
@click.option("--map", "map_path", type=click.Path(path_type=Path), help="Also write the chosen trees as GeoJSON.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object with the walk tree by tree.")
@home_option
def plan(
    block: str,
    precision: float,
    confidence: float,
    rows: str | None,
    trees: Path | None,
    number: int | None,
    cv: float | None,
    design: str | None,
    allocation: str | None,
    stage: str | None,
    seed: int | None,
    sent: bool,
    map_path: Path | None,
    as_json: bool,
    home: Path,
) -> None:
    """Plan a visit: how many trees to photograph for a promised precision, and which.

    The number follows from how much trees differed in earlier visits, or in other orchards, and is enough in nine of
    ten draws. The promise is of what choosing trees costs; fruit no photo shows and the fruit's weight come on top.

    \b
    Examples:
      pomona plan --block B1 --precision 10% --rows 28x60
      pomona plan --block B1 --trees trees.geojson --map walk.geojson
    """
    from calibration.plan import Promise
    from device.orchards import find_block
    from device.planning.plan import Wishes, make_plan
    from device.planning.walk import plan_as_dict
    from device.recording import LABEL_OF_STAGE

    label = LABEL_OF_STAGE[cast("Stage", stage)] if stage else "apple"
    wishes = Wishes(Promise(precision, confidence), trees, rows, number, cv, design, allocation, seed, label)
    if sent:
        _print_sent(home, block)
        return
    with opened_store(home) as store:
        made = make_plan(store, find_block(store, block), wishes)
    if map_path is not None:
        _write_map(made, map_path)
    if as_json:
        click.echo(json.dumps(plan_as_dict(made), ensure_ascii=False, indent=2))
    else:
        _print(made)


def _print_sent(home: Path, block: str) -> None:
    from device.documents.applying import read_plan
    from device.documents.shelf import in_use
    from device.errors import InputError
    from device.orchards import find_block

    with opened_store(home) as store:
        found = find_block(store, block)
        file = in_use(store, "plan", f"{found.orchard}/{found.name}")
        if file is None:
            raise InputError(f"the server has sent no plan for block {found.name}; make one without --sent")
        plan = read_plan(file)
    click.echo(f"{found.orchard}, block {found.name}: {len(plan.walk):,} trees, chosen by the server ({plan.design})\n")
    width = shutil.get_terminal_size((80, 24)).columns
    click.echo(_wrapped("  ".join(tree.tree.replace(" ", "\N{NO-BREAK SPACE}") for tree in plan.walk), width))
    for note in plan.notes:
        click.echo(_wrapped(f"Note: {note}", width))


def _write_map(made: Plan, path: Path) -> None:
    from cloud_sync.files import write_whole
    from device.errors import InputError
    from device.planning.walk import plan_as_geojson

    content, missing = plan_as_geojson(made)
    try:
        write_whole(path, content)
    except OSError as error:
        raise InputError(
            f"map {path} cannot be written: {error.strerror}; name a file in a folder that is there"
        ) from error
    if missing:
        warn(f"Note: {missing} of the chosen trees have no known place and are not on the map.")


def _print(made: Plan) -> None:
    """Narrow enough for a phone over ssh and for paper."""
    from device.planning.walk import WIDTH, design_words, percent, promise_words, strata_lines, walk_lines

    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    spread = made.draw.spread
    click.echo(f"{made.block.orchard}, block {made.block.name}: {len(made.walk):,} of {len(made.trees):,} trees\n")
    lines = [("promise", promise_words(made)), ("spread", f"{percent(spread.cv)}, {spread.source}")]
    lines += [("choice", design_words(made)), *(("", line) for line in strata_lines(made))]
    for name, value in lines:
        click.echo(_wrapped(value, width, f"  {name:9}"))
    click.echo()
    for line in walk_lines(made, width):
        click.echo(line)
    click.echo()
    if made.trees.names_follow_rows:
        click.echo(_wrapped(f"Name the photos of a tree after it, as in {made.trees.codes[made.walk[0]]}.", width))
    for note in made.notes:
        click.echo(_wrapped(f"Note: {note}", width))


def _wrapped(text: str, width: int, head: str = "") -> str:
    import textwrap

    return textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head))
