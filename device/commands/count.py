"""``pomona count``."""

from __future__ import annotations

import json
import os
from collections import Counter as Tally
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.commands.common import home_option, make_counter, model_options, progress_bar, warn
from device.errors import InputError

if TYPE_CHECKING:
    from export.runtime.counter import Counter, PhotoCount


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO|FOLDER...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a photo and line.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="List detections from this score on.  [default: the counting threshold]",
)
@click.option("--overlay", type=click.Path(file_okay=False, path_type=Path), help="Draw the counted boxes into DIR.")
@model_options
@home_option
def count(
    paths: Sequence[Path],
    as_json: bool,
    min_score: float | None,
    overlay: Path | None,
    bundle: Path | None,
    engine: str | None,
    threads: int,
    home: Path,
) -> int:
    """Count apples and blossoms in photos and in folders of photos.

    Reads JPEG, PNG and HEIC from 0.3 to 50 megapixels. A photo that cannot be read is reported, the rest go on, and
    the exit code is 2.

    \b
    Examples:
      pomona count tree.jpg
      pomona count photos/ --overlay boxes/
      pomona count photos/ --json --min-score 0.1 > detections.jsonl
    """
    from export.runtime.overlay import require_opencv
    from export.runtime.photos import find_photos

    photos = list(find_photos(paths))
    overlays: dict[Path, Path] = {}
    if overlay is not None:
        require_opencv()
        _make_folder(overlay)
        overlays = name_overlays(overlay, photos)
        _refuse_to_overwrite(photos, overlays)
    counter = make_counter(bundle, threads, min_score, engine, home)
    results: list[tuple[Path, dict[str, int], float]] = []
    failed = 0
    with progress_bar("Counting") as progress:
        for number, path in enumerate(photos, start=1):
            found = _count_one(counter, path, overlays.get(path))
            if found is None:
                failed += 1
            elif as_json:
                click.echo(json.dumps(_as_dict(path, found, counter, min_score or 0.0), ensure_ascii=False))
            else:
                results.append((path, found.counts, found.milliseconds))
            progress(number, len(photos))
    if results:
        _print_table(results)
    if failed:
        warn(f"{failed} of {len(photos)} photos could not be counted.")
    return 2 if failed else 0


def _count_one(counter: Counter, path: Path, overlay: Path | None) -> PhotoCount | None:
    from export.runtime.errors import MissingPartError, PhotoError
    from export.runtime.overlay import write_overlay
    from export.runtime.photos import read_photo

    try:
        photo = read_photo(path, counter.least_side_px)
        found = counter.count(photo)
    except (PhotoError, MissingPartError) as error:
        warn(f"Error: {error}")
        return None
    if overlay is not None:
        try:
            write_overlay(overlay, photo, found)
        except PhotoError as error:  # it shows more than the bundle looked at, and the file is gone
            warn(f"Error: {error}")
            return None
        except OSError as error:
            raise _cannot_write(overlay, error) from error
    return found


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(
        f"overlay {path} cannot be written: {error.strerror or error}; name another folder, or free some space"
    )


def _refuse_to_overwrite(photos: Sequence[Path], overlays: dict[Path, Path]) -> None:
    originals = {path.resolve() for path in photos}
    for target in overlays.values():
        if target.resolve() in originals:
            raise InputError(f"overlay {target} would overwrite the photo itself; name another folder")


def name_overlays(folder: Path, photos: Sequence[Path]) -> dict[Path, Path]:
    """Where each photo's overlay goes: named like the photo, and photos of one name also like their folders."""
    distinct = list(dict.fromkeys(photos))
    stems = Tally(path.stem for path in distinct)
    root = Path(os.path.commonpath([path.absolute().parent for path in distinct]))
    names: dict[Path, Path] = {}
    taken: set[Path] = set()
    for path in distinct:
        whole = "_".join(path.absolute().relative_to(root).with_suffix("").parts)
        name = path.stem if stems[path.stem] == 1 else whole
        target, number = folder / f"{name}.jpg", 1
        while target in taken:
            number += 1
            target = folder / f"{name}_{number}.jpg"
        taken.add(target)
        names[path] = target
    return names


def _as_dict(path: Path, found: PhotoCount, counter: Counter, min_score: float) -> dict[str, Any]:
    listed = found.detections.scores >= min_score
    detections = found.detections.select(listed)
    rows = zip(detections.classes, detections.scores, detections.boxes, found.counted[listed], strict=True)
    return {
        "photo": str(path),
        "counts": found.counts,
        "detections": [
            {
                "label": detections.labels[label],
                "score": round(float(score), 4),
                "box": [round(float(corner), 1) for corner in box],
                "counted": bool(counted),
            }
            for label, score, box, counted in rows
        ],
        "bundle": counter.bundle.identity,
        "engine": counter.engine.name,
        "milliseconds": round(found.milliseconds, 1),
    }


def _print_table(results: Sequence[tuple[Path, dict[str, int], float]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    labels = list(results[0][1])
    table = Table(show_footer=len(results) > 1)
    table.add_column("photo", footer="all", overflow="fold")
    for label in labels:
        total = sum(counts[label] for _, counts, _ in results)
        table.add_column(label.replace("_", " "), footer=str(total), justify="right")
    table.add_column("ms", justify="right")
    for path, counts, milliseconds in results:
        table.add_row(Text(str(path)), *(str(counts[label]) for label in labels), f"{milliseconds:.0f}")
    Console().print(table)
