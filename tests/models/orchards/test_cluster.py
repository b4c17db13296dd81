"""The same map on a Dask cluster: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.dask_client import ClusterError
from models.maps.runs import Work
from models.orchards.mapping import MAP, OrchardMap
from tests.models.dask_cluster import dask_cluster
from tests.models.orchards.command import run_map
from tests.models.orchards.conftest import make_map
from tests.models.orchards.drawn_region import Region


def test_a_cluster_makes_the_same_bytes(region: Region, made: OrchardMap, tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=2) as address:
        said = run_map(region, tmp_path / "map", "--scheduler", address)
        assert "of orchards" in said
    assert (tmp_path / "map" / MAP).read_bytes() == (made.folder / MAP).read_bytes()


def test_a_cluster_without_workers_is_told(monkeypatch: pytest.MonkeyPatch, region: Region, tmp_path: Path) -> None:
    monkeypatch.setattr("models.dask_client._CONNECT_SECONDS", 3)
    with dask_cluster(tmp_path, workers=0) as address, pytest.raises(ClusterError, match="has no workers"):
        make_map(region, tmp_path / "map", Work(scheduler=address))


def test_an_address_without_a_scheduler_is_told(
    monkeypatch: pytest.MonkeyPatch, region: Region, tmp_path: Path
) -> None:
    monkeypatch.setattr("models.dask_client._CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match=r"there is no Dask scheduler at tcp://127\.0\.0\.1:9"):
        make_map(region, tmp_path / "map", Work(scheduler="tcp://127.0.0.1:9"))
