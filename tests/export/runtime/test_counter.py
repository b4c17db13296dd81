"""Counting in a photo: through real tiles and a real engine, on photos whose count is known."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.runtime.bundle import Bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.photos import Photo, read_photo
from export.runtime.tiling import lay_tiles
from tests.disc_bundle import LONGEST_SIDE_PX, TILE_PX, make_disc_bundle
from tests.drawing import RADIUS_PX, draw_discs, encode, in_rows

CELLS = st.sampled_from([(x, y) for x in range(12) for y in range(9)])


def photo(pixels: NDArray[np.uint8]) -> Photo:
    return Photo(pixels, None, None, None)


@settings(max_examples=25)
@given(st.sets(CELLS, max_size=40), st.integers(0, 9), st.integers(0, 9), st.data())
def test_every_disc_counts_once_wherever_tiles_meet(
    counter: Counter, cells: set[tuple[int, int]], right: int, down: int, data: st.DataObject
) -> None:
    centres = [(25 + 52 * x + right, 25 + 52 * y + down) for x, y in sorted(cells)]
    apples = data.draw(st.integers(0, len(centres)))
    found = counter.count(photo(draw_discs(centres[:apples], centres[apples:], seed=right)))
    assert found.counts == {"apple": apples, "apple_flower": len(centres) - apples}


def test_boxes_lie_on_the_discs_in_pixels_of_the_photo(counter: Counter) -> None:
    found = counter.count(photo(draw_discs([(100, 300), (500, 60)]))).detections
    expected = [[x - RADIUS_PX, y - RADIUS_PX, x + RADIUS_PX, y + RADIUS_PX] for x, y in ((100, 300), (500, 60))]
    assert found.boxes[np.argsort(found.boxes[:, 0])] == pytest.approx(np.array(expected), abs=5)


@pytest.mark.parametrize(("width", "height"), [(TILE_PX, TILE_PX), (200, 150), (TILE_PX + 1, 100), (100, 500)])
def test_photos_smaller_than_a_tile_are_padded(counter: Counter, width: int, height: int) -> None:
    pixels = draw_discs([(50, 60), (width - 15, height - 15)], size=(width, height))
    found = counter.count(photo(pixels))
    assert found.counts["apple"] == 2
    assert (found.detections.boxes >= 0).all()
    assert (found.detections.boxes <= np.array([width, height] * 2)).all()


def test_photos_larger_than_the_network_learned_are_scaled_down(counter: Counter) -> None:
    factor = 2
    centres = [(2 * x, 2 * y) for x, y in in_rows(20)]
    size = (2 * LONGEST_SIDE_PX, 1001)
    found = counter.count(photo(draw_discs(centres, size=size, radius=factor * RADIUS_PX)))
    assert found.counts["apple"] == 20
    assert found.detections.boxes.max(axis=0)[2] == pytest.approx(2 * 580 + 40, abs=10)
    assert (found.detections.boxes <= np.array(size * 2)).all()


def test_a_photo_is_looked_at_more_closely_when_it_shows_more_of_a_smaller_label(tmp_path: Path) -> None:
    """Blossoms are small: at half the size the network sees them faintly, which is enough to look again."""
    half = {"overlap_px": 60, "match_threshold": 0.5, "longest_side_px": LONGEST_SIDE_PX}
    size = (2 * LONGEST_SIDE_PX, 800)
    blossoms = [(2 * x, 2 * y) for x, y in in_rows(20)]

    def counts(closer_px: dict[str, int], discs: NDArray[np.uint8]) -> dict[str, int]:
        bundle = make_disc_bundle(tmp_path / str(len(closer_px)), tiling={**half, "closer_px": closer_px})
        return Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(1))).count(photo(discs)).counts

    small = draw_discs([], blossoms, size=size, radius=RADIUS_PX)
    assert counts({}, small)["apple_flower"] == 0
    assert counts({"apple_flower": 2 * LONGEST_SIDE_PX}, small)["apple_flower"] == 20
    fruit = [(2 * x, 2 * y + 350) for x, y in in_rows(20)]
    mixed = draw_discs(fruit, blossoms[:3], size=size, radius=2 * RADIUS_PX)
    assert counts({"apple_flower": 2 * LONGEST_SIDE_PX}, mixed) == counts({}, mixed)


def test_a_photo_decoded_small_is_counted_like_the_whole_one(counter: Counter, tmp_path: Path) -> None:
    path = tmp_path / "tree.jpg"
    centres = [(4 * x, 4 * y) for x, y in in_rows(20)]
    path.write_bytes(encode(draw_discs(centres, size=(4 * LONGEST_SIDE_PX, 1600), radius=4 * RADIUS_PX)))
    small = read_photo(path, LONGEST_SIDE_PX)
    assert max(small.pixels.shape) == LONGEST_SIDE_PX
    found = counter.count(small)
    assert found.counts["apple"] == 20
    assert found.detections.boxes == pytest.approx(counter.count(read_photo(path)).detections.boxes, abs=4)


def test_the_manifest_says_in_which_order_the_colours_go(tmp_path: Path) -> None:
    swapped = {"name": "images", "size_px": TILE_PX, "colour_order": "BGR", "scale": 1 / 255, "padding": 114}
    bundle = make_disc_bundle(tmp_path / "bundle", input=swapped)
    found = Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(1))).count(photo(draw_discs(in_rows(3))))
    assert found.counts == {"apple": 0, "apple_flower": 3}


def test_a_label_counts_from_its_own_threshold(tmp_path: Path) -> None:
    bundle = make_disc_bundle(
        tmp_path / "bundle", counting={"apple": {"threshold": 1.0}, "apple_flower": {"threshold": 0.6}}
    )
    counter = Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(1)))
    small = draw_discs(in_rows(2), in_rows(5)[2:], radius=RADIUS_PX - 2)
    assert counter.count(photo(small)).counts == {"apple": 0, "apple_flower": 3}


@pytest.mark.parametrize("min_score", [0.0, 0.3, 0.6, 0.95])
def test_what_is_listed_changes_no_count(counter: Counter, min_score: float) -> None:
    faint = draw_discs([*in_rows(30)[10:]], radius=RADIUS_PX - 3).copy()
    faint[:80] = draw_discs(in_rows(10), radius=RADIUS_PX - 9)[:80]
    listing = Counter(counter.bundle, counter.engine, min_score)
    assert listing.count(photo(faint)).counts == counter.count(photo(faint)).counts


def test_weaker_detections_are_listed_when_asked_for_and_do_not_count(counter: Counter) -> None:
    faint = photo(draw_discs(in_rows(4), radius=RADIUS_PX - 9))
    assert len(counter.count(faint).detections) == 0
    found = Counter(counter.bundle, counter.engine, min_score=0.2).count(faint)
    assert len(found.detections) >= 4
    assert found.counts == {"apple": 0, "apple_flower": 0}


def test_the_shipped_bundle_counts_a_drawn_photo(shipped_counter: Counter) -> None:
    found = shipped_counter.count(photo(draw_discs(in_rows(12))))
    assert set(found.counts) == {"apple", "apple_flower"}
    assert found.counts["apple"] + found.counts["apple_flower"] == len(found.detections)
    assert (np.diff(found.detections.scores) <= 0).all()
    assert found.milliseconds > 0


@pytest.mark.slow
def test_listing_more_counts_no_more_on_a_real_tree(shipped_counter: Counter, data: Path) -> None:
    tree = photo(read_photo(min((data / "orchard" / "val" / "trees" / "images").glob("*.jpg"))).pixels)
    listing = Counter(shipped_counter.bundle, shipped_counter.engine, min_score=0.001).count(tree)
    plain = shipped_counter.count(tree)
    assert listing.counts == plain.counts
    assert len(listing.detections) > len(plain.detections)


class _SlowEngine:
    """Looks at its tile only when two others have come in."""

    at_once = 3

    def __init__(self, engine: OnnxRuntimeEngine) -> None:
        self.engine, self.name = engine, engine.name
        self.together = threading.Barrier(self.at_once)

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        before = images.copy()
        self.together.wait(timeout=30)
        assert np.array_equal(images, before), "another tile was written over this one"
        return self.engine.infer(images)

    def rest(self) -> None:
        self.engine.rest()


def test_tiles_computed_at_once_are_the_same_as_one_after_another(disc_bundle: Bundle, counter: Counter) -> None:
    drawn = photo(draw_discs(in_rows(60), size=(640, 480)))
    engine = _SlowEngine(OnnxRuntimeEngine(disc_bundle, OnnxRuntimeSettings(threads=1)))
    tiling = disc_bundle.manifest.tiling
    assert len(lay_tiles(640, 480, TILE_PX, tiling.overlap_px)) == 2 * engine.at_once
    found, alone = Counter(disc_bundle, engine).count(drawn), counter.count(drawn)
    assert found.counts == alone.counts
    assert np.array_equal(found.detections.boxes, alone.detections.boxes)
    assert np.array_equal(found.detections.scores, alone.detections.scores)
