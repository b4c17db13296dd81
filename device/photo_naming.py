"""Which tree a photo shows: by its sub-folder, by its file name, or by a CSV."""

from __future__ import annotations

import csv
import re
from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from device.errors import InputError, unreadable
from device.names import clean_name

_SIDES = "a|b|left|right|front|back|north|east|south|west"
_TREE_AND_SIDE = re.compile(rf"(?P<tree>.+?)[_\- ](?P<side>{_SIDES})", flags=re.IGNORECASE)
_SIDE = re.compile(_SIDES, flags=re.IGNORECASE)
ONLY_SIDE = "a"
# the folders that cameras make by themselves (DCF), such as DCIM and 100CANON
_CAMERA_FOLDER = re.compile(r"DCIM|\d{3}[A-Z0-9_]{5}")


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

    Raises:
        InputError: a sub-folder is one that cameras make, so that all trees on a card would become one.
    """
    named = []
    for path in photos:
        inside = path.relative_to(folder)
        stem = clean_name(path.stem)
        match = _TREE_AND_SIDE.fullmatch(stem)
        side = match["side"].lower() if match else ONLY_SIDE
        tree = match["tree"] if match else stem
        if len(inside.parts) > 1:
            tree = clean_name(inside.parts[0])
            if _CAMERA_FOLDER.fullmatch(tree):
                raise InputError(
                    f"{folder / inside.parts[0]} is a camera's folder and names no tree; put the photos of each tree "
                    "into a folder with its name, or name the files after their trees (T07_a.jpg), or say with --trees "
                    "in a CSV which tree each photo shows"
                )
            side = stem.lower() if _SIDE.fullmatch(stem) else side
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
            rows = {clean_name(row["photo"]): row for row in reader if row["photo"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(str(table), error) from error
    paths = list(photos)
    namesakes = Tally(clean_name(path.name) for path in paths)
    named = []
    for path in paths:
        inside, name = path.relative_to(folder), clean_name(path.name)
        row = rows.get(clean_name(str(inside)))
        if row is None and name in rows and namesakes[name] > 1:
            raise InputError(f"{table}: there are several {name}; write each with its folder, as {inside}")
        row = row or rows.get(name)
        tree = clean_name(row["tree"] or "") if row else ""
        if row is None or not tree:
            raise InputError(f"{table} does not say which tree {inside} shows; add a line for it")
        named.append(TreePhoto(path, tree, clean_name(row.get("side") or "") or ONLY_SIDE))
    return named
