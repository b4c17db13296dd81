"""Photos with the counted boxes drawn on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.runtime.counter import Counter, PhotoCount
from export.runtime.detections import Detections
from export.runtime.overlay import draw_overlay, write_overlay
from export.runtime.photos import Photo
from tests.drawing import draw_discs, in_rows
from tests.processes import run_pomona_process

LABELS = ("apple", "apple_flower")


def one_box(counted: bool) -> PhotoCount:
    box = np.array([[300, 200, 340, 240]], np.float32)
    some = Detections(box, np.array([0.9], np.float32), np.array([0]), LABELS)
    return PhotoCount(some, np.array([counted]), 1.0)


def grey(width: int, height: int) -> Photo:
    return Photo(np.full((height, width, 3), 90, np.uint8), None, None, None)


def test_counted_boxes_are_drawn_where_they_lie() -> None:
    drawn = draw_overlay(grey(640, 480), one_box(counted=True))
    assert drawn[200, 320].tolist() == [255, 64, 0]
    assert drawn[220, 340].tolist() == [255, 64, 0]
    assert drawn[220, 320].tolist() == [90, 90, 90]


def test_what_does_not_count_is_not_drawn() -> None:
    assert (draw_overlay(grey(640, 480), one_box(counted=False))[100:] == 90).all()


def test_large_photos_are_drawn_smaller_with_boxes_in_place() -> None:
    drawn = draw_overlay(grey(4000, 1000), one_box(counted=True))
    assert drawn.shape == (500, 2000, 3)
    assert drawn[100, 160].tolist() == [255, 64, 0]


def test_the_photo_itself_is_not_drawn_on(counter: Counter) -> None:
    photo = Photo(draw_discs(in_rows(3)), None, None, None)
    before = photo.pixels.copy()
    draw_overlay(photo, counter.count(photo))
    assert np.array_equal(photo.pixels, before)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_overlay_is_saved_as_its_name_says(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"overlay{suffix}"
    write_overlay(path, grey(640, 480), one_box(counted=True))
    with Image.open(path) as image:
        assert image.format == {".jpg": "JPEG", ".png": "PNG"}[suffix]
        assert image.size == (640, 480)


def test_without_opencv_overlays_say_what_to_install_before_anything_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    done = run_pomona_process("count", tmp_path / "a.jpg", "--overlay", tmp_path / "boxes", blocked=["cv2"])
    assert done.returncode == 1
    assert done.stderr.startswith("Error: overlays need OpenCV; pip install '.[opencv]' in Pomona's folder")
