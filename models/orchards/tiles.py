"""Tiles of an orchard map: sized to memory, each classified alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from models.maps.errors import MapError
from models.maps.rasters import BaseMask, FeatureRasters
from models.maps.tiles import BLOCK_PX, Tile
from models.orchards.classifiers import Fitted

OTHER, ORCHARD, OUTSIDE, UNKNOWN = 0, 1, 2, 255
_LARGEST_PX = 4096
# a pixel's bands are held as read, once more as rows of the classifier, and in parts in its copies
_BYTES_A_BAND = 12
_BYTES_A_PIXEL = 64
_CHUNK = 16_384


def tile_side(bands: int, memory_mb: int) -> int:
    """Side of the largest square tile that fits into memory, a multiple of the map's blocks.

    Args:
        bands: of the features.
        memory_mb: what a tile may take.

    Raises:
        MapError: not even the smallest tile fits.
    """
    bytes_a_pixel = bands * _BYTES_A_BAND + _BYTES_A_PIXEL
    side = int((memory_mb * 2**20 / bytes_a_pixel) ** 0.5) // BLOCK_PX * BLOCK_PX
    if side < BLOCK_PX:
        needed = -(-(bytes_a_pixel * BLOCK_PX**2) // 2**20)
        raise MapError(f"{bands} bands need {needed} MB a tile at least; allow more memory")
    return min(side, _LARGEST_PX)


@dataclass(frozen=True, eq=False)
class TileJob:
    """What it takes to classify any tile; it can be sent to a worker that sees the same files.

    Attributes:
        features: the bands in the classifier's order.
        classifier: trained on them.
        base: land cover that orchards can stand on; everywhere where None.
    """

    features: FeatureRasters
    classifier: Fitted
    base: BaseMask | None

    def make(self, window: Window, threads: int = 1) -> Tile:
        """Classify the pixels of a window, each alone, so that the result does not depend on the tiles.

        Args:
            window: of the grid.
            threads: to classify with.

        Returns:
            (2, rows, columns): class, and the classifier's probability of that class in percent. 255 where a feature
            is unknown; class 2 without a probability outside the base mask.
        """
        values = self.features.read(window)
        bands, rows, columns = values.shape
        known = np.isfinite(values).all(0)
        inside = np.ones_like(known) if self.base is None else self.base.read(self.features.grid, window)
        tile = np.full((2, rows, columns), UNKNOWN, np.uint8)
        tile[0, ~inside] = OUTSIDE
        wanted = (known & inside).reshape(-1)
        pixels = values.reshape(bands, -1)[:, wanted].T
        del values
        probability = self._probability(pixels, threads)
        orchard = probability >= 0.5
        tile[0].reshape(-1)[wanted] = np.where(orchard, ORCHARD, OTHER)
        tile[1].reshape(-1)[wanted] = np.round(100 * np.where(orchard, probability, 1 - probability)).astype(np.uint8)
        return tile

    def _probability(self, pixels: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        chunks = [np.ascontiguousarray(pixels[at : at + _CHUNK]) for at in range(0, len(pixels), _CHUNK)]
        if not chunks:
            return np.empty(0)
        # scikit-learn's neighbours are asked by one thread: see what is said of a forest's own method
        alone = self.classifier.name == "knn"
        with ThreadPoolExecutor(1 if alone else threads) as pool:
            return np.concatenate(list(pool.map(self.classifier.orchard_probability, chunks)))
