"""Time a pixel of GLCM textures beside a sliding window of scikit-image, and peak memory of a whole Sentinel-2 tile.

    python -m tests.benchmarks.glcm [--rounds N] [--tile PX]

Both sides make the paper's six textures of the same pixels with the same settings, on one thread, and take turns;
their largest difference is printed first. The image is drawn: blurred noise on 64 levels, so that neighbours resemble
each other as they do in a field. With ``--tile`` a process of its own reads a GeoTIFF of that size in blocks, on all
cores, and writes the six textures to another; its peak memory is what the system counted for it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rioxarray
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.ndimage import uniform_filter
from skimage.feature import graycomatrix, graycoprops

from models.earth.glcm import TextureSettings, level_textures, textures

SETTINGS = TextureSettings()
OUR_PX, THEIR_PX = 1000, 24  # a side
_SIZE = SETTINGS.size_px
_ANGLES = [0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
_BLOCK_PX = 1024
_CELL_M = 10.0


def drawn(side: int, seed: int = 0) -> NDArray[np.float32]:
    """Reflectance of a landscape that is no landscape."""
    noise = uniform_filter(np.random.default_rng(seed).normal(size=(side, side)), 3)
    return np.asarray(np.clip(0.3 + 0.25 * noise, 0, 0.6), dtype=np.float32)


def sliding_window(levels: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """(measures, side, side) The same textures by scikit-image, of the first pixels whose window is whole."""
    matrix: Any = graycomatrix
    measure: Any = graycoprops
    found = np.empty((len(SETTINGS.measures), side, side))
    for y in range(side):
        for x in range(side):
            window = levels[y : y + 2 * _SIZE + 1, x : x + 2 * _SIZE + 1]
            p = matrix(window, [1], _ANGLES, SETTINGS.levels, symmetric=True, normed=True)
            by_name = {
                "asm": measure(p, "ASM"),
                "contrast": measure(p, "contrast"),
                "corr": measure(p, "correlation"),
                "var": measure(p, "variance"),
                "savg": 2 * measure(p, "mean"),
                "ent": measure(p, "entropy"),
            }
            found[:, y, x] = [by_name[name].mean() for name in SETTINGS.measures]
    return found


def compare(rounds: int) -> None:
    """Print the difference, the times and their ratio."""
    levels = (drawn(OUR_PX) / 0.6 * SETTINGS.levels).astype(np.int16).clip(0, SETTINGS.levels - 1)
    for_them = levels.astype(np.uint8)
    ours = level_textures(levels, SETTINGS)[:, _SIZE : _SIZE + THEIR_PX, _SIZE : _SIZE + THEIR_PX]
    print(f"largest difference over {THEIR_PX}² px: {np.abs(ours - sliding_window(for_them, THEIR_PX)).max():.1e}")
    our_us: list[float] = []
    their_us: list[float] = []
    for number in range(rounds):
        for we in (True, False) if number % 2 == 0 else (False, True):
            started = time.perf_counter()
            if we:
                level_textures(levels, SETTINGS)
                our_us.append((time.perf_counter() - started) / OUR_PX**2 * 1e6)
            else:
                sliding_window(for_them, THEIR_PX)
                their_us.append((time.perf_counter() - started) / THEIR_PX**2 * 1e6)
    ratios = [theirs / own for own, theirs in zip(our_us, their_us, strict=True)]
    for name, times in (("ours", our_us), ("scikit-image", their_us)):
        print(f"{name:13} {statistics.median(times):9.2f} µs/px ({min(times):.2f} to {max(times):.2f})")
    print(f"ratio {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f}) over {rounds} rounds")


def make_tile(path: Path, side: int) -> None:
    """A band of float32 in blocks, the same drawn block over and over."""
    block = drawn(_BLOCK_PX)
    shape = {"width": side, "height": side, "count": 1, "dtype": "float32"}
    place = {"crs": "EPSG:32648", "transform": from_origin(600_000, 4_000_000, _CELL_M, _CELL_M)}
    blocks = {"tiled": True, "blockxsize": 512, "blockysize": 512, "nodata": np.nan}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **blocks) as tile:
        for row in range(0, side, _BLOCK_PX):
            for column in range(0, side, _BLOCK_PX):
                height, width = min(_BLOCK_PX, side - row), min(_BLOCK_PX, side - column)
                window = rasterio.windows.Window(column, row, width, height)
                tile.write(block[:height, :width], 1, window=window)


def texture_tile(source: Path, target: Path) -> None:
    """What the measured process does: read, make textures and write, block by block."""
    from dask.utils import SerializableLock  # noqa: PLC0415  (only the measured process)

    opened: Any = rioxarray.open_rasterio(source, chunks={"y": _BLOCK_PX, "x": _BLOCK_PX}, lock=False)
    made = textures(opened.isel(band=0, drop=True).rename("B08"), SETTINGS)
    made.to_dataarray("band").rio.to_raster(target, tiled=True, BIGTIFF="YES", lock=SerializableLock())


_MEASURED = """
import resource, sys
from pathlib import Path
from tests.benchmarks.glcm import texture_tile
texture_tile(Path(sys.argv[1]), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)
"""


def measure_tile(side: int) -> tuple[float, float]:
    """Seconds and peak GiB of a process that makes the textures of a tile."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "B08.tif", Path(folder) / "textures.tif"
        make_tile(source, side)
        started = time.perf_counter()
        command = [sys.executable, "-c", _MEASURED, str(source), str(target)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return time.perf_counter() - started, float(told)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tile", type=int, metavar="PX", help="side of a tile to measure memory on, such as 10980")
    arguments = parser.parse_args()
    compare(arguments.rounds)
    if arguments.tile:
        seconds, peak_gib = measure_tile(arguments.tile)
        print(f"tile of {arguments.tile} x {arguments.tile} px, six textures: {seconds:.0f} s, peak {peak_gib:.2f} GiB")


if __name__ == "__main__":
    main()
