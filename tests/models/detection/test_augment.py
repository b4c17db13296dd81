"""Changed crops: the labels stay true, the generator decides, nothing is reported to anyone."""

from __future__ import annotations

from pathlib import Path

import albumentations
import numpy as np
import pytest
from numpy.typing import NDArray

from models.detection.augment import CropAugmentation
from tests.processes import run_python

SIDE = 160
BOX = np.array([[60.0, 50.0, 90.0, 80.0]])


def _disc(colour: int = 200) -> NDArray[np.uint8]:
    """A disc that fills the box, on black."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[(columns - 75) ** 2 + (rows - 65) ** 2 < 15**2] = (colour, colour // 2, colour // 2)
    return image


@pytest.fixture(scope="module")
def augmentation() -> CropAugmentation:
    return CropAugmentation(classes=2)


def test_the_box_goes_where_its_fruit_goes(augmentation: CropAugmentation) -> None:
    moved = 0
    for number in range(60):
        image, corners, classes = augmentation(_disc(), BOX, np.array([1]), np.random.default_rng(number))
        assert (image.shape, image.dtype.name, classes.tolist()) == ((SIDE, SIDE, 3), "uint8", [1])
        x1, y1, x2, y2 = corners[0]
        moved += abs(x1 - 60) > 0.5
        assert 24 < x2 - x1 < 40, "neither cut by patches nor swollen by rotation"
        assert 24 < y2 - y1 < 40
        red, x, y = image[..., 0].astype(int) - image[..., 1], int((x1 + x2) / 2), int((y1 + y2) / 2)
        assert red[y - 12 : y + 12, x - 12 : x + 12].mean() > 3 * red.mean()
    assert moved > 20


def test_light_and_occlusion_change(augmentation: CropAugmentation) -> None:
    pictures = [augmentation(_disc(), BOX, np.array([0]), np.random.default_rng(i))[0] for i in range(60)]
    middles = {int(np.median(picture[picture.max(2) > 40])) for picture in pictures}
    assert len(middles) > 20, "brightness"


def test_patches_cover_at_most_a_quarter_of_a_fruit(augmentation: CropAugmentation) -> None:
    (patches,) = [t for t in augmentation._compose.transforms if isinstance(t, albumentations.ConstrainedCoarseDropout)]
    assert patches.num_holes_range[1] * patches.hole_height_range[1] * patches.hole_width_range[1] < 0.25


def test_the_same_generator_state_gives_the_same_crop(augmentation: CropAugmentation) -> None:
    def crops(seed: int) -> list[NDArray[np.uint8]]:
        return [augmentation(_disc(), BOX, np.array([0]), np.random.default_rng((seed, i)))[0] for i in range(8)]

    first, again, other = crops(1), crops(1), crops(2)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_a_crop_without_boxes_stays_one(augmentation: CropAugmentation) -> None:
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64)
    for number in range(20):
        _, corners, classes = augmentation(_disc(), *nothing, np.random.default_rng(number))
        assert (corners.shape, classes.shape) == ((0, 4), (0,))


def test_nothing_is_reported_to_the_library_s_maker(tmp_path: Path) -> None:
    """In a fresh process outside any test, where albumentations would otherwise make a client and send."""
    done = run_python(
        "import socket, numpy as np\n"
        "def refuse(*_): raise SystemExit('a connection was opened')\n"
        "socket.socket.connect = refuse\n"
        "from models.detection.augment import CropAugmentation\n"
        "import albumentations.core.analytics.telemetry as telemetry\n"
        "image, corners, classes = np.zeros((64, 64, 3), np.uint8), np.zeros((0, 4)), np.zeros(0, int)\n"
        "CropAugmentation(2)(image, corners, classes, np.random.default_rng(0))\n"
        "print(telemetry.telemetry_client)\n"
    )
    assert done.stdout.strip() == "None", done.stderr
