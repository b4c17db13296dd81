"""Sentinel-1 on a grid."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from affine import Affine

from models.earth.areas import metric_grid
from models.earth.backscatter import RadarStacking, stack_backscatter
from models.earth.errors import EarthInputError, SceneError
from models.earth.scenes import sentinel1_scene
from tests.models.earth.catalogues import UTM, write_tiff
from tests.models.earth.drawn import LEFT, SIDE_M, TOP, orchard

GRID = metric_grid(orchard())


def radar_item(
    folder: Path, day: int, power: float, kind: type[np.number[Any]] = np.float32, nodata: float | None = -32768
) -> pystac.Item:
    side = SIDE_M // 10
    item = pystac.Item(f"S1A-{day}", None, None, datetime(2023, 7, day, 17, tzinfo=timezone.utc), {"proj:code": UTM})
    for number, name in enumerate(("vv", "vh")):
        values = np.full((side, side), power / (1 + 3 * number)).astype(kind)
        if nodata is not None:
            values[:, : side // 2 - 10] = nodata
        path = folder / f"{day}-{name}.tif"
        write_tiff(path, values, Affine(10, 0, LEFT, 0, -10, TOP), UTM, nodata)
        item.add_asset(name, pystac.Asset(str(path)))
    return item


def test_power_comes_out_as_it_was_written_and_nothing_of_its_no_data(tmp_path: Path) -> None:
    items = [radar_item(tmp_path, 13, 0.1), radar_item(tmp_path, 1, 0.2)]
    scenes = [sentinel1_scene(item, ("VV", "VH")) for item in items]
    stacked = stack_backscatter(scenes, RadarStacking(GRID, chunk_px=16))
    assert stacked["VV"].data.chunksize == (1, 16, 16)
    stacked = stacked.compute()
    assert stacked.indexes["time"].day.tolist() == [1, 13]
    known = np.isfinite(stacked["VV"].values)
    assert 0.5 < known.mean() < 0.8
    np.testing.assert_allclose(stacked["VV"].values[1][known[1]], 0.1, rtol=1e-6)
    np.testing.assert_allclose(stacked["VH"].values[0][known[0]], 0.05, rtol=1e-6)


@pytest.mark.parametrize(
    ("power", "kind", "said"),
    [(300, np.uint16, "holds digital numbers"), (-12.5, np.float32, "holds dB, not power")],
)
def test_what_is_no_power_is_refused(tmp_path: Path, power: float, kind: type[np.number[Any]], said: str) -> None:
    scene = sentinel1_scene(radar_item(tmp_path, 1, power, kind, None), ("VV", "VH"))
    with pytest.raises(SceneError, match=f"scene S1A-1: V[VH] {said}.*take calibrated"):
        stack_backscatter([scene], RadarStacking(GRID)).compute()


def test_a_scene_of_one_polarisation_is_named(tmp_path: Path) -> None:
    item = radar_item(tmp_path, 1, 0.1)
    del item.assets["vh"]
    with pytest.raises(SceneError, match="scene S1A-1 has no VH; its assets are vv"):
        sentinel1_scene(item, ("VV", "VH"))


def test_no_scene_at_all_is_said() -> None:
    with pytest.raises(EarthInputError, match="there is no scene to read"):
        stack_backscatter([], RadarStacking(GRID))
