"""``pomona visit``."""

from __future__ import annotations

import logging
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import click

from cloud_sync.messages import STAGES, Stage
from device.commands.block import AREA
from device.commands.common import (
    home_option,
    make_counter,
    model_options,
    opened_store,
    progress_bar,
    stop_on_signals,
    warn,
)

if TYPE_CHECKING:
    from device.photo_naming import TreePhoto
    from device.recording import Visit
    from device.visits import ImportReport

assert get_args(Stage) == STAGES
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def visit() -> None:
    """Bring photos of sampled trees into a visit."""


@visit.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--block", required=True, help="Name of the visited block.")
@click.option("--stage", required=True, type=click.Choice(STAGES), help="Growth stage.")
@click.option("--day", type=_DAY, help="Day of the visit.  [default: the day each photo was taken]")
@click.option(
    "--trees",
    "table",
    type=click.Path(path_type=Path),
    help="CSV with the columns photo,tree[,side].  [default: sub-folders, else file names, name the trees]",
)
@click.option("--sampled-area", type=AREA, help="Ground area of the sampled trees.  [default: by planting density]")
@model_options
@home_option
def import_(
    folder: Path,
    block: str,
    stage: str,
    day: datetime | None,
    table: Path | None,
    sampled_area: float | None,
    bundle: Path | None,
    engine: str | None,
    threads: int,
    home: Path,
) -> int:
    """Keep and count the photos in FOLDER and its sub-folders, tree by tree.

    A sub-folder is a tree; photos in FOLDER itself are named after their tree, with the side behind: T07_a.jpg,
    T07_b.jpg. Photos of several days become a visit a day. Stopping it, even by pulling the plug, and starting it
    again counts nothing twice. A photo that cannot be counted, or that counts for another tree or visit, is reported,
    the rest go on, and the exit code is 2.

    \b
    Examples:
      pomona visit import photos/ --block B1 --stage ripening
      pomona visit import /media/card --block B1 --stage flowering --trees trees.csv
    """
    from device.orchards import find_block
    from device.recording import Visit
    from device.visits import by_day, import_photos

    all_counted = True
    with opened_store(home) as store:
        found = find_block(store, block)
        photos = _named_photos(folder, table)
        days = {day.date(): photos} if day else by_day(photos)
        if sampled_area is not None:
            _require_one_visit(list(days))
        counter = make_counter(bundle, threads, engine=engine)
        for on, taken in days.items():
            visited = Visit(found, on, cast("Stage", stage), sampled_area)
            with progress_bar(f"Counting {on}") as progress:
                report = import_photos(store, counter, visited, taken, progress)
            _tell(report, visited)
            all_counted = all_counted and not report.failed and not report.elsewhere
    return 0 if all_counted else 2


def _named_photos(folder: Path, table: Path | None) -> list[TreePhoto]:
    from device.errors import InputError
    from device.photo_naming import name_trees, name_trees_by_csv
    from export.runtime.photos import find_photos

    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is no folder; name the folder that holds the photos")
    paths = list(find_photos([folder]))
    return name_trees(folder, paths) if table is None else name_trees_by_csv(folder, paths, table)


def _require_one_visit(days: list[date]) -> None:
    from device.errors import InputError

    if len(days) > 1:
        raise InputError(
            f"--sampled-area is that of one visit, and the photos were taken on {len(days)} days "
            f"({', '.join(map(str, days))}); import the photos of each day from a folder of their own"
        )


def _tell(report: ImportReport, visited: Visit) -> None:
    counted = f"{_number(report.counted, 'photo')} counted"
    if report.counted:
        counted = f"{_number(report.counted, 'photo')} of {_number(len(report.trees), 'tree')} counted"
    click.echo(
        f"{counted} for block {visited.block.name}, {visited.day}, {visited.stage}; {report.known} already known."
    )
    for path, where in report.elsewhere:
        warn(f"Error: {path}: {where}")
    for failure in report.failed:
        named = str(failure.path) in failure.reason
        warn(f"Error: {failure.reason}" if named else f"Error: {failure.path}: {failure.reason}")


def _number(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


@visit.command("by-hand")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--block", required=True, help="Name of the visited block.")
@click.option("--stage", type=click.Choice(STAGES), help="Growth stage of the visit.")
@click.option("--day", type=_DAY, help="Day of the visit.  [default: the latest]")
@home_option
def by_hand(file: Path, block: str, stage: str | None, day: datetime | None, home: Path) -> None:
    """Record what was counted by hand on photographed trees, in FILE with the columns tree,by_hand[,own].

    by_hand is all fruit on the tree, hidden ones too: from five trees on it tells how many fruit photos miss, in this
    orchard and in ones like it. own is how many of the fruit counted in its photos are its own and no neighbour's.
    Estimates made afterwards use both.

    \b
    Example:
      pomona visit by-hand counted.csv --block B1
    """
    from device.by_hand import read_hand_counts, record_hand_counts
    from device.orchards import find_block
    from device.sampled_visits import find_visit

    with opened_store(home) as store:
        found = find_block(store, block)
        visited = find_visit(store, found, day.date() if day else None, stage)
        told = read_hand_counts(file)
        record_hand_counts(store, found, visited, told)
    counted = sum(count.by_hand is not None for count in told.values())
    of = _number(counted or len(told), "tree")
    done = f"{of} counted by hand" if counted else f"own fruit told of {of}"
    click.echo(f"{done} for block {found.name}, {visited.day}, {visited.stage}.")
    click.echo(f"Estimate again to use it: pomona estimate --block {found.name} --predictions FILE")


@visit.command("watch")
@click.argument("inbox", type=click.Path(path_type=Path))
@click.option("--every", default=5.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between looks.")
@click.option("--once", is_flag=True, help="Look once and end.")
@model_options
@home_option
def watch(
    inbox: Path, every: float, once: bool, bundle: Path | None, engine: str | None, threads: int, home: Path
) -> None:
    """Count photos as they arrive in INBOX/BLOCK/STAGE/TREE/, and move them to INBOX/.done or INBOX/.failed.

    \b
    Example:
      pomona visit watch /var/lib/pomona/inbox
    """
    from device.watching import InboxWatcher

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with opened_store(home, create=True) as store:  # it may be started before the first block is registered
        watcher = InboxWatcher(store, make_counter(bundle, threads, engine=engine), inbox)
        stop = stop_on_signals()
        if once:
            watcher.look(stop, settled_after_s=0)
        else:
            click.echo(f"Watching {inbox}.")
            watcher.run(stop, every)
