"""From scenes and a trained network to maps of yield and crop; stopped at any moment, it goes on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from models.maps.cog import Layers, join_tiles
from models.maps.errors import MapError
from models.maps.runs import Told, Work, alone, hashed, identity, make_tiles, open_store, write_json
from models.maps.tiles import BLOCK_PX, Tile, windows
from models.yields.pixels.checkpoint import load
from models.yields.pixels.encoders import stride
from models.yields.pixels.explaining import explain
from models.yields.pixels.layers import SceneFiles
from models.yields.pixels.predicting import Area, predict_area
from models.yields.pixels.scenes import OVERLAP, TILE_PX, UNLABELLED
from models.yields.pixels.training import Trained

MAP, RECORD = "yield.tif", "map.json"
BANDS = ("yield", "standard_deviation", "crop", "crop_share")
_EXPLAINED = "looked_at"
_BYTES_A_PIXEL = 400


@dataclass(frozen=True)
class YieldMapSettings:
    """What decides a map, beside its images and its network.

    Attributes:
        side: of the windows that the network sees, in px.
        overlap: share of a window that neighbours share.
        explain: whether a further band says where the network looked for the yield (Grad-CAM).
    """

    side: int = TILE_PX
    overlap: float = OVERLAP
    explain: bool = False


@dataclass(frozen=True)
class YieldTileJob:
    """What it takes to map any tile; it can be sent to a worker that sees the same files.

    Attributes:
        scene: its images.
        checkpoint: of the network.
        settings: of the map.
    """

    scene: SceneFiles
    checkpoint: str
    settings: YieldMapSettings

    def make(self, window: Window, threads: int = 1) -> Tile:
        """Map a window: (layers, rows, columns) as float32, NaN where no date was clear."""
        # sums in another order are other numbers: windows are shared among threads, never a window
        torch.set_num_threads(1)
        members = _members(self.checkpoint)
        step = stride(members[0].network.settings.encoder)
        part = (int(window.row_off), int(window.col_off), int(window.height), int(window.width))
        area = Area.of(self.scene.shape, part, self.settings.side, self.settings.overlap, step)
        said = predict_area(members, self.scene.read, area, threads=threads)
        share = said.shares.max(0) if len(said.shares) else np.full((area.height, area.width), np.nan)
        crop = np.where(said.crop == UNLABELLED, np.nan, said.crop)
        layers = [said.yields, said.deviation, crop, share]
        if self.settings.explain:
            layers.append(self._explained(members, area))
        tile = np.stack(layers).astype(np.float32)
        tile[:, ~self._seen(area)] = np.nan
        return tile

    def _seen(self, area: Area) -> NDArray[np.bool_]:
        side = max(area.height, area.width)
        clear = np.asarray(self.scene.read(area.row, area.column, side).clear.any(0))
        return clear[: area.height, : area.width]

    def _explained(self, members: Sequence[Trained], area: Area) -> NDArray[np.float64]:
        """The strongest look of any window, of the first member."""
        looked = np.zeros((area.height, area.width))
        for row in area.rows:
            for column in area.columns:
                heat = explain(members[0], self.scene.read(row, column, area.side))
                top, left = max(row, area.row), max(column, area.column)
                bottom = min(row + area.side, area.row + area.height)
                right = min(column + area.side, area.column + area.width)
                inside = heat[top - row : bottom - row, left - column : right - column]
                here = looked[top - area.row : bottom - area.row, left - area.column : right - area.column]
                np.maximum(here, inside, out=here)
        return looked


@lru_cache(maxsize=1)
def _members(checkpoint: str) -> tuple[Trained, ...]:
    return tuple(load(Path(checkpoint))[0])


@dataclass(frozen=True)
class YieldMap:
    """A finished map.

    Attributes:
        folder: of its files.
        resumed: tiles that an earlier run had left.
        tiles: all tiles.
        record: what ``map.json`` holds.
    """

    folder: Path
    resumed: int
    tiles: int
    record: dict[str, Any]


def map_yield(
    scene: SceneFiles,
    checkpoint: Path,
    settings: YieldMapSettings,
    work: Work,
    out: Path,
    told: Told = lambda _stage, _done, _all: None,
) -> YieldMap:
    """Map yield and crop of a scene with their uncertainty.

    Args:
        scene: its images.
        checkpoint: of a trained network.
        settings: what decides the map.
        work: what it is made with.
        out: the folder; an unfinished run of the same map is gone on with.
        told: is told the stage, and how many of its steps are done.

    Raises:
        MapError: images that the network was not trained for, or a folder with an unfinished other map.
        ClusterError: the cluster fails.
    """
    members, bands, days = load(checkpoint)
    _check(scene, members[0], bands, days)
    names = (*BANDS, _EXPLAINED) if settings.explain else BANDS
    plan = _plan(scene, checkpoint, settings)
    out.mkdir(parents=True, exist_ok=True)
    with alone(out):
        store = open_store(out, plan, len(names), np.float32)
        job = YieldTileJob(scene, str(checkpoint.absolute()), settings)
        every = list(windows(scene.grid, _tile_side(scene, work.memory_mb)))
        resumed = make_tiles(job, every, store, work, told)
        told("joining tiles", 0, 1)
        counted = _Counted(len(members[0].crops))
        layers = Layers(names, "float32", float("nan"), {"POMONA_MAP": plan["sha256"]})
        join_tiles(out / MAP, scene.grid, store, every, layers, counted.add)
        record = counted.record(scene, members[0].crops) | {"bands": list(names), "made_of": plan}
        write_json(out / RECORD, record)
        shutil.rmtree(store.folder)
    return YieldMap(out, resumed, len(every), record)


class _Counted:
    """Pixels and yields of each crop, summed as tiles are joined."""

    def __init__(self, crops: int) -> None:
        self.pixels, self.yields = np.zeros(crops + 1, np.int64), np.zeros(crops + 1)

    def add(self, _window: Window, tile: Tile) -> None:
        known = np.isfinite(tile[0]) | np.isfinite(tile[2])
        crop = np.nan_to_num(tile[2][known], nan=len(self.pixels) - 1).astype(np.int64)
        self.pixels += np.bincount(crop, minlength=len(self.pixels))
        self.yields += np.bincount(crop, np.nan_to_num(tile[0][known]), minlength=len(self.pixels))

    def record(self, scene: SceneFiles, crops: Sequence[str]) -> dict[str, Any]:
        """Area and mean yield of each crop that was mapped."""
        transform = scene.grid.affine
        pixel_ha = abs(transform.a * transform.e) / 10_000
        named = [*crops, "unknown crop"]
        return {
            "crops": {
                name: {"ha": round(float(number * pixel_ha), 4), "mean_yield": round(float(total / number), 4)}
                for name, number, total in zip(named, self.pixels, self.yields, strict=True)
                if number
            }
        }


def _check(scene: SceneFiles, trained: Trained, bands: tuple[str, ...], days: tuple[int, ...]) -> None:
    if scene.names != bands:
        raise MapError(
            f"the network takes {', '.join(bands)} and scene {scene.name} has {', '.join(scene.names)}; give it these"
        )
    if days and len(days) != len(scene.days):
        raise MapError(
            f"the network takes {len(days)} dates (days {', '.join(map(str, days))} of the year) and scene "
            f"{scene.name} has {len(scene.days)}; give as many near them, or train with attention over time"
        )
    if trained.encoding.radar is not None and not scene.radar:
        raise MapError(f"the network was trained with radar and scene {scene.name} has none; add radar-DATE.tif files")


def _plan(scene: SceneFiles, checkpoint: Path, settings: YieldMapSettings) -> dict[str, Any]:
    return hashed(
        {
            "images": [{"path": path, **identity(path)} for path in (*scene.images, *scene.radar)],
            "days": [*scene.days, *scene.radar_days],
            "grid": [scene.grid.crs, *scene.grid.transform, scene.grid.width, scene.grid.height],
            "checkpoint": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
            "side": settings.side,
            "overlap": settings.overlap,
            "explain": settings.explain,
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
        }
    )


def _tile_side(scene: SceneFiles, memory_mb: int) -> int:
    """Side of a tile that fits into memory, a multiple of the map's blocks; one block at least."""
    bytes_a_pixel = _BYTES_A_PIXEL + 8 * len(scene.images) * len(scene.names)
    return max(1, int((memory_mb * 2**20 / bytes_a_pixel) ** 0.5) // BLOCK_PX) * BLOCK_PX
