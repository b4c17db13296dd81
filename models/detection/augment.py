"""Random changes of training crops: light, occlusion, geometry.

albumentations draws them. It would report its use to its maker, which is switched off before it is imported.
"""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ["ALBUMENTATIONS_NO_TELEMETRY"] = "1"  # read on import

import albumentations as A

# a box cut by the crop's border stays a label while this much of it shows
MIN_VISIBLE_SHARE = 0.3
# grey beyond the photo's edge, as ultralytics pads
BORDER = (114, 114, 114)


class _LeafPatches(A.ConstrainedCoarseDropout):
    """Patches over a part of each box, at most a third of its width and height.

    A label means the whole fruit, leaves in front of it or not, so patches change no box.
    """

    def apply_to_bboxes(self, bboxes: np.ndarray, *_args: Any, **_params: Any) -> np.ndarray:
        return bboxes


class CropAugmentation:
    """Changes one crop at a time; the same generator state gives the same crop.

    Args:
        classes: how many classes the labels have.
    """

    def __init__(self, classes: int) -> None:
        self._compose = A.Compose(
            [
                A.HorizontalFlip(p=0.5),
                A.OneOf(
                    [
                        A.Affine(rotate=(-7, 7), rotate_method="ellipse", fill=BORDER, p=1),
                        A.Perspective(scale=(0.02, 0.06), fill=BORDER, p=1),
                    ],
                    p=0.3,
                ),
                A.OneOf(
                    [
                        A.RandomBrightnessContrast(brightness_range=(-0.35, 0.35), contrast_range=(-0.3, 0.3), p=1),
                        A.RandomGamma(gamma_range=(60, 160), p=1),
                    ],
                    p=0.6,
                ),
                A.HueSaturationValue(
                    hue_shift_range=(-4, 4), sat_shift_range=(-45, 45), val_shift_range=(-25, 25), p=0.5
                ),
                A.OneOf(
                    [
                        # shade of branches and rows, and light that falls in from one side or spot
                        A.RandomShadow(shadow_roi=(0, 0, 1, 1), shadow_intensity_range=(0.3, 0.6), p=1),
                        A.Illumination(mode="linear", intensity_range=(0.05, 0.2), p=1),
                        A.Illumination(mode="gaussian", intensity_range=(0.1, 0.2), effect_type="brighten", p=1),
                    ],
                    p=0.25,
                ),
                _LeafPatches(
                    num_holes_range=(1, 2),
                    hole_height_range=(0.1, 0.33),
                    hole_width_range=(0.1, 0.33),
                    fill="random_uniform",
                    bbox_labels=list(range(classes)),
                    p=0.2,
                ),
            ],
            bbox_params=A.BboxParams(
                coord_format="pascal_voc", label_fields=["classes"], min_visibility=MIN_VISIBLE_SHARE
            ),
            telemetry=False,
        )

    def __call__(
        self,
        image: NDArray[np.uint8],
        corners: NDArray[np.float64],
        classes: NDArray[np.int64],
        generator: np.random.Generator,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.int64]]:
        """Change a crop.

        Args:
            image: (side, side, 3) red, green, blue.
            corners: (N, 4) x1, y1, x2, y2 in pixels of the crop.
            classes: (N,) their labels.
            generator: decides what is changed, and how.

        Returns:
            Image, corners and classes; boxes that hardly show any more are dropped.
        """
        # set by hand, lest a loader process mixes in a seed of its own
        self._compose.set_random_state(generator, random.Random(int(generator.integers(2**32))))
        changed = self._compose(image=image, bboxes=corners, classes=classes)
        return (
            changed["image"],
            np.asarray(changed["bboxes"], dtype=np.float64).reshape(-1, 4),
            np.asarray(changed["classes"], dtype=np.int64).reshape(-1),
        )
