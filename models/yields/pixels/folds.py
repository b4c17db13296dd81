"""Which fields are trained on and which are tested on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.maps.errors import MapError
from models.yields.pixels.scenes import NO_FIELD, UNLABELLED, Scene


@dataclass(frozen=True, eq=False)
class Fold:
    """Tiles of one division.

    Attributes:
        name: of the fold.
        train: tiles to fit to.
        test: tiles that hold the labels to be judged on.
    """

    name: str
    train: list[Scene]
    test: list[Scene]


def by_field(tiles: Sequence[Scene], folds: int, seed: int) -> Iterator[Fold]:
    """Whole fields are dealt out; what a fold tests on is not to be seen in the tiles it trains on, and the other way.

    Tiles overlap and a field reaches over several, so it is the field that is hidden and not the tile: no labelled
    pixel, nor the image under it, is on both sides.

    Args:
        tiles: of all scenes, with field numbers where there are labels.
        folds: how many.
        seed: of the order in which fields are dealt out.

    Raises:
        MapError: fewer fields than folds, or labels outside of every field.
    """
    fields = numbers_of(tiles)
    if len(fields) < folds:
        raise MapError(f"{folds} folds need as many fields, and there are {len(fields)}; take fewer folds")
    for tile in tiles:
        if (tile.points.field == NO_FIELD).any():
            raise MapError(f"tile {tile.name}: a yield stands in no field; give fields, or take random folds")
    dealt = np.random.default_rng(seed).permutation(fields)
    for number in range(folds):
        held_out = dealt[number::folds]
        kept = np.setdiff1d(fields, held_out)
        yield Fold(str(number), _labelled(tiles, held_out), _labelled(tiles, kept))


def at_random(tiles: Sequence[Scene], folds: int, seed: int) -> Iterator[Fold]:
    """Whole tiles are dealt out, as in the paper; where tiles overlap, pixels are on both sides.

    Raises:
        MapError: fewer tiles than folds.
    """
    if len(tiles) < folds:
        raise MapError(f"{folds} folds need as many tiles, and there are {len(tiles)}; take fewer folds")
    dealt = np.random.default_rng(seed).permutation(len(tiles))
    for number in range(folds):
        test = set(dealt[number::folds].tolist())
        yield Fold(
            str(number),
            [tile for at, tile in enumerate(tiles) if at not in test],
            [tile for at, tile in enumerate(tiles) if at in test],
        )


def numbers_of(tiles: Sequence[Scene]) -> NDArray[np.int64]:
    """Numbers of the fields that have a label."""
    found = [np.unique(tile.points.field) for tile in tiles]
    found += [np.unique(tile.fields[tile.crops != UNLABELLED]) for tile in tiles]
    numbers: NDArray[np.int64] = np.unique(np.concatenate(found)).astype(np.int64)
    return np.setdiff1d(numbers, [NO_FIELD])


def share_of_points(tiles: Sequence[Scene], share: float, seed: int) -> list[Scene]:
    """The tiles with a share of their yields, drawn at random over all of them; crops stay.

    Args:
        tiles: to train on.
        share: to keep, 0 to 1.
        seed: of the draw.
    """
    sizes = [len(tile.points) for tile in tiles]
    total = sum(sizes)
    kept = np.zeros(total, bool)
    kept[np.random.default_rng(seed).permutation(total)[: max(1, round(share * total))]] = True
    parts = np.split(kept, np.cumsum(sizes)[:-1])
    return [replace(tile, points=tile.points.take(part)) for tile, part in zip(tiles, parts, strict=True)]


def _labelled(tiles: Sequence[Scene], hidden: NDArray[np.int64]) -> list[Scene]:
    return [left for tile in tiles if (left := tile.without(hidden)).labelled]
