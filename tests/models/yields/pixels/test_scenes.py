"""Tiles cover a scene and keep its points where they lie; folds share no pixel."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.maps.errors import MapError
from models.yields.pixels.folds import at_random, by_field, numbers_of, share_of_points
from models.yields.pixels.scenes import NO_FIELD, UNLABELLED, Points, starts, tiles
from tests.models.yields.pixels.drawn import scene


@given(length=st.integers(1, 700), side=st.integers(8, 256), overlap=st.floats(0, 0.6))
def test_tiles_cover_an_axis_and_overlap(length: int, side: int, overlap: float) -> None:
    at = starts(length, side, overlap)
    covered = np.zeros(max(length, side), int)
    for start in at:
        covered[start : start + side] += 1
    assert (covered[:length] > 0).all()
    assert at[-1] + side <= max(length, side)
    assert all(second - first <= int(side * (1 - overlap)) for first, second in itertools.pairwise(at))


def test_256_px_with_an_overlap_of_a_tenth_step_by_230() -> None:
    assert starts(700, 256, 0.1) == [0, 230, 444]


def test_an_overlap_of_all_is_told() -> None:
    with pytest.raises(MapError, match="cannot overlap by 1"):
        starts(100, 32, 1.0)


def test_points_of_a_tile_lie_on_the_pixels_they_lay_on() -> None:
    whole = scene(side=50)
    cut = list(tiles(whole, 32, 0.1))
    assert len(cut) == 4
    for tile in cut:
        row, column = map(int, tile.name.split("@")[1].split(","))
        moved = tile.points.moved(-row, -column)
        np.testing.assert_array_equal(whole.fields[moved.row, moved.column], tile.points.field)
        inside = whole.crops[row : row + 32, column : column + 32]
        np.testing.assert_array_equal(tile.crops[: inside.shape[0], : inside.shape[1]], inside)
    # 4 px of overlap, and no point more than twice along an axis
    assert len(whole.points) <= sum(len(tile.points) for tile in cut) < 1.4 * len(whole.points)


def test_what_lies_beyond_a_scene_was_not_seen() -> None:
    beyond = scene(side=36).window(24, 24, 32)
    assert beyond.clear[:, :12, :12].all()
    assert not beyond.clear[:, 12:].any()
    assert (beyond.crops[12:] == UNLABELLED).all()
    assert (beyond.fields[:, 12:] == NO_FIELD).all()


def test_shapes_that_do_not_fit_are_told() -> None:
    with pytest.raises(MapError, match="crops is"):
        replace(scene(), crops=np.zeros((3, 3), np.uint8))
    one = np.ones(1, np.int64)
    with pytest.raises(MapError, match="outside"):
        replace(scene(side=24), points=Points(one * 30, one, np.ones(1), np.zeros(1), one * 0, one))


def test_by_field_no_pixel_is_on_both_sides() -> None:
    cut = [tile for seed in range(2) for tile in tiles(scene(f"s{seed}", seed=seed), 32, 0.3)]
    judged = []
    for fold in by_field(cut, 4, seed=0):
        learned, tested = numbers_of(fold.train), numbers_of(fold.test)
        assert not np.intersect1d(learned, tested).size
        for tile in fold.train:
            before = next(one for one in cut if one.name == tile.name)
            hidden = np.isin(before.fields, tested)
            np.testing.assert_array_equal(tile.clear, before.clear & ~hidden)
            assert not tile.clear[:, hidden].any()
            assert (tile.images.swapaxes(0, 1)[:, :, hidden] == 0).all()
            assert (tile.crops[hidden] == UNLABELLED).all()
        judged.append(tested)
    np.testing.assert_array_equal(np.sort(np.concatenate(judged)), numbers_of(cut))


def test_random_folds_deal_out_tiles_once() -> None:
    cut = list(tiles(scene(), 32, 0.1))
    tested = [tile.name for fold in at_random(cut, 3, seed=1) for tile in fold.test]
    assert sorted(tested) == sorted(tile.name for tile in cut)
    assert all(len(fold.train) + len(fold.test) == len(cut) for fold in at_random(cut, 3, seed=1))


def test_too_few_fields_and_points_in_no_field_are_told() -> None:
    cut = list(tiles(scene(side=24), 24, 0.0))
    with pytest.raises(MapError, match="9 folds need as many fields, and there are 4"):
        next(by_field(cut, 9, 0))
    nowhere = replace(cut[0].points, field=np.full(len(cut[0].points), NO_FIELD))
    with pytest.raises(MapError, match="stands in no field"):
        next(by_field([replace(cut[0], points=nowhere)], 2, 0))
    with pytest.raises(MapError, match="as many tiles"):
        next(at_random(cut, 2, 0))


def test_a_share_of_the_points_is_drawn_over_all_tiles() -> None:
    cut = list(tiles(scene(), 24, 0.0))
    kept = share_of_points(cut, 0.3, seed=2)
    assert sum(len(tile.points) for tile in kept) == round(0.3 * sum(len(tile.points) for tile in cut))
    assert all(after.crops is before.crops for after, before in zip(kept, cut, strict=True))
    assert [len(tile.points) for tile in kept] != [len(tile.points) for tile in share_of_points(cut, 0.3, seed=3)]
