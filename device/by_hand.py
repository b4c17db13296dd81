"""What people counted and weighed by hand: fruit on trees, a tree's own fruit in its photos, fruit on a scale."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from calibration.fruit_weight import weighed_sample
from calibration.shared_factors import SharedFactor
from device.errors import InputError, unreadable
from device.names import clean_name, some
from device.orchards import Block
from device.recording import Visit, record_hand_count
from device.sampled_visits import SampledVisit
from device.sides import SUM, Rule, count_by_side, counted_photos
from device.store import Store

_MOST = 1_000_000


@dataclass(frozen=True)
class HandCounted:
    """What a person counted on one tree; None where not.

    Attributes:
        by_hand: all its fruit, hidden ones too.
        own: fruit of the count of its photos that is its own.
        both: its fruit that can be seen from both sides.
    """

    by_hand: int | None = None
    own: int | None = None
    both: int | None = None


_FIELDS = tuple(HandCounted.__dataclass_fields__)
_EXPECTED = "tree,by_hand[,own][,both]"


def read_hand_counts(path: Path) -> dict[str, HandCounted]:
    """Read what was counted by hand, by code of the tree.

    Args:
        path: a CSV with the column ``tree`` and at least one of ``by_hand``, ``own`` and ``both``.

    Raises:
        InputError: the file cannot be read, lacks a column, or a line has no tree, one named before, or a number that
            is no count.
    """
    told: dict[str, HandCounted] = {}
    for where, row in _rows(path, {"tree"}, _EXPECTED):
        tree = clean_name(row["tree"])
        if not tree or tree in told:
            raise InputError(f"{where}: {'no tree is named' if not tree else f'tree {tree} is named before'}; mend it")
        told[tree] = HandCounted(**{field: _count(where, row, field) for field in _FIELDS})
    if not any(number is not None for count in told.values() for number in astuple(count)):
        raise InputError(f"{path} says nothing of any tree; expected the columns {_EXPECTED}")
    return told


def record_hand_counts(
    store: Store, block: Block, visit: SampledVisit, told: Mapping[str, HandCounted]
) -> tuple[str, ...]:
    """Record hand counts of trees that were photographed at a visit: all of them or, where one is wrong, none.

    What is None leaves what is known; :func:`remove_hand_counts` takes it back.

    Returns:
        What does not go together and should be looked at again; it is recorded nevertheless.

    Raises:
        InputError: a tree was not photographed, or has more own fruit than were counted in its photos.
    """
    doubts: list[str] = []
    with store.change():
        counts = _counts(store, visit)
        for tree, count in told.items():
            known = _photographed(tree, counts, block, visit)
            if count.own is not None and count.own > _standing(known):
                raise InputError(
                    f"tree {tree} has {count.own} own fruit, and {_standing(known)} were counted in its photos; look "
                    "again which of the counted fruit are its own"
                )
            row = {**known, **{field: number for field, number in asdict(count).items() if number is not None}}
            sides = count_by_side(counted_photos(store, (visit.id, row["tree"]), visit.label))
            doubts += [*_doubts(row, visit.sides), *_doubts_of_both(row, sides)]
            _record(store, block, visit, row)
    return tuple(doubts)


def remove_hand_counts(store: Store, block: Block, visit: SampledVisit, trees: Iterable[str]) -> None:
    """Take back all that was counted by hand on some trees at a visit: of all of them or, where one has none, of none.

    Raises:
        InputError: a tree was not photographed, or nothing was counted on it by hand.
    """
    with store.change():
        counts = _counts(store, visit)
        by_hand = [code for code, row in counts.items() if any(row[field] is not None for field in _FIELDS)]
        for tree in trees:
            row = _photographed(tree, counts, block, visit)
            if tree not in by_hand:
                raise InputError(
                    f"tree {tree} of block {block.name} has nothing counted by hand on {visit.day} to take back "
                    f"({f'counted were {some(by_hand)}' if by_hand else 'no tree of that visit has'})"
                )
            _record(store, block, visit, {**row, **dict.fromkeys(_FIELDS)})


def _counts(store: Store, visit: SampledVisit) -> dict[str, dict[str, Any]]:
    """The rows of a visit's counts by code of the tree."""
    rows = store.db.query(
        "SELECT tree_count.*, tree.code FROM tree_count JOIN tree ON tree.id = tree_count.tree "
        "WHERE visit = ? AND label = ? ORDER BY code",
        [visit.id, visit.label],
    )
    return {row["code"]: row for row in rows}


def _photographed(tree: str, counts: Mapping[str, dict[str, Any]], block: Block, visit: SampledVisit) -> dict[str, Any]:
    if tree not in counts:
        raise InputError(
            f"tree {tree} of block {block.name} has no photo of {visit.day}; import it, or correct the tree's code "
            f"(photographed were {some(list(counts))})"
        )
    return counts[tree]


def _record(store: Store, block: Block, visit: SampledVisit, row: Mapping[str, Any]) -> None:
    told = {field: row[field] for field in _FIELDS}
    record_hand_count(store, Visit(block, visit.day, visit.stage), row, told)


def _standing(row: Mapping[str, Any]) -> int:
    standing: int = row["machine"] if row["reviewed"] is None else row["reviewed"]
    return standing


def _doubts(row: Mapping[str, Any], sides: Rule) -> Iterator[str]:
    """More fruit seen on a tree than there are, by hand."""
    if row["by_hand"] is None:
        return
    counted = f"tree {row['code']} has {row['by_hand']} fruit by hand, and"
    seen, whose, remedy = row["own"], " of its own", "count it again"
    if seen is None:
        seen, whose, remedy = _standing(row), "", f"{remedy}, or tell with own how many of those are its own"
    least = (seen + 1) // 2 if sides == SUM else seen  # each may be there twice in a sum
    if row["by_hand"] < least:
        yield f"{counted} {'at least ' * (sides == SUM)}{least}{whose} were counted in its photos; {remedy}"
    if row["both"] is not None and row["by_hand"] < row["both"]:
        yield f"{counted} {row['both']} that can be seen from both sides; count it again"


def _doubts_of_both(row: Mapping[str, Any], sides: Mapping[str, int]) -> Iterator[str]:
    if row["both"] is None:
        return
    tree = f"tree {row['code']} has"
    if len(sides) != 2:
        yield f"{tree} photos of {len(sides)} side(s); what can be seen from both tells something with photos of two"
    elif row["both"] > min(sides.values()):
        side = min(sides, key=lambda side: sides[side])
        yield (
            f"{tree} {row['both']} fruit that can be seen from both sides, and {sides[side]} were counted on side "
            f"{side}; no more than those are taken as counted twice"
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
