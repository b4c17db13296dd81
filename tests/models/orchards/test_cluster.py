"""The same map on a Dask cluster: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from models.maps.errors import ClusterError
from models.maps.runs import Work
from models.orchards.mapping import MAP, OrchardMap
from tests.models.orchards.command import ENVIRONMENT, run_map
from tests.models.orchards.conftest import make_map
from tests.models.orchards.drawn_region import Region


@contextlib.contextmanager
def _cluster(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler's address; its workers write to ``folder``."""
    file = folder / "scheduler.json"
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    with contextlib.ExitStack() as stack:
        for command in (scheduler, *[[*worker, "--local-directory", str(folder)]] * workers):
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--scheduler-file", str(file)],
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
            if command is scheduler:
                address = _address(file, process)
        if workers:
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=120)
        yield address


def _address(file: Path, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return str(json.loads(file.read_text())["address"])
        time.sleep(0.05)
    raise AssertionError(f"the scheduler did not start: {process.communicate()[1]}")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=30)


def test_a_cluster_makes_the_same_bytes(region: Region, made: OrchardMap, tmp_path: Path) -> None:
    with _cluster(tmp_path, workers=2) as address:
        said = run_map(region, tmp_path / "map", "--scheduler", address)
        assert "of orchards" in said
    assert (tmp_path / "map" / MAP).read_bytes() == (made.folder / MAP).read_bytes()


def test_a_cluster_without_workers_is_told(monkeypatch: pytest.MonkeyPatch, region: Region, tmp_path: Path) -> None:
    monkeypatch.setattr("models.maps.cluster._CONNECT_SECONDS", 3)
    with _cluster(tmp_path, workers=0) as address, pytest.raises(ClusterError, match="has no workers"):
        make_map(region, tmp_path / "map", Work(scheduler=address))


def test_an_address_without_a_scheduler_is_told(
    monkeypatch: pytest.MonkeyPatch, region: Region, tmp_path: Path
) -> None:
    monkeypatch.setattr("models.maps.cluster._CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match=r"there is no Dask scheduler at tcp://127\.0\.0\.1:9"):
        make_map(region, tmp_path / "map", Work(scheduler="tcp://127.0.0.1:9"))
