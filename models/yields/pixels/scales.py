"""Scales of a training: bands to mean 0 and deviation 1, yields of each crop to 0 to 1, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.maps.errors import MapError
from models.yields.pixels.scenes import Points, Scene
from models.yields.table import weight_of

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class YieldScale:
    """Lowest and highest yield of each crop.

    Attributes:
        low: of each crop by its index.
        high: of each crop.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def fit(cls, points: Points, crops: int, *, per_crop: bool = True) -> YieldScale:
        """From the yields of the training.

        A crop without two different yields takes the range of all.

        Args:
            points: of the training.
            crops: how many there are.
            per_crop: whether each crop has a range of its own, as in the paper, or all share one.

        Raises:
            MapError: no yields, or all the same.
        """
        if not len(points) or not np.ptp(points.yields) > 0:
            raise MapError("a scale needs two different yields at least; give more points")
        every = float(points.yields.min()), float(points.yields.max())
        ranges = []
        for crop in range(crops):
            own = points.yields[points.crop == crop] if per_crop else points.yields
            ranges.append((float(own.min()), float(own.max())) if len(own) and np.ptp(own) > 0 else every)
        return cls(tuple(low for low, _ in ranges), tuple(high for _, high in ranges))

    def normalised(self, yields: FloatArray, crop: NDArray[np.integer]) -> FloatArray:
        """(…) yields of crops on the scale of the training, 0 to 1 for what was seen."""
        low, width = self._of(crop)
        return (yields - low) / width

    def restored(self, normalised: FloatArray, crop: NDArray[np.integer]) -> FloatArray:
        """(…) yields again, none below zero."""
        low, width = self._of(crop)
        restored: FloatArray = np.maximum(low + normalised * width, 0.0)
        return restored

    def widths(self, crop: NDArray[np.integer]) -> FloatArray:
        """(…) what an error of 1 is in yields."""
        return self._of(crop)[1]

    def _of(self, crop: NDArray[np.integer]) -> tuple[FloatArray, FloatArray]:
        low, high = np.array(self.low), np.array(self.high)
        return low[crop], (high - low)[crop]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"low": list(self.low), "high": list(self.high)}


@dataclass(frozen=True, eq=False)
class BandScale:
    """Mean and deviation of bands over what was seen.

    Attributes:
        mean: (bands,) or (dates, bands).
        deviation: as ``mean``.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def fit(cls, tiles: Sequence[Scene], *, per_date: bool) -> BandScale:
        """From the clear pixels of training tiles.

        Args:
            tiles: of the training.
            per_date: whether each date has a scale of its own; all tiles then have the same dates.

        Raises:
            MapError: nothing was seen, or dates that differ.
        """
        dates = {tile.images.shape[0] for tile in tiles}
        if per_date and len(dates) != 1:
            raise MapError(
                f"tiles of {', '.join(map(str, sorted(dates)))} dates cannot be stacked; choose common dates, "
                "or take attention over time"
            )
        if not any(tile.clear.any() for tile in tiles):
            raise MapError("no pixel of the training was clear; give other images")
        if not per_date:
            pixels = np.concatenate([tile.images.swapaxes(0, 1)[:, tile.clear] for tile in tiles], 1)
            return cls(*_moments(pixels))
        moments = [
            _moments(np.concatenate([tile.images[date][:, tile.clear[date]] for tile in tiles], 1))
            for date in range(dates.pop())
        ]
        return cls(np.stack([mean for mean, _ in moments]), np.stack([deviation for _, deviation in moments]))

    @classmethod
    def fit_radar(cls, tiles: Sequence[Scene]) -> BandScale:
        """From the radar images of training tiles, all their pixels.

        Raises:
            MapError: a tile without.
        """
        series = [tile.radar for tile in tiles if tile.radar is not None]
        if not series or len(series) != len(tiles):
            raise MapError(f"{len(tiles) - len(series)} of {len(tiles)} tiles have no radar images; give them to all")
        return cls(*_moments(np.concatenate([one.swapaxes(0, 1).reshape(one.shape[1], -1) for one in series], 1)))


def _moments(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of (bands, n); a band without any variance, or a date never seen, has a deviation of 1."""
    if not pixels.shape[1]:
        return np.zeros(len(pixels), np.float32), np.ones(len(pixels), np.float32)
    mean, deviation = pixels.mean(1, dtype=np.float64), pixels.std(1, dtype=np.float64)
    return mean.astype(np.float32), np.where(deviation > 1e-6, deviation, 1).astype(np.float32)


def point_weights(error: FloatArray, unexplained: float) -> FloatArray:
    """How much each yield counts: what is unexplained anyway as a share of that and its own error's square.

    1 for a yield that is exact, a half where its error is as large as the rest (as for the yields of whole orchards).

    Args:
        error: (n,) standard errors.
        unexplained: standard deviation that a good model leaves, in the same unit.
    """
    return np.array([weight_of(one, unexplained) for one in error.tolist()])
