"""Tiles are sized to memory and kept whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from models.maps.errors import MapError
from models.maps.rasters import Grid
from models.maps.tiles import TileStore, windows
from models.orchards.tiles import tile_side


@pytest.mark.parametrize(
    ("bands", "memory_mb", "side"), [(26, 512, 1024), (26, 4096, 3328), (1, 4096, 4096), (7, 16, 256)]
)
def test_a_tile_fits_its_memory(bands: int, memory_mb: int, side: int) -> None:
    assert tile_side(bands, memory_mb) == side


def test_memory_that_holds_no_tile_is_refused_with_what_it_takes() -> None:
    with pytest.raises(MapError, match="400 bands need 304 MB a tile at least"):
        tile_side(400, 128)
    assert tile_side(400, 304) == 256


def test_windows_cover_each_pixel_once() -> None:
    covered = np.zeros((700, 900), int)
    for window in windows(Grid("EPSG:32648", (10, 0, 0, 0, -10, 0), 900, 700), 256):
        rows, columns = window.toslices()
        covered[rows, columns] += 1
    assert (covered == 1).all()


def test_a_tile_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    store, window = TileStore(tmp_path), Window(0, 0, 30, 20)
    tile = np.arange(1200, dtype=np.uint8).reshape(2, 20, 30)
    store.write(window, tile)
    np.testing.assert_array_equal(store.read(window), tile)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for length in (0, 5, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert store.read(window) is None
    assert store.read(Window(0, 0, 30, 21)) is None
