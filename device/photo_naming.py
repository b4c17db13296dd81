"""Which tree a photo shows: by its sub-folder, by its file name, or by a CSV."""

from __future__ import annotations

import csv
import re
from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from device.errors import InputError

_SIDES = "a|b|left|right|front|back|north|east|south|west"
_TREE_AND_SIDE = re.compile(rf"(?P<tree>.+?)[_\- ](?P<side>{_SIDES})", flags=re.IGNORECASE)
_SIDE = re.compile(_SIDES, flags=re.IGNORECASE)
ONLY_SIDE = "a"


@dataclass(frozen=True)
class TreePhoto:
    """A photo file and what it shows.

    Attributes:
        path: the file.
        tree: code of the tree.
        side: side of the tree.
    """

    path: Path
    tree: str
    side: str


def name_trees(folder: Path, photos: Iterable[Path]) -> list[TreePhoto]:
    """Name trees by the first sub-folder, or where photos lie in the folder itself by the file name.

    A name that ends in ``_a``, ``_b``, ``-left`` and the like also gives the side, in a sub-folder also ``left`` alone;
    without one it is side a.
    """
    named = []
    for path in photos:
        inside = path.relative_to(folder)
        match = _TREE_AND_SIDE.fullmatch(path.stem)
        side = match["side"].lower() if match else ONLY_SIDE
        tree = match["tree"] if match else path.stem
        if len(inside.parts) > 1:
            tree = inside.parts[0]
            side = path.stem.lower() if _SIDE.fullmatch(path.stem) else side
        named.append(TreePhoto(path, tree, side))
    return named


def name_trees_by_csv(folder: Path, photos: Iterable[Path], table: Path) -> list[TreePhoto]:
    """Name trees by a CSV with the columns ``photo``, ``tree`` and optionally ``side``.

    Args:
        folder: the photos' folder; ``photo`` is a path inside it or a bare file name.
        photos: the photos to name.
        table: the CSV.

    Raises:
        InputError: the CSV cannot be read, lacks a column, or does not say of a photo, or of which of several of one
            name, what it shows.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"photo", "tree"} - set(reader.fieldnames or ())
            if missing:
                raise InputError(
                    f"{table} lacks the column {' and '.join(sorted(missing))}; expected photo,tree[,side]"
                )
            rows = {row["photo"].strip(): row for row in reader if row["photo"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as CSV: {error}") from error
    paths = list(photos)
    namesakes = Tally(path.name for path in paths)
    named = []
    for path in paths:
        inside = path.relative_to(folder)
        row = rows.get(str(inside))
        if row is None and path.name in rows and namesakes[path.name] > 1:
            raise InputError(f"{table}: there are several {path.name}; write each with its folder, as {inside}")
        row = row or rows.get(path.name)
        if row is None or not (row["tree"] or "").strip():
            raise InputError(f"{table} does not say which tree {inside} shows; add a line for it")
        side = (row.get("side") or "").strip() or ONLY_SIDE
        named.append(TreePhoto(path, row["tree"].strip(), side))
    return named
