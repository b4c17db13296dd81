"""Yields of single trees in real orchards, from data sets of the R package agridat."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path("satellite/agridat_orchard")
Place = Callable[[Mapping[str, str]], tuple[str, str]]


@dataclass(frozen=True)
class Orchard:
    """Trees of one orchard, in blocks of neighbours.

    Attributes:
        name: first author of the source.
        blocks: weight picked from each tree of a block; by (place, year), so that a place can have several years.
    """

    name: str
    blocks: dict[tuple[str, str], NDArray[np.float64]]

    def places(self) -> int:
        return len({place for place, _ in self.blocks})

    def mean(self) -> float:
        return float(np.concatenate(list(self.blocks.values())).mean())


def _read(path: Path, name: str, place: Place) -> Orchard:
    found = defaultdict(list)
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["yield"] not in {"", "NA"}:
                found[place(row)].append(float(row["yield"]))
    return Orchard(name, {place: np.array(yields) for place, yields in sorted(found.items())})


def _rectangles(rows: int, columns: int) -> Place:
    def place(row: Mapping[str, str]) -> tuple[str, str]:
        at = (int(row["row"]) - 1) // rows, (int(row["col"]) - 1) // columns
        return f"{at[0]} {at[1]}", row.get("year", "0")

    return place


def read_apples(data: Path) -> list[Orchard]:
    """The three apple orchards, in blocks of 16 to 28 trees.

    Args:
        data: the folder of real data.
    """
    folder = data / FOLDER
    return [
        _read(folder / "batchelor.apple.uniformity.txt", "Batchelor", _rectangles(7, 4)),
        _read(folder / "strickland.apple.uniformity.txt", "Strickland", _rectangles(6, 4)),
        _read(folder / "archbold.apple.txt", "Archbold", lambda row: (row["rep"], "0")),
    ]


def read_oranges(data: Path) -> Orchard:
    """An orange grove picked tree by tree in seven years, in six blocks.

    Args:
        data: the folder of real data.
    """
    return _read(data / FOLDER / "parker.orange.uniformity.txt", "Parker", _rectangles(9, 5))
