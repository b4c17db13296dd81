"""Spatial blocks and the folds made of them."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from models.maps.blocks import block_of
from models.maps.errors import MapError
from models.orchards.blocks import split


def test_no_block_is_on_both_sides_and_every_point_is_judged_once() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(105, 106, 800), rng.uniform(34, 35, 800)
    orchard = rng.random(800) < 0.3
    blocks = block_of(lon, lat, 10)
    judged = np.zeros(800, int)
    for train, test in split(orchard, blocks, 5, seed=1):
        assert not set(blocks[train]) & set(blocks[test])
        judged[test] += 1
        assert 0 < orchard[train].mean() < 1
    assert (judged == 1).all()


@pytest.mark.parametrize("lat", [0.0, 35.0, 65.0])
def test_a_block_is_as_wide_as_it_says_at_any_latitude(lat: float) -> None:
    """Points 10 m apart on a line of 40 km to the east fall into blocks of 10 km."""
    line = Geod(ellps="WGS84").fwd_intermediate(105.0, lat, 90.0, 4001, 10.0, return_back_azimuth=True)
    _, points = np.unique(block_of(np.array(line.lons), np.array(line.lats), 10), return_counts=True)
    inner = sorted(points)[-3:]
    assert inner == pytest.approx([1000] * 3, abs=3)


def test_too_few_blocks_are_refused_with_a_remedy() -> None:
    orchard = np.array([True, False] * 10)
    with pytest.raises(MapError, match="5 folds need points of orchards in 5 blocks or more, and there are 2"):
        next(split(orchard, np.repeat([0, 1], 10), 5, seed=0))


@pytest.mark.parametrize(
    ("lon", "lat", "km"), [([], [], 10), ([105.0], [95.0], 10), ([105.0], [np.nan], 10), ([1.0], [2.0], 0)]
)
def test_points_that_are_none_are_refused(lon: list[float], lat: list[float], km: float) -> None:
    with pytest.raises(MapError):
        block_of(np.array(lon), np.array(lat), km)
