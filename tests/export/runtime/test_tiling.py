"""Tiles cover the photo, and each fruit counts once wherever the borders fall.

A tile reports what a faultless network would: of every fruit the part the tile shows, unless that is a sliver.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from export.runtime.detections import Detections, pairwise_iou
from export.runtime.tiling import Tile, lay_tiles, merge_tiles

LABELS = ("apple",)
SIZE, OVERLAP = 64, 24
WIDTH, HEIGHT = 150, 110  # tiles at 0, 29, 57, 86 across and at 0, 23, 46 down
TILES = lay_tiles(WIDTH, HEIGHT, SIZE, OVERLAP)
SLIVER_PX = 4.0

Box = tuple[float, float, float, float]
shorter = st.integers(1, 400)


def seen(tile: Tile, fruit: list[Box], score: float = 0.9) -> Detections:
    """What a tile shows of the fruit, in its own pixels."""
    boxes = np.array(fruit, np.float32).reshape(-1, 4) - np.array([tile.x, tile.y] * 2, np.float32)
    boxes = boxes.clip(0, tile.size)
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= SLIVER_PX).all(axis=1)]
    number = len(boxes)
    return Detections(boxes, np.full(number, score, np.float32), np.zeros(number, np.int64), LABELS)


def merged(fruit: list[Box], tiles: list[Tile] = TILES) -> Detections:
    """What all tiles together find."""
    return merge_tiles(tiles, [seen(tile, fruit) for tile in tiles], WIDTH, HEIGHT, 0.5, (0.5,))


@st.composite
def fruits(draw: st.DrawFn, least: float, most: float) -> Box:
    """A fruit anywhere in the photo."""
    side = st.floats(least, most, width=32)
    width, height = draw(side), draw(side)
    x = draw(st.floats(0, WIDTH - most, width=32))
    y = draw(st.floats(0, HEIGHT - most, width=32))
    return (x, y, x + width, y + height)


small = fruits(8, OVERLAP - 1)
large = fruits(OVERLAP + 1, 50)


@given(shorter, shorter, st.integers(32, 128), st.data())
def test_tiles_cover_every_pixel(width: int, height: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size // 2))
    covered = np.zeros((height, width), np.bool_)
    for tile in lay_tiles(width, height, size, overlap):
        covered[tile.y : tile.y + size, tile.x : tile.x + size] = True
        assert tile.x + size <= max(width, size)
        assert tile.y + size <= max(height, size)
    assert covered.all()


@given(st.integers(1, 10_000), st.integers(32, 1024), st.data())
def test_neighbouring_tiles_share_the_overlap_at_least(length: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    assume(length < 50 * (size - overlap))
    starts = [tile.x for tile in lay_tiles(length, 1, size, overlap)]
    assert starts[0] == 0
    assert starts[-1] == max(0, length - size)
    assert all(a + size - b >= overlap for a, b in pairwise(starts))


@given(st.integers(1, 10_000), st.integers(32, 1024), st.data())
def test_no_more_tiles_are_laid_than_needed(length: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size // 2))
    number = len(lay_tiles(length, 1, size, overlap))
    assert number == 1 or (number - 1) * (size - overlap) + overlap < length


@pytest.mark.parametrize("overlap", [-1, 64, 65])
def test_an_overlap_that_leaves_no_step_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"overlap of {overlap} px does not fit tiles of 64 px; choose 0 to 63"):
        lay_tiles(100, 100, 64, overlap)


def test_a_tile_is_cut_out_where_it_lies() -> None:
    pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    assert np.array_equal(Tile(5, 3, 10).cut(pixels, 114), pixels[3:13, 5:15])


def test_what_lies_outside_the_photo_is_filled_with_padding() -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    tile = Tile(0, 0, 32).cut(pixels, 114)
    assert tile.shape == (32, 32, 3)
    assert (tile[:20, :30] == 0).all()
    assert (tile[20:] == 114).all()
    assert (tile[:, 30:] == 114).all()


@given(small)
def test_a_fruit_anywhere_counts_once(fruit: Box) -> None:
    found = merged([fruit])
    assert len(found) == 1
    assert found.boxes[0] == pytest.approx(fruit, abs=1e-3)


@pytest.mark.parametrize("x", sorted({tile.x + side for tile in TILES for side in (0, SIZE)}))
@pytest.mark.parametrize("y", sorted({tile.y + side for tile in TILES for side in (0, SIZE)}))
@pytest.mark.parametrize("side", [10, 20, 34])
def test_a_fruit_on_a_seam_or_corner_of_tiles_counts_once(x: int, y: int, side: int) -> None:
    fruit = (max(0, x - side / 2), max(0, y - side / 2), min(WIDTH, x + side / 2), min(HEIGHT, y + side / 2))
    assert len(merged([fruit])) == 1


@given(large)
def test_a_fruit_cut_in_every_tile_counts_once_as_the_union_of_its_parts(fruit: Box) -> None:
    found = merged([fruit])
    assert len(found) == 1
    assert found.boxes[0] == pytest.approx(fruit, abs=SLIVER_PX)


@given(st.lists(small, min_size=2, max_size=8))
def test_neighbouring_fruit_are_never_merged(several: list[Box]) -> None:
    overlap = pairwise_iou(np.array(several, np.float32), np.array(several, np.float32))
    np.fill_diagonal(overlap, 0)
    assume((overlap == 0).all())
    found = merged(several)
    assert len(found) == len(several)
    assert pairwise_iou(np.array(several, np.float32), found.boxes).max(axis=1) == pytest.approx(1, abs=1e-3)


@given(small, st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_two_fruit_that_hide_each_other_a_little_stay_two(fruit: Box, right: float, down: float) -> None:
    width, height = fruit[2] - fruit[0], fruit[3] - fruit[1]
    other = (fruit[0] + right * width, fruit[1] + down * height, fruit[2] + right * width, fruit[3] + down * height)
    assume(other[0] >= 0 and other[1] >= 0 and other[2] <= WIDTH and other[3] <= HEIGHT)
    assume(pairwise_iou(np.array([fruit], np.float32), np.array([other], np.float32))[0, 0] < 0.3)
    assert len(merged([fruit, other])) == 2


@given(st.lists(small, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_the_tiles_does_not_matter(several: list[Box], random: object) -> None:
    tiles = list(TILES)
    random.shuffle(tiles)  # type: ignore[attr-defined]
    assert len(merged(several, tiles)) == len(merged(several))


@given(small)
def test_the_best_score_of_a_fruit_stands(fruit: Box) -> None:
    scores = np.linspace(0.5, 0.95, len(TILES))
    found = [seen(tile, [fruit], score) for tile, score in zip(TILES, scores, strict=True)]
    best = max(float(part.scores.max()) for part in found if len(part))
    assert merge_tiles(TILES, found, WIDTH, HEIGHT, 0.5, (0.5,)).scores == pytest.approx([best])


@given(st.lists(small, max_size=5), st.lists(small | large, max_size=5))
def test_asking_for_weaker_detections_changes_no_count(strong: list[Box], weak: list[Box]) -> None:
    alone = [seen(tile, strong) for tile in TILES]
    both = [Detections.concatenate([part, seen(tile, weak, 0.1)]) for tile, part in zip(TILES, alone, strict=True)]
    joined = merge_tiles(TILES, both, WIDTH, HEIGHT, 0.5, (0.5,))
    expected = merge_tiles(TILES, alone, WIDTH, HEIGHT, 0.5, (0.5,))
    assert joined.above([0.5]).sum() == len(expected)


def pair(left: list[Box], right: list[Box], weak: tuple[Box, ...] = (), labels: tuple[int, int] = (0, 0)) -> Detections:
    """What two tiles report, at 0 to 64 and at 40 to 104; boxes are in pixels of the photo, weak ones of the left."""
    tiles = [Tile(0, 0, SIZE), Tile(40, 0, SIZE)]
    found = []
    for tile, boxes, label in zip(tiles, (left, right), labels, strict=True):
        faint = list(weak) if tile.x == 0 else []
        every = np.array([*boxes, *faint], np.float32).reshape(-1, 4) - np.array([tile.x, 0] * 2, np.float32)
        scores = np.array([0.9] * len(boxes) + [0.1] * len(faint), np.float32)
        found.append(Detections(every, scores, np.full(len(every), label, np.int64), ("apple", "apple_flower")))
    return merge_tiles(tiles, found, 104, SIZE, 0.5, (0.5, 0.5))


@pytest.mark.parametrize(
    ("left", "right"), [((36, 10, 64, 30), (40, 10, 70, 30)), ((30, 10, 64, 30), (40, 10, 66, 30))]
)
def test_a_fruit_cut_in_both_tiles_is_the_union_of_its_parts(left: Box, right: Box) -> None:
    found = pair([left], [right])
    assert found.boxes.tolist() == [[left[0], 10, right[2], 30]]


def test_a_cut_fruit_that_looks_smaller_than_it_is_still_is_the_whole_one_beside_it() -> None:
    assert pair([(30, 10, 60, 40)], [(40, 15, 52, 33)]).boxes.tolist() == [[30, 10, 60, 40]]


def test_a_small_fruit_before_a_large_one_that_the_other_tile_missed_stays() -> None:
    assert len(pair([(43, 10, 60, 27)], [(45, 12, 53, 20)])) == 2


def test_fruit_that_one_tile_saw_apart_are_not_joined() -> None:
    overlapping = [(10.0, 10.0, 30.0, 30.0), (10.0, 15.0, 30.0, 35.0)]
    assert len(pair(overlapping, [])) == 2


def test_an_apple_and_a_flower_in_one_place_stay_two() -> None:
    found = pair([(45, 10, 60, 25)], [(45, 10, 60, 25)], labels=(0, 1))
    assert found.count_by_label() == {"apple": 1, "apple_flower": 1}


def test_a_weak_box_over_two_cut_fruit_does_not_make_them_one() -> None:
    joined = pair([], [(40, 10, 50, 20), (40, 22, 50, 32)], weak=((38, 8, 52, 34),))
    assert joined.above((0.5, 0.5)).sum() == 2


def test_what_a_network_sees_in_the_padding_is_no_fruit() -> None:
    found = Detections(
        np.array([[45, 10, 60, 20], [30, 10, 45, 20]], np.float32),
        np.ones(2, np.float32),
        np.zeros(2, np.int64),
        LABELS,
    )
    joined = merge_tiles([Tile(0, 0, SIZE)], [found], 40, 30, 0.5, (0.5,))
    assert joined.boxes.tolist() == [[30, 10, 40, 20]]
