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
    default_engines,
    home_option,
    make_counter,
    model_options,
    opened_store,
    progress_bar,
    stop_on_signals,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from device.by_hand import HandCounted
    from device.photo_naming import TreePhoto
    from device.recording import Visit
    from device.sides import Rule
    from device.store import Store
    from device.visits import ImportReport

assert get_args(Stage) == STAGES
_DAY = click.DateTime(["%Y-%m-%d"])
# as device.sides has them, which is imported only to count
SIDES = ("larger", "sum", "one")
_sides_option = click.option(
    "--sides",
    type=click.Choice(SIDES),
    help="How the sides of a tree become one count: the larger, both added up less what they show twice, or one times "
    "what both show for it.  [default: as the visit has it; larger]",
)


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
@_sides_option
@model_options
@home_option
def import_(
    folder: Path,
    block: str,
    stage: str,
    day: datetime | None,
    table: Path | None,
    sampled_area: float | None,
    sides: str | None,
    bundle: Path | None,
    engine: str | None,
    threads: int,
    home: Path,
) -> int:
    """Keep and count the photos in FOLDER and its sub-folders, tree by tree.

    A sub-folder is a tree; photos in FOLDER itself are named after their tree, with the side behind: T07_a.jpg,
    T07_b.jpg. Photos of several days become a visit a day. Stopping it, even by pulling the plug, and starting it
    again counts nothing twice. A photo that cannot be counted, or that counts for another tree or visit, is reported,
    the rest go on, and the exit code is 2. Importing again with other --sides makes the visit's counts anew.

    \b
    Examples:
      pomona visit import photos/ --block B1 --stage ripening
      pomona visit import photos/ --block B1 --stage ripening --sides sum
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
        counter = make_counter(bundle, threads, engine=engine, home=home)
        for on, taken in days.items():
            visited = Visit(found, on, cast("Stage", stage), sampled_area, sides=cast("Rule | None", sides))
            with progress_bar(f"Counting {on}") as progress:
                report = import_photos(store, counter, visited, taken, progress)
            _tell(report, visited)
            _tell_of_sides(store, report, visited)
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


def _tell_of_sides(store: Store, report: ImportReport, visited: Visit) -> None:
    """Said while somebody still stands in the orchard and can photograph the other side."""
    from device.sampled_visits import find_visit
    from device.sides import SUM, SUM_OF_TWO, of_other_sides

    if report.joined_anew:
        click.echo(f"Counts of {_number(report.joined_anew, 'tree')} made anew, by --sides {visited.sides}.")
    if not report.counted and not report.known:
        return
    found = find_visit(store, visited.block, visited.day, visited.stage)
    others = [tree.code for tree in found.trees if tree.sides_rule != SUM_OF_TWO]
    if found.sides == SUM and others:
        warn(f"Note: {of_other_sides(others)}.")


def _number(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


@visit.command("by-hand")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--block", required=True, help="Name of the visited block.")
@click.option("--stage", type=click.Choice(STAGES), help="Growth stage of the visit.")
@click.option("--day", type=_DAY, help="Day of the visit.  [default: the latest]")
@click.option("--remove", multiple=True, metavar="TREE", help="Take back all that was counted by hand on a tree.")
@home_option
def by_hand(
    file: Path | None, block: str, stage: str | None, day: datetime | None, remove: Sequence[str], home: Path
) -> None:
    """Record what was counted by hand on photographed trees, in FILE with the columns tree,by_hand[,own][,both].

    by_hand is all fruit on the tree, hidden ones too: from five trees on it tells how many fruit photos miss, in this
    orchard and in ones like it. own is how many of the fruit counted in its photos are its own and no neighbour's.
    both is how many of its fruit can be seen from both sides, for visits whose --sides are sum or one. Estimates made
    afterwards use them. A number given again replaces the earlier one, and an empty field leaves it.

    \b
    Examples:
      pomona visit by-hand counted.csv --block B1
      pomona visit by-hand --block B1 --remove T07
    """
    from device.by_hand import read_hand_counts, record_hand_counts, remove_hand_counts
    from device.names import clean_name
    from device.orchards import find_block
    from device.sampled_visits import find_visit

    if (file is None) != bool(remove):
        raise click.UsageError("Name a FILE with counts, or take some back with --remove TREE; not both at once.")
    with opened_store(home) as store:
        found = find_block(store, block)
        visited = find_visit(store, found, day.date() if day else None, stage)
        if file is None:
            trees = list(dict.fromkeys(map(clean_name, remove)))
            remove_hand_counts(store, found, visited, trees)
            done, use = f"hand counts of {_number(len(trees), 'tree')} taken back", "do without them"
        else:
            told = read_hand_counts(file)
            for doubt in record_hand_counts(store, found, visited, told):
                warn(f"Note: {doubt}.")
            done, use = _told(told.values()), "use it"
    click.echo(f"{done[0].upper()}{done[1:]} for block {found.name}, {visited.day}, {visited.stage}.")
    click.echo(f"Estimate again to {use}: pomona estimate --block {found.name} --predictions FILE")


def _told(counts: Collection[HandCounted]) -> str:
    """What was told of how many trees."""
    by_hand, own, both = (
        sum(getattr(count, field) is not None for count in counts) for field in ("by_hand", "own", "both")
    )
    parts = [
        f"{_number(by_hand, 'tree')} counted by hand" if by_hand else "",
        f"own fruit told of {_number(own, 'tree')}" if own else "",
        f"fruit seen from both sides told of {_number(both, 'tree')}" if both else "",
    ]
    return ", ".join(filter(None, parts))


@visit.command("review")
@click.argument("tree", required=False)
@click.argument("count", required=False, type=click.IntRange(0))
@click.option("--block", required=True, help="Name of the visited block.")
@click.option("--stage", type=click.Choice(STAGES), help="Growth stage of the visit.")
@click.option("--day", type=_DAY, help="Day of the visit.  [default: the latest]")
@click.option("--reviewer", metavar="NAME", help="Who looked.")
@click.option("--remove", multiple=True, metavar="TREE", help="Let a tree's count follow from its photos again.")
@home_option
def review(
    tree: str | None,
    count: int | None,
    block: str,
    stage: str | None,
    day: datetime | None,
    reviewer: str | None,
    remove: Sequence[str],
    home: Path,
) -> None:
    """Set the COUNT of a TREE to what a person has seen in its photos, or show what was reviewed.

    What a person reviewed replaces the model's count in estimates made afterwards, free of the detector's error; both
    are kept and sent. A count that was set stands whatever its photos show, also those that come later, until another
    is set or it is taken back. Single boxes of a photo are removed and added on its page (pomona page), and the
    tree's count then follows from its photos. All fruit on the tree itself, hidden ones too: pomona visit by-hand.

    \b
    Examples:
      pomona visit review T07 52 --block B1 --reviewer Li
      pomona visit review --block B1 --remove T07
      pomona visit review --block B1
    """
    from device.hand_factors import review_doubt
    from device.names import clean_name
    from device.orchards import find_block
    from device.reviewing import review_trees, take_back_trees
    from device.sampled_visits import find_visit

    if (tree is None) != (count is None):
        raise click.UsageError("Name a TREE and its COUNT.")
    if remove and (tree is not None or reviewer is not None):
        raise click.UsageError("Set the count of a TREE, or take some back with --remove TREE; not both at once.")
    with opened_store(home) as store:
        found = find_block(store, block)
        visited = find_visit(store, found, day.date() if day else None, stage)
        if tree is not None and count is not None:
            review_trees(store, found, visited, {clean_name(tree): count}, reviewer=reviewer)
            done = f"Tree {clean_name(tree)} counts {count}"
        elif remove:
            trees = list(dict.fromkeys(map(clean_name, remove)))
            take_back_trees(store, found, visited, trees)
            done = f"Counts of {_number(len(trees), 'tree')} taken back"
        else:
            _print_reviews(store, visited.id)
            return
        if doubt := review_doubt(store, find_visit(store, found, visited.day, visited.stage)):
            warn(f"Note: {doubt}.")
    click.echo(f"{done} in block {found.name}, {visited.day}, {visited.stage}.")
    if visited.label == "apple":
        click.echo(f"Estimate again to use it: pomona estimate --block {found.name} --predictions FILE")


def _print_reviews(store: Store, visit: str) -> None:
    """The trees that somebody reviewed, and how many there are."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from device.queries import get_visit, list_trees
    from device.wording import reviewed_words

    found = get_visit(store, visit)
    trees = list_trees(store, found)
    console = Console()
    console.print(f"{found.reviewed} of {_number(found.trees, 'tree')} reviewed, {found.day}, {found.stage}.")
    if not found.reviewed:
        return
    table = Table("tree", "model", "reviewed", "how", box=box.SIMPLE)
    for tree in trees:
        if tree.reviewed is not None:
            table.add_row(Text(tree.tree), str(tree.machine), str(tree.reviewed), Text(reviewed_words(tree)))
    console.print(table)


@visit.command("watch")
@click.argument("inbox", type=click.Path(path_type=Path))
@click.option("--every", default=5.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between looks.")
@click.option("--once", is_flag=True, help="Look once and end.")
@_sides_option
@model_options
@home_option
def watch(
    inbox: Path,
    every: float,
    once: bool,
    sides: str | None,
    bundle: Path | None,
    engine: str | None,
    threads: int,
    home: Path,
) -> None:
    """Count photos as they arrive in INBOX/BLOCK/STAGE/TREE/, and move them to INBOX/.done or INBOX/.failed.

    \b
    Example:
      pomona visit watch /var/lib/pomona/inbox
    """
    from device.releases.counting import LastingCounter
    from device.watching import InboxWatcher

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with opened_store(home, create=True) as store:  # it may be started before the first block is registered
        counter = LastingCounter(
            lambda: make_counter(bundle, threads, engine=engine, home=home), home, default_engines()
        )
        watcher = InboxWatcher(store, counter(), inbox, cast("Rule | None", sides), counter)
        stop = stop_on_signals()
        if once:
            watcher.look(stop, settled_after_s=0)
        else:
            click.echo(f"Watching {inbox}.")
            watcher.run(stop, every)
