"""A run of mapping in a folder: one at a time, gone on with after it was stopped, never mixed with another's."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from rasterio.windows import Window

from models.maps import cluster
from models.maps.errors import MapError
from models.maps.tiles import TileJob, TileStore

_TILES, _PLAN = "tiles", "tiles/map.json"
# is told the stage, and how many of its steps are done
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Work:
    """What a map is made with; none of it changes the map.

    Attributes:
        memory_mb: what a tile may take.
        threads: to compute with on this machine.
        scheduler: address of a Dask cluster's scheduler; this machine where None.
    """

    memory_mb: int = 512
    threads: int = os.cpu_count() or 1
    scheduler: str | None = None


def hashed(decided: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides a map's bytes, with a hash over it as ``sha256``."""
    return {**decided, "sha256": hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()}


def identity(path: str) -> dict[str, int]:
    """What tells a file from what it was before.

    Raises:
        MapError: it is not there.
    """
    try:
        status = Path(path).stat()
    except OSError as error:
        raise MapError(f"{path} cannot be read: {error}") from error
    return {"bytes": status.st_size, "changed_ns": status.st_mtime_ns}


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """One run at a time in a folder; the lock goes with the process, however that ends.

    Raises:
        MapError: another run has it.
    """
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MapError(f"another run is mapping into {out}; wait for it or take another folder") from None
        yield


def open_store(out: Path, plan: dict[str, Any], layers: int = 2, dtype: DTypeLike = np.uint8) -> TileStore:
    """Tiles of a plan in a folder, those of an earlier run of it too.

    Args:
        out: the folder.
        plan: see :func:`hashed`.
        layers: of a tile.
        dtype: of a tile.

    Raises:
        MapError: the folder holds unfinished tiles of another plan.
    """
    (out / _TILES).mkdir(exist_ok=True)
    path = out / _PLAN
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["sha256"] != plan["sha256"]:
            differ = ", ".join(key for key in plan if key != "sha256" and plan[key] != earlier.get(key))
            raise MapError(
                f"{out} holds the unfinished tiles of another map ({differ} differ); take another folder, or remove "
                f"{out / _TILES} to give that map up"
            )
    else:
        write_json(path, plan)
    return TileStore(out / _TILES, layers, dtype)


def make_tiles(job: TileJob, every: Sequence[Window], store: TileStore, work: Work, told: Told) -> int:
    """Make the tiles that are missing, here or on a cluster; how many an earlier run had left."""
    missing = [window for window in every if store.read(window) is None]
    resumed = len(every) - len(missing)
    told("mapping", resumed, len(every))
    if work.scheduler is None:
        made = cluster.here(job, missing, work.threads)
    else:
        made = cluster.on_cluster(job, missing, work.scheduler)
    for done, (window, tile) in enumerate(made, resumed + 1):
        store.write(window, tile)
        told("mapping", done, len(every))
    return resumed


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file that is there whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
