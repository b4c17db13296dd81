"""All trees of a block, from whatever is known of them: a list, its rows, the registry, or their number alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from device.errors import InputError
from device.orchards import Block
from device.planning.tree_lists import (
    TreeList,
    read_rows,
    read_tree_list,
    row_and_position,
    rows_of,
    trees_counted_on,
    trees_in_rows,
)
from device.store import Store

Place = tuple[float | None, float | None]
_NO_ROWS = "rows are not known, so trees are counted on from row to row: give --rows to be told rows"


def find_trees(
    store: Store, block: Block, listed: Path | None = None, rows: str | None = None
) -> tuple[TreeList, tuple[str, ...]]:
    """All trees of a block, with the codes and places that the registry has of them.

    Args:
        store: the device's records.
        block: the block.
        listed: file that lists its trees.
        rows: its rows, as typed.

    Returns:
        The trees, and what to know of them.

    Raises:
        InputError: nothing says how many trees there are, or what says so is wrong.
    """
    if listed is not None and rows is not None:
        raise InputError("--trees and --rows both say which trees there are; give one of them")
    registered = _registered(store, block)
    if listed is not None:
        trees = read_tree_list(listed)
    elif rows is not None:
        trees = trees_in_rows(read_rows(rows, block.trees))
    elif block.trees is None:
        raise InputError(
            f"how many trees block {block.name} has is not known; say it with --rows 28x60 (rows x trees in a row), "
            "list them with --trees FILE, or register their number: "
            f"pomona block add {block.name} --orchard '{block.orchard}' --trees N"
        )
    elif len(registered) >= max(2, block.trees):
        trees = _from_registry(registered)
    else:
        return trees_counted_on(block.trees), (_NO_ROWS,)
    joined = _joined(trees, registered)
    if block.trees in (None, len(trees)):
        return joined, ()
    mismatch = (
        f"planned for {len(trees):,} places, and block {block.name} is registered with {block.trees:,} trees; "
        "where a chosen place is empty leave it out"
    )
    return joined, (mismatch,)


def _registered(store: Store, block: Block) -> dict[str, Place]:
    """Place of each tree that was ever recorded, by code."""
    rows = store.db.query("SELECT code, latitude, longitude FROM tree WHERE block = ?", [block.id])
    return {row["code"]: (row["latitude"], row["longitude"]) for row in rows}


def _from_registry(registered: dict[str, Place]) -> TreeList:
    codes = tuple(sorted(registered, key=_natural))
    unknown = np.full(len(codes), np.nan)
    row, position = rows_of([row_and_position(code) for code in codes])
    return TreeList(codes, row, position, unknown, unknown, unknown)


def _natural(code: str) -> list[tuple[int, str]]:
    """So that T9 comes before T10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", code)]


def _joined(trees: TreeList, registered: dict[str, Place]) -> TreeList:
    """The trees under the codes they are registered with, and with the places known of these."""
    by_place = {row_and_position(code): code for code in registered}
    codes, latitude, longitude = list(trees.codes), trees.latitude.copy(), trees.longitude.copy()
    places = None if trees.row is None or trees.position is None else (trees.row.tolist(), trees.position.tolist())
    for tree, code in enumerate(trees.codes):
        if code not in registered and places is not None:
            codes[tree] = by_place.get((places[0][tree], places[1][tree]), code)
        north, east = registered.get(codes[tree], (None, None))
        if np.isnan(latitude[tree]) and north is not None and east is not None:
            latitude[tree], longitude[tree] = north, east
    return replace(trees, codes=tuple(codes), latitude=latitude, longitude=longitude)
