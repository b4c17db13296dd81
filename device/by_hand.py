"""What people counted and weighed by hand: fruit on trees, the target tree's own fruit in a photo, fruit on a scale."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.fruit_weight import weighed_sample
from calibration.shared_factors import SharedFactor
from device.errors import InputError, unreadable
from device.names import clean_name
from device.orchards import Block
from device.recording import Visit, record_hand_count
from device.sampled_visits import SampledVisit
from device.store import Store

_MOST = 1_000_000


@dataclass(frozen=True)
class HandCounted:
    """What a person counted on one tree; None where not.

    Attributes:
        by_hand: all its fruit, hidden ones too.
        own: fruit of the count of its photos that is its own.
    """

    by_hand: int | None
    own: int | None


def read_hand_counts(path: Path) -> dict[str, HandCounted]:
    """Read what was counted by hand, by code of the tree.

    Args:
        path: a CSV with the columns ``tree`` and ``by_hand``, ``own`` or both.

    Raises:
        InputError: the file cannot be read, lacks a column, or a line has no tree, one named before, or a number that
            is no count.
    """
    told: dict[str, HandCounted] = {}
    for where, row in _rows(path, {"tree"}, "tree,by_hand[,own]"):
        tree = clean_name(row["tree"])
        if not tree or tree in told:
            raise InputError(f"{where}: {'no tree is named' if not tree else f'tree {tree} is named before'}; mend it")
        told[tree] = HandCounted(_count(where, row, "by_hand"), _count(where, row, "own"))
    if not any(count.by_hand is not None or count.own is not None for count in told.values()):
        raise InputError(f"{path} says nothing of any tree; expected the columns tree,by_hand[,own]")
    return told


def record_hand_counts(store: Store, block: Block, visit: SampledVisit, told: Mapping[str, HandCounted]) -> None:
    """Record hand counts of trees that were photographed at a visit: all of them or, where one is wrong, none.

    Raises:
        InputError: a tree was not photographed, or has more own fruit than were counted in its photos.
    """
    recorded = Visit(block, visit.day, visit.stage)
    with store.change():  # before anything is read: an import may be counting the same trees anew
        counts = _tree_counts(store, visit)
        for tree, count in told.items():
            _check_tree(block, visit, tree, count, counts)
            record_hand_count(store, recorded, counts[tree], count.by_hand, count.own)


def _tree_counts(store: Store, visit: SampledVisit) -> dict[str, dict[str, Any]]:
    """Rows of a visit's counts by the code of their tree."""
    rows = store.db.query(
        "SELECT tree_count.*, tree.code FROM tree_count JOIN tree ON tree.id = tree_count.tree "
        "WHERE visit = ? AND label = ?",
        [visit.id, visit.label],
    )
    return {row["code"]: row for row in rows}


def _check_tree(
    block: Block, visit: SampledVisit, tree: str, count: HandCounted, counts: Mapping[str, dict[str, Any]]
) -> None:
    if tree not in counts:
        raise InputError(
            f"tree {tree} of block {block.name} has no photo of {visit.day}; import it, or correct the tree's code "
            f"(photographed were {', '.join(sorted(counts)[:5])}{', …' if len(counts) > 5 else ''})"
        )
    standing = counts[tree]["machine"] if counts[tree]["reviewed"] is None else counts[tree]["reviewed"]
    if count.own is not None and count.own > standing:
        raise InputError(
            f"tree {tree} has {count.own} own fruit, and {standing} were counted in its photos; look again which "
            "of the counted fruit are its own"
        )


def read_weighed_sample(path: Path) -> SharedFactor:
    """Single fruit weight from fruit on a scale.

    Args:
        path: a CSV with the column ``weight_g`` and, where known, ``tree``.

    Raises:
        InputError: the file cannot be read, lacks the column, or holds something else than numbers.
        CalibrationError: fewer than two fruit, or a weight that is not above zero.
    """
    weights, trees = [], []
    for where, row in _rows(path, {"weight_g"}, "weight_g[,tree]"):
        try:
            weights.append(float(row["weight_g"]))
        except ValueError:
            raise InputError(f"{where}: weight_g is {row['weight_g']!r}; write a number of grams") from None
        trees.append(clean_name(row.get("tree") or ""))
    if any(trees) and not all(trees):
        raise InputError(f"{path} names the tree of some fruit and not of others; name it for all, or for none")
    return weighed_sample(weights, trees if any(trees) else None)


def _rows(path: Path, needed: set[str], expected: str) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            if missing := needed - set(reader.fieldnames or ()):
                raise InputError(f"{path} lacks the column {', '.join(sorted(missing))}; expected {expected}")
            for row in reader:
                yield f"{path}, line {reader.line_num}", {name: value or "" for name, value in row.items() if name}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(str(path), error) from error


def _count(where: str, row: Mapping[str, str], field: str) -> int | None:
    text = (row.get(field) or "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer() or not 0 <= number <= _MOST:
        raise InputError(f"{where}: {field} is {text!r}; write a whole number, or leave it empty where nobody counted")
    return int(number)
