"""Real orchards whose trees were harvested one by one, through the R package agridat (Kevin Wright)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.errors import FloatArray

FOLDER = Path("satellite/agridat_orchard")
APPLES = ("batchelor", "strickland", "archbold")
GRIDS = (
    *("batchelor.apple", "batchelor.lemon", "batchelor.navel1", "batchelor.navel2", "batchelor.valencia"),
    *("batchelor.walnut", "parker.orange", "strickland.apple", "strickland.peach"),
)


@dataclass(frozen=True, eq=False)
class Harvested:
    """Trees of one orchard in the order of a walk, up one row and down the next.

    Attributes:
        name: first author of the source.
        yields: (trees,) weight of each tree's fruit.
        rows: (trees,) its row.
    """

    name: str
    yields: FloatArray
    rows: FloatArray


def read_apples(data: Path) -> list[Harvested]:
    """The three apple orchards; trees that were not weighed are left out."""
    files = ("batchelor.apple.uniformity.txt", "strickland.apple.uniformity.txt", "archbold.apple.txt")
    return [_walked(name, data / FOLDER / file) for name, file in zip(APPLES, files, strict=True)]


def read_grid(data: Path, name: str) -> FloatArray:
    """(rows, columns) weight of each tree's fruit, NaN where none was weighed; years of one orchard are averaged."""
    trees = _read(data / FOLDER / f"{name}.uniformity.txt")
    rows, columns = (
        np.unique([int(tree[field]) for tree in trees], return_inverse=True)[1] for field in ("row", "col")
    )
    total, number = np.zeros((rows.max() + 1, columns.max() + 1)), np.zeros((rows.max() + 1, columns.max() + 1))
    for row, column, tree in zip(rows, columns, trees, strict=True):
        if tree["yield"] not in ("", "NA"):
            total[row, column] += float(tree["yield"])
            number[row, column] += 1
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _walked(name: str, path: Path) -> Harvested:
    trees = [tree for tree in _read(path) if tree["yield"] not in ("", "NA")]
    # archbold's trees stand in rows of several replicates, at places of their own
    across = "col" if "col" in trees[0] else "pos"
    place = [(tree.get("rep", ""), int(tree["row"]), int(tree[across])) for tree in trees]
    order = sorted(range(len(trees)), key=lambda i: (*place[i][:2], place[i][2] * (-1 if place[i][1] % 2 else 1)))
    names = sorted({each[:2] for each in place})
    return Harvested(
        name,
        np.array([float(trees[i]["yield"]) for i in order]),
        np.array([names.index(place[i][:2]) for i in order], dtype=np.float64),
    )


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def spread_of_patches(grid: FloatArray, trees: int = 30) -> tuple[float, int]:
    """How far the mean of neighbouring trees lies from the orchard's.

    Args:
        grid: (rows, columns) a figure of each tree, NaN where there is none.
        trees: trees of a patch, about.

    Returns:
        Standard deviation of log(mean of a patch / mean of the orchard), what the sampling of its trees puts into it
        taken off, and the number of patches.
    """
    cuts = [np.array_split(np.arange(length), max(1, round(length / trees**0.5))) for length in grid.shape]
    patches = [grid[np.ix_(rows, columns)] for rows in cuts[0] for columns in cuts[1]]
    known = [patch[np.isfinite(patch)] for patch in patches]
    known = [patch for patch in known if len(patch) >= trees / 2.5]
    logs = np.log([patch.mean() / np.nanmean(grid) for patch in known])
    sampling = np.mean([patch.var(ddof=1) / patch.mean() ** 2 / len(patch) for patch in known])
    return float(np.sqrt(max(0.0, logs.var(ddof=1) - sampling))), len(known)
