"""How much of what a network adds to its straight line is taken: as much as fields left out bear out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.maps.errors import MapError
from models.yields.pixels.folds import Fold, at_random, by_field
from models.yields.pixels.predicting import predict
from models.yields.pixels.scenes import Scene
from models.yields.pixels.training import Trained

FloatArray = NDArray[np.float64]
SHARE_FOLDS = 3


def settle_share(
    tiles: Sequence[Scene], fit: Callable[[Sequence[Scene], str], Trained], folds: int, seed: int = 0
) -> float:
    """The share, 0 to 1, with the least squared error on yields that a training has not seen.

    With tens of fields a network learns what is common to them and what is theirs alone, and only the first is of use
    elsewhere. The share says which it was; where it is 0 the line alone is used.

    Args:
        tiles: to train on.
        fit: trains a network that begins at a straight line, from tiles and the name of the fold they are of.
        folds: of whole fields; of tiles where fields are fewer; 1 is returned where tiles are fewer too.
        seed: of the folds.
    """
    learned, left = [], []
    for fold in _divided(tiles, folds, seed):
        whole = fit(fold.train, fold.name)
        line = with_share(whole, 0.0)
        for tile in fold.test:
            at = (tile.points.row, tile.points.column)
            said = [predict([one], tile, side=max(tile.shape), known=tile.crops).yields[at] for one in (whole, line)]
            learned.append(said[0] - said[1])
            left.append(tile.points.yields - said[1])
    if not learned:
        return 1.0
    added, remainder = np.concatenate(learned), np.concatenate(left)
    square = float(added @ added)
    return float(np.clip(float(added @ remainder) / square, 0, 1)) if square else 0.0


def with_share(trained: Trained, share: float) -> Trained:
    """The network with a share of what it adds to its line.

    Raises:
        MapError: it has no line.
    """
    network = deepcopy(trained.network)
    if network.straight is None:
        raise MapError("only of a network that begins at a straight line can a share be taken")
    with torch.no_grad():
        network.scale_yields(share)
    return replace(trained, network=network)


def _divided(tiles: Sequence[Scene], folds: int, seed: int) -> Iterator[Fold]:
    try:
        yield from by_field(tiles, folds, seed)
    except MapError:  # labels outside of fields, or too few of those
        if len(tiles) >= folds:
            yield from at_random(tiles, folds, seed)
