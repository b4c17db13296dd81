"""Tiles one after another on this machine, or on the workers of a Dask cluster; the same function makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rasterio.windows import Window

from models.dask_client import ClusterError, connect
from models.maps.errors import MapError
from models.maps.tiles import Tile, TileJob

# a tile beyond those being made waits at each worker, so that none idles; more would only fill memory here
_TILES_AHEAD = 2


def here(job: TileJob, windows: Sequence[Window], threads: int) -> Iterator[tuple[Window, Tile]]:
    """Make tiles in this process.

    Args:
        job: what to do.
        windows: of the tiles.
        threads: to compute with.
    """
    for window in windows:
        yield window, job.make(window, threads)


def on_cluster(job: TileJob, windows: Sequence[Window], scheduler: str) -> Iterator[tuple[Window, Tile]]:
    """Make tiles on the workers of a Dask cluster, in the order they happen to be done.

    Args:
        job: what to do; the workers have to see its rasters under the same paths and have Pomona installed.
        windows: of the tiles.
        scheduler: address of the cluster's scheduler, such as ``tcp://host:8786``.

    Raises:
        ClusterError: no scheduler there, no worker, or workers that keep dying.
        MapError: a raster that a worker cannot read.
    """
    from distributed import as_completed  # noqa: PLC0415  (only where a cluster is used)
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    with connect(scheduler, default=False) as client:
        workers = sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())
        sent = client.scatter(job, broadcast=True, hash=False)
        waiting = iter(windows)
        running = as_completed(loop=client.loop)
        at: dict[object, Window] = {}

        def send() -> None:
            window = next(waiting, None)
            if window is not None:
                future = client.submit(_make, sent, window, pure=False)
                at[future.key] = window
                running.add(future)

        for _ in range(_TILES_AHEAD * workers):
            send()
        for future in running:
            try:
                tile: Tile = future.result()
            except KilledWorker as error:
                raise ClusterError(
                    f"workers die of a tile; give them more memory or allow less a tile: {error}"
                ) from error
            except MapError as error:
                raise MapError(f"a worker says: {error}") from error
            window = at.pop(future.key)
            future.release()
            send()
            yield window, tile


def _make(job: TileJob, window: Window) -> Tile:
    return job.make(window)
