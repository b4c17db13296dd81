"""Samples: how many pixels of each class, which of them, and batches that hold each region alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.crops.series import CropError, IntArray


@dataclass(frozen=True)
class Counts:
    """Step 3 of the weighted LSTM: how many pixels of a class, by its share of the map.

    A class u gets ``min(available_u, round(multiplier * share_u + least))`` pixels. Classes with a share at or above
    the quantile are the most present ones. Counts rise with the share inside each of the two groups; across the
    threshold they do not, as the least present classes are over-sampled on purpose.

    Attributes:
        most: multiplier of the most present classes.
        least: multiplier of the least present classes.
        minimum: added for every class.
        quantile: of the shares, interpolated linearly, that parts the groups.
    """

    most: float = 20_000.0
    least: float = 40_000.0
    minimum: float = 500.0
    quantile: float = 0.65


def counts_by_class(pixels_of_class: IntArray, counts: Counts) -> IntArray:
    """How many pixels to draw of each class.

    Args:
        pixels_of_class: (k,) that the thematic map has.
        counts: the rule.

    Returns:
        (k,) never more than there are.

    Raises:
        CropError: the map has no pixels.
    """
    if not pixels_of_class.sum():
        raise CropError("the thematic map has no pixels of any class; give one that overlaps the series")
    share = pixels_of_class / pixels_of_class.sum()
    present = share >= threshold(share, counts.quantile)
    wanted = np.round(np.where(present, counts.most, counts.least) * share + counts.minimum).astype(np.int64)
    drawn: IntArray = np.minimum(wanted, pixels_of_class)
    return drawn


def threshold(share: NDArray[np.float64], quantile: float) -> float:
    """The share that parts the most present classes from the others."""
    return float(np.quantile(share, quantile, method="linear"))


def stratified(label: IntArray, counts: IntArray, seed: int) -> IntArray:
    """Draw pixels at random inside each class.

    Args:
        label: (n,) classes.
        counts: (k,) how many of each; all where a class has fewer.
        seed: of the draw.

    Returns:
        Positions, in order.
    """
    random = np.random.default_rng(seed)
    drawn = [random.permutation(np.flatnonzero(label == index))[:count] for index, count in enumerate(counts)]
    return np.sort(np.concatenate(drawn))


def shuffled(pixels: int, batch: int, seed: int, epoch: int) -> Iterator[IntArray]:
    """Batches of one epoch in an order that seed and epoch decide; a last batch of one pixel is left out."""
    order = np.random.default_rng((seed, epoch)).permutation(pixels)
    for begin in range(0, pixels, batch):
        part = order[begin : begin + batch]
        if len(part) > 1 or pixels == 1:
            yield part


def alike_by_region(region: IntArray, batch: int, seed: int, epoch: int) -> Iterator[list[IntArray]]:
    """Batches with as many pixels of each region; regions with fewer pixels are gone through again.

    Args:
        region: (n,) of each pixel, numbered from 0 without holes.
        batch: pixels of each region in a batch.
        seed: of the order.
        epoch: likewise.

    Yields:
        Positions for each region, until every pixel of the largest one was drawn.
    """
    random = np.random.default_rng((seed, epoch))
    members = [np.flatnonzero(region == index) for index in range(int(region.max()) + 1)]
    steps = -(-max(map(len, members)) // batch)
    orders = []
    for pixels in members:
        rounds = -(-steps * batch // len(pixels))
        orders.append(np.concatenate([random.permutation(pixels) for _ in range(rounds)]))
    for step in range(steps):
        yield [order[step * batch : (step + 1) * batch] for order in orders]
