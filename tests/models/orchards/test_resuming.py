"""A map that is killed goes on, and comes out as if nothing had happened."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from models.orchards.mapping import MAP, OrchardMap
from tests.models.orchards.command import kill_while_mapping, run_map
from tests.models.orchards.drawn_region import Region


@pytest.mark.parametrize("tiles", [random.Random(6).randrange(1, 8), pytest.param(8, marks=pytest.mark.slow)])
def test_killed_at_a_tile_and_started_again_the_map_is_byte_equal(
    region: Region, made: OrchardMap, tmp_path: Path, tiles: int
) -> None:
    out = tmp_path / "map"
    kill_while_mapping(region, out, tiles)
    left = {path.name: path.stat().st_mtime_ns for path in (out / "tiles").glob("*.npy")}
    assert tiles <= len(left) < 9
    assert not (out / MAP).exists()
    said = run_map(region, out)
    went_on = re.match(r"went on with (\d+) of 9 tiles that were there", said)
    assert went_on is not None
    assert int(went_on[1]) == len(left)
    assert (out / MAP).read_bytes() == (made.folder / MAP).read_bytes()
    assert not (out / "tiles").exists()


@pytest.mark.slow
def test_killed_again_and_again_it_ends_all_the_same(region: Region, made: OrchardMap, tmp_path: Path) -> None:
    out = tmp_path / "map"
    for tiles in (2, 3, 5, 6, 8):
        kill_while_mapping(region, out, tiles)
    run_map(region, out)
    assert (out / MAP).read_bytes() == (made.folder / MAP).read_bytes()
