"""Median composites of 12 dates and 10 bands with cloud masks, from files to result, beside xarray with bottleneck.

    python -m tests.benchmarks.composites [--size PX] [--rounds N]

Scenes are drawn in Sentinel-2's form (bands of 10 and 20 m, scene classification, deflated tiles) into a static
catalogue; each run is a process of its own, on the same chunks, and they take turns. Peers:

* ``xarray``: odc.stac.load with chunks, cloud mask, ``resample(time="MS").median()``, as its users write it;
* ``xarray, bottleneck``: the same with that median taken chunk by chunk, where xarray hands it to bottleneck (over
  chunks as such it does not);
* ``bottleneck alone``: Pomona's own reading with the median of the peer above, so that medians alone are compared; its
  result has to be equal to one unit in the last place.

At last the peak memory of writing composites, of scenes of one and of two times the side.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import odc.stac
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from models.earth.bands import BANDS, LAND_BANDS
from models.earth.bicubic import enlarge
from models.earth.catalogue import Search, find_items
from models.earth.composites import median_composites
from models.earth.median import masked_median
from models.earth.periods import months
from models.earth.scenes import Scene, sentinel2_scene
from models.earth.stack import Stacking, stack_scenes
from models.earth.writing import write_composites
from tests.models.earth.catalogues import UTM, item_of, save_catalogue, write_tiff

_CHUNK_PX = 1024
_DATES = 12
_CLOUD = 0.35  # share of a scene
_FIRST = date(2023, 7, 1)
_PEERS = ("xarray", "xarray, bottleneck", "bottleneck alone")


class _Times(NamedTuple):
    clock_s: float
    processor_s: float


def draw(folder: Path, size: int) -> Path:
    """A catalogue of twelve dates within a month."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(_DATES):
        day = _FIRST + timedelta(days=2 * number)
        files = {}
        for band in LAND_BANDS:
            pixel_m = BANDS[band].pixel_m
            side = size * 10 // pixel_m
            # fields of 160 m with noise in them: about as well compressed as real ones
            fields = rng.integers(1300, 5000, (side * pixel_m // 160 + 1,) * 2, dtype=np.uint16)
            grown = fields.repeat(160 // pixel_m, axis=0).repeat(160 // pixel_m, axis=1)[:side, :side]
            files[band] = folder / "files" / str(day) / f"{band}.tif"
            noise = rng.integers(0, 64, grown.shape, dtype=np.uint16)
            write_tiff(files[band], grown + noise, Affine(pixel_m, 0, 600_000, 0, -pixel_m, 5_400_000), UTM)
        clouds = rng.random((size // 32, size // 32)) < _CLOUD
        classes = np.where(clouds, 9, 4).astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        files["SCL"] = folder / "files" / str(day) / "SCL.tif"
        write_tiff(files["SCL"], classes, Affine(20, 0, 600_000, 0, -20, 5_400_000), UTM)
        items.append(item_of(str(day), f"{day}T10:20:30", files, UTM, **{"s2:processing_baseline": "05.10"}))
    return save_catalogue(folder, items)


def _found(catalogue: str) -> tuple[list[Any], Any]:
    items = find_items(catalogue, Search("sentinel-2-l2a", (-180, -90, 180, 90), _FIRST, _FIRST + timedelta(days=30)))
    with rasterio.open(items[0].assets["B02"].href) as file:
        return items, GeoBox((file.height, file.width), file.transform, file.crs)


def _to_stack(catalogue: str) -> tuple[list[Scene], Stacking]:
    items, grid = _found(catalogue)
    scenes = [sentinel2_scene(item, (*LAND_BANDS, "SCL")) for item in items]
    return scenes, Stacking(grid, LAND_BANDS, chunk_px=_CHUNK_PX)


def _stacked(catalogue: str) -> Any:
    return stack_scenes(*_to_stack(catalogue))


def _pomona(catalogue: str) -> Any:
    return median_composites(_stacked(catalogue), months("2023-07", "2023-07"))


def _masked_by_xarray(catalogue: str) -> Any:
    items, grid = _found(catalogue)
    loaded = odc.stac.load(
        items,
        bands=[*LAND_BANDS, "SCL"],
        geobox=grid,
        chunks={"x": _CHUNK_PX, "y": _CHUNK_PX},
        resampling={"*": "cubic", "SCL": "nearest"},
        dtype="uint16",
        nodata=0,
    )
    bands = loaded[list(LAND_BANDS)]
    reflectance = (bands.astype("float32") - np.float32(1000)) / np.float32(10_000)
    return reflectance.where((bands > 0) & loaded["SCL"].isin([4, 5, 6, 7]))


def _median(data: Any) -> Any:
    return data.resample(time="MS").median()


def _in_chunks(data: Any) -> Any:
    whole = data.chunk(time=-1)
    first = whole.isel(time=[0]).assign_coords(time=[np.datetime64("2023-07-01", "ns")])
    return xr.map_blocks(_median, whole, template=first)


def _bottleneck_alone(catalogue: str) -> Any:
    stacked = _stacked(catalogue)
    return _in_chunks(stacked.drop_vars("clear").where(stacked["clear"]))


_SIDES: dict[str, Callable[[str], Any]] = {
    "pomona": _pomona,
    "xarray": lambda catalogue: _median(_masked_by_xarray(catalogue)),
    "xarray, bottleneck": lambda catalogue: _in_chunks(_masked_by_xarray(catalogue)),
    "bottleneck alone": _bottleneck_alone,
}


def _side(name: str, catalogue: str, kept: str) -> None:
    """One run, in this process: prints seconds from files to result, by the clock and of the processor."""
    # a command that works for minutes does not notice what its first call takes
    masked_median(np.ones((2, 1, 1), np.float32), np.ones((2, 1, 1), np.bool_))
    enlarge(np.ones((1, 1), np.uint16), 2, 0, 0, (2, 2))
    started, before = time.perf_counter(), time.process_time()
    result = _SIDES[name](catalogue).compute()
    print(time.perf_counter() - started, time.process_time() - before)
    bands = [str(band) for band in result.data_vars if str(band).startswith("B")]
    np.save(kept, np.stack([result[band].values[0] for band in bands]))


def _write(catalogue: str, folder: str) -> None:
    write_composites(*_to_stack(catalogue), months("2023-07", "2023-07"), Path(folder))


def _process(*arguments: str) -> tuple[str, float]:
    """What a process of this module prints, and its peak memory in MB."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.composites", *arguments]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        said = output.read()
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return said, usage.ru_maxrss / 1024


def compare(scratch: Path, size: int, rounds: int) -> None:
    """Let all sides take turns, then print times with their ratios, and peaks."""
    catalogue = str(draw(scratch / "scenes", size))
    times: dict[str, list[_Times]] = {name: [] for name in _SIDES}
    for _ in range(rounds):
        for name, taken in times.items():
            said, _ = _process("--side", name, "--catalogue", catalogue, "--out", str(scratch / f"{name}.npy"))
            taken.append(_Times(*(float(part) for part in said.split())))
    for name, taken in times.items():
        clock, busy = ([getattr(run, kind) for run in taken] for kind in ("clock_s", "processor_s"))
        print(
            f"{name:20} {statistics.median(clock):6.2f} s ({min(clock):.2f} to {max(clock):.2f}), "
            f"processors {statistics.median(busy):6.2f} s ({min(busy):.2f} to {max(busy):.2f})"
        )
    for name in _PEERS:
        pairs = list(zip(times[name], times["pomona"], strict=True))
        clock_ratio = statistics.median(peer.clock_s / own.clock_s for peer, own in pairs)
        busy_ratio = statistics.median(peer.processor_s / own.processor_s for peer, own in pairs)
        print(f"{name:20} {clock_ratio:6.2f} times as long as pomona, processors {busy_ratio:.2f}, {rounds} pairs")
    own, peer = np.load(scratch / "pomona.npy"), np.load(scratch / "bottleneck alone.npy")
    np.testing.assert_array_max_ulp(own, peer, maxulp=1)
    print(f"equal to bottleneck's to one unit in the last place, {own.size} values")
    twice = str(draw(scratch / "larger", 2 * size))
    for side, name in ((size, catalogue), (2 * size, twice)):
        _, peak = _process("--write", "--catalogue", name, "--out", str(scratch / f"written-{side}"))
        print(f"writing {side:5} x {side:5} px: peak {peak:.0f} MB")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048, help="side of a scene in pixels of 10 m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=list(_SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--catalogue", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        _side(options.side, options.catalogue, options.out)
    elif options.write:
        _write(options.catalogue, options.out)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            compare(Path(scratch), options.size, options.rounds)


if __name__ == "__main__":
    main()
