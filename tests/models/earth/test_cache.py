"""The cache: whole arrays or none, also when the process that writes is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from models.earth.areas import metric_grid
from models.earth.cache import BlockCache
from models.earth.catalogue import Search, find_items
from models.earth.errors import EarthInputError
from models.earth.scenes import sentinel2_scene
from models.earth.stack import Stacking, fetch, stack_scenes
from tests.models.earth.catalogues import save_catalogue
from tests.models.earth.drawn import BANDS, draw_season, orchard

# two months of scenes, read in blocks so small that killing falls into the middle of it
READ = """
import sys
from datetime import date
from pathlib import Path
from models.earth.areas import metric_grid
from models.earth.cache import BlockCache
from models.earth.catalogue import Search, find_items
from models.earth.scenes import sentinel2_scene
from models.earth.stack import Stacking, fetch
from tests.models.earth.drawn import BANDS, orchard
catalogue, cache = sys.argv[1:]
items = find_items(catalogue, Search("sentinel-2-l2a", orchard().bounds, date(2023, 4, 1), date(2023, 5, 31)))
scenes = [sentinel2_scene(item, (*BANDS, "SCL")) for item in items]
fetch(scenes, Stacking(metric_grid(orchard()), tuple(BANDS), chunk_px=12, cache=BlockCache(Path(cache))))
"""


def test_an_array_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = BlockCache(tmp_path / "a" / "b")
    array = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert cache.get("x") is None
    cache.put("x", array)
    found = BlockCache(tmp_path / "a" / "b").get("x")
    assert found is not None
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.uint16
    assert cache.get("y") is None


@pytest.mark.parametrize("place", [0, 5, 60, -1])
def test_damage_is_seen_and_the_array_read_again(tmp_path: Path, place: int) -> None:
    cache = BlockCache(tmp_path)
    cache.put("x", np.arange(100))
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert cache.get("x") is None
    file.write_bytes(content[:20])
    assert cache.get("x") is None


def test_what_killed_processes_left_is_cleared_away(tmp_path: Path) -> None:
    BlockCache(tmp_path).put("x", np.arange(3))
    old, new = (next(tmp_path.glob("*")) / name for name in ("a.part", "b.part"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    cache = BlockCache(tmp_path)
    assert not old.exists()
    assert new.exists()  # perhaps somebody is still writing it
    assert cache.get("x") is not None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EarthInputError, match=r"cache .*file/cache cannot be made"):
        BlockCache(tmp_path / "file" / "cache")


def test_another_version_of_a_file_is_read_anew(tmp_path: Path) -> None:
    first = draw_season(tmp_path / "files", range(4, 5))[0]
    stacking = Stacking(metric_grid(orchard()), ("B02",), cache=BlockCache(tmp_path / "cache"))
    before = stack_scenes([sentinel2_scene(first, ("B02", "SCL"))], stacking).compute()
    path = Path(first.assets["B02"].href)
    path.write_bytes(Path(first.assets["B08"].href).read_bytes())
    after = stack_scenes([sentinel2_scene(first, ("B02", "SCL"))], stacking).compute()
    assert float(after["B02"].mean()) - float(before["B02"].mean()) == pytest.approx(0.1, abs=1e-3)


def test_killed_in_the_middle_it_goes_on_and_the_result_is_the_same(tmp_path: Path) -> None:
    catalogue = save_catalogue(tmp_path, draw_season(tmp_path / "files", range(4, 6)))
    folder = tmp_path / "cache"
    found = find_items(str(catalogue), Search("sentinel-2-l2a", orchard().bounds, date(2023, 4, 1), date(2023, 5, 31)))
    scenes = [sentinel2_scene(item, (*BANDS, "SCL")) for item in found]
    grid = metric_grid(orchard())
    all_blocks = len(scenes) * (len(BANDS) + 1) * -(-grid.shape.y // 12) * -(-grid.shape.x // 12)
    for share in (0.1, 0.5):  # killed twice
        command = [sys.executable, "-W", "ignore", "-c", READ, str(catalogue), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while len(_blocks(folder)) < share * all_blocks:
                assert process.poll() is None, "it ended before it was killed"
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
    kept = _blocks(folder)
    assert 0.5 * all_blocks <= len(kept) < all_blocks
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    cache = BlockCache(folder)
    stacking = Stacking(grid, tuple(BANDS), chunk_px=12, cache=cache)
    read, wrong = fetch(scenes, stacking)
    assert (len(read), wrong) == (len(scenes), [])
    assert len(_blocks(folder)) == all_blocks
    assert {path: path.stat().st_mtime_ns for path in kept} == stamps  # nothing was read twice
    uncached = stack_scenes(scenes, Stacking(grid, tuple(BANDS), chunk_px=12)).compute()
    xr.testing.assert_identical(stack_scenes(read, stacking).compute(), uncached)


def _blocks(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/*") if path.suffix != ".part"]
