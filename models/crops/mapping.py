"""From monthly composites and a network's ONNX file to a crop map; stopped at any moment, it goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import rasterio
from rasterio.windows import Window

from models.crops.composing import filled
from models.crops.onnx_file import Eats, ask, ask_quickly, open_int8, open_session, what_it_eats
from models.crops.series import CropError, FloatArray
from models.crops.sources import SeriesSource, open_source
from models.maps.cog import Layers, join_tiles
from models.maps.runs import Told, Work, alone, hashed, make_tiles, open_store, write_json
from models.maps.surface import row_areas_m2
from models.maps.tiles import Tile, windows
from models.orchards.tiles import tile_side

MAP, RECORD = "crops.tif", "crops.json"
UNKNOWN = 255
M2_PER_HA = 10_000.0
# pixels at a time: few enough that a layer's states stay in the cache
_CHUNK = 256


@dataclass(frozen=True)
class CropJob:
    """What it takes to classify any tile; it can be sent to a worker that sees the same files.

    Attributes:
        model: ONNX file of the network.
        source: of the series, in the network's order.
        int8: whether integers are tried first.
    """

    model: Path
    source: SeriesSource
    int8: bool = False

    @cached_property
    def _session(self) -> Any:
        return open_session(self.model, 1)

    @cached_property
    def _quick(self) -> Any:
        return open_int8(self.model, 1) if self.int8 else None

    def __getstate__(self) -> dict[str, Any]:
        """Without the sessions, which every process opens for itself."""
        return {"model": self.model, "source": self.source, "int8": self.int8}

    def make(self, window: Window, threads: int = 1) -> Tile:
        """Classify the pixels of a window, see :func:`classify`."""
        return classify(self._session, self.source.read(window), threads, self._quick)


def classify(session: Any, values: FloatArray, threads: int = 1, quick: Any = None) -> Tile:
    """Class and confidence of each pixel, each pixel alone, so that the result does not depend on the tiles.

    Args:
        session: of the network; a run of it takes one thread.
        values: (steps · bands, rows, columns), bands of the first step first; NaN where not seen.
        threads: that classify side by side.
        quick: session of the same network in integers, which is asked first; see
            :func:`models.crops.onnx_file.ask_quickly`.

    Returns:
        (2, rows, columns): index of the class, and its probability in percent; 255 where a band was never seen.
    """
    eats = what_it_eats(session)
    steps, bands = len(eats.steps), len(eats.bands)
    _, rows, columns = values.shape
    pixels = values.reshape(steps * bands, -1)
    tile = np.full((2, rows * columns), UNKNOWN, np.uint8)

    def chunk(begin: int) -> None:
        part = slice(begin, begin + _CHUNK)
        # a copy, in which a pixel's series lies side by side
        series = np.ascontiguousarray(pixels[:, part].T).reshape(-1, steps, bands)
        if not np.isfinite(series).all():
            series = filled(series)
        known = np.isfinite(series).all((1, 2))
        if known.any():
            there = series[known]
            probability = ask(session, there) if quick is None else ask_quickly(session, quick, there)
            tile[0, part][known] = probability.argmax(1)
            tile[1, part][known] = np.round(100 * probability.max(1))

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(chunk, begin) for begin in range(0, rows * columns, _CHUNK)]:
            done.result()
    return tile.reshape(2, rows, columns)


@dataclass(frozen=True, eq=False)
class CropMap:
    """A finished map.

    Attributes:
        folder: of its files.
        areas_ha: of each class that is on it, by name; ``unknown`` where a band was never seen.
        resumed: tiles that an earlier run had left.
        tiles: all tiles.
    """

    folder: Path
    areas_ha: dict[str, float]
    resumed: int
    tiles: int


def map_crops(
    model: Path,
    source: Path,
    out: Path,
    work: Work,
    told: Told = lambda _stage, _done, _all: None,
    *,
    int8: bool = False,
) -> CropMap:
    """Map the crops of a tile and leave map and record in a folder.

    Args:
        model: ONNX file of a pixel network.
        source: folder of monthly composites, or a Zarr store of them.
        out: the folder; an unfinished run of the same map is gone on with.
        work: what it is made with.
        told: is told the stage, and how many of its steps are done.
        int8: whether a stacked LSTM is asked in integers first, and in full where classes are close.

    Raises:
        CropError: composites that do not fit the network, more classes than a map can hold, or another network in
            integers.
        MapError: rasters that cannot be read, or a folder with an unfinished other map.
        ClusterError: the cluster fails.
    """
    eats = what_it_eats(open_session(model, 1))
    if len(eats.legend) > UNKNOWN:
        raise CropError(f"{len(eats.legend)} classes do not fit into a map of bytes; merge some")
    if int8:
        open_int8(model, 1)  # a network that cannot be is refused before any work
    series = open_source(source, eats)
    plan = hashed(
        {
            "model": hashlib.sha256(model.read_bytes()).hexdigest(),
            **series.record(),
            "int8": int8,
            "versions": {"onnxruntime": onnxruntime.__version__, "gdal": rasterio.__gdal_version__},
        }
    )
    out.mkdir(parents=True, exist_ok=True)
    with alone(out):
        store = open_store(out, plan)
        every = list(windows(series.grid, tile_side(len(eats.steps) * len(eats.bands), work.memory_mb)))
        resumed = make_tiles(CropJob(model.absolute(), series, int8), every, store, work, told)
        told("joining tiles", 0, 1)
        areas_m2: dict[str, float] = {}

        def count(window: Window, tile: Tile) -> None:
            pixel_m2 = row_areas_m2(series.grid, window)
            for kind in np.unique(tile[0]).tolist():
                name = "unknown" if kind == UNKNOWN else eats.legend[kind]
                areas_m2[name] = areas_m2.get(name, 0.0) + float((tile[0] == kind).sum(1) @ pixel_m2)

        tags = {"POMONA_MAP": plan["sha256"], "CLASSES": json.dumps(list(eats.legend))}
        layers = Layers(("class", "confidence_percent"), "uint8", UNKNOWN, tags)
        join_tiles(out / MAP, series.grid, store, every, layers, count)
        areas_ha = {name: area / M2_PER_HA for name, area in sorted(areas_m2.items())}
        write_json(out / RECORD, _record(eats, areas_ha, plan))
        shutil.rmtree(store.folder)
    return CropMap(out, areas_ha, resumed, len(every))


def _record(eats: Eats, areas_ha: dict[str, float], plan: dict[str, Any]) -> dict[str, Any]:
    return {
        "classes": dict(enumerate(eats.legend)),
        "steps": list(eats.steps),
        "areas_ha": {name: round(area, 4) for name, area in areas_ha.items()},
        "made_of": plan,
    }
