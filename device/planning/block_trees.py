"""All trees of a block, from whatever is known of them: a list, its rows, the registry, or their number alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def _registered(store: Store, block: Block) -> dict[str, dict[str, Any]]:
    """What is known of each tree that was ever recorded or registered, by code."""
    return {row["code"]: row for row in store.db.query("SELECT * FROM tree WHERE block = ?", [block.id])}


def _from_registry(registered: dict[str, dict[str, Any]]) -> TreeList:
    codes = tuple(sorted(registered, key=_natural))
    unknown = np.full(len(codes), np.nan)
    vigour = np.array([registered[code]["vigour"] for code in codes], dtype=np.float64)  # None becomes NaN
    row, position = rows_of([_row_and_position(registered[code]) for code in codes])
    return TreeList(codes, row, position, unknown, unknown, vigour)


def _row_and_position(tree: dict[str, Any]) -> tuple[int, int] | None:
    if tree["row"] is not None and tree["position"] is not None:
        return tree["row"], tree["position"]
    return row_and_position(tree["code"])


def _natural(code: str) -> list[tuple[int, str]]:
    """So that T9 comes before T10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", code)]


def _joined(trees: TreeList, registered: dict[str, dict[str, Any]]) -> TreeList:
    """The trees under the codes they are registered with, and with the places known of these."""
    by_place = {_row_and_position(tree): code for code, tree in registered.items()}
    codes, latitude, longitude = list(trees.codes), trees.latitude.copy(), trees.longitude.copy()
    places = None if trees.row is None or trees.position is None else (trees.row.tolist(), trees.position.tolist())
    for tree, code in enumerate(trees.codes):
        if code not in registered and places is not None:
            codes[tree] = by_place.get((places[0][tree], places[1][tree]), code)
        known = registered.get(codes[tree])
        if known and np.isnan(latitude[tree]) and None not in {known["latitude"], known["longitude"]}:
            latitude[tree], longitude[tree] = known["latitude"], known["longitude"]
    return replace(trees, codes=tuple(codes), latitude=latitude, longitude=longitude)
