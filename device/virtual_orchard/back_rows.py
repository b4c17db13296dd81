"""The next rows of the orchard: trees made of lumps of foliage."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from device.virtual_orchard.camera import Camera
from device.virtual_orchard.canvas import Canvas, Sprite
from device.virtual_orchard.leaves import DIRECTIONS, FORESHORTENINGS, TIERS, VARIANTS, LeafLibrary
from device.virtual_orchard.lights import Colour, Light

# rows behind are drawn at this share of the photo's size
HALF = 0.5
_CLUMPS, _CLUMP_LEAVES, _CLUMP_M = 8, 130, 0.58
_CLUMPS_PER_TREE = 64
# clumps are never drawn larger than this share of their size at the photographed row
_KEPT_SCALE = 0.3
# light on the foliage inside of a crown
_INSIDE = 0.6
_HEIGHT_M, _LOWEST_M = (2.1, 2.95), 0.45
_BARK = (88, 72, 60)


@dataclass(frozen=True)
class Surroundings:
    """What the trees around are like.

    Attributes:
        row_spacing_m: between the rows.
        tree_spacing_m: between the trees of a row.
        fullness: foliage of the rows behind, 1 in full leaf.
        speck: colour of fruit or blossom far away, RGB of 0 to 255.
        specks: number of them on a tree.
    """

    row_spacing_m: float
    tree_spacing_m: float
    fullness: float
    speck: Colour
    specks: int


def draw_clumps(rng: np.random.Generator, library: LeafLibrary, px_per_m: float) -> list[Sprite]:
    """Foliage in lumps, as large as on the photographed tree: what rows further back are made of.

    Returns:
        Lumps from the inside of a crown and from its outside, by turns.
    """
    size = round(_CLUMP_M * px_per_m)
    clumps = []
    for _ in range(_CLUMPS):
        canvas = Canvas(size, size)
        for number in range(_CLUMP_LEAVES):
            reach, turn = size * 0.40 * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
            x, y = size / 2 + reach * np.cos(turn), size / 2 + reach * np.sin(turn)
            depth = number / _CLUMP_LEAVES - 0.5 * y / size + rng.normal(0.3, 0.15)
            tier = int(np.clip(depth * TIERS, 0, TIERS - 1))
            kind = rng.integers((DIRECTIONS, len(FORESHORTENINGS), VARIANTS))
            canvas.put(library.pick(int(kind[0]), int(kind[1]), tier, 0, int(kind[2])), x, y)
        alpha = canvas.layer[..., 3]
        keep = cv2.merge([255 - alpha] * 4)
        clump = Sprite(canvas.layer, np.asarray(keep, np.uint8), alpha > 127, size / 2, size / 2).resized(_KEPT_SCALE)
        clumps += [clump.dimmed(_INSIDE), clump]
    return clumps


class BackRow:
    """One row behind the photographed one.

    Args:
        camera: of the photo.
        light: of the photo.
        around: what its trees are like.
        number: 1 for the next row, 2 for the one behind it.
        clumps: from :func:`draw_clumps`.
    """

    def __init__(self, camera: Camera, light: Light, around: Surroundings, number: int, clumps: list[Sprite]) -> None:
        self._light, self._around, self._number = light, around, number
        self._size = round(camera.width_px * HALF), round(camera.height_px * HALF)
        self._px_per_m = HALF * camera.focal_px / (camera.distance_m + number * around.row_spacing_m)
        self._centre_px = HALF * camera.centre_px
        self._foot_px = HALF * camera.horizon_px + camera.height_m * self._px_per_m
        self._clumps = [clump.resized(self._px_per_m / camera.px_per_m / _KEPT_SCALE) for clump in clumps]

    def draw(self, rng: np.random.Generator) -> Canvas:
        """Draw all trees of the row that are in the photo."""
        canvas = Canvas(*self._size)
        spacing_m = self._around.tree_spacing_m
        half_m = self._size[0] / 2 / self._px_per_m + spacing_m
        for x_m in np.arange(-half_m + rng.uniform(0, 1) * spacing_m, half_m, spacing_m):
            self._tree(rng, canvas, self._centre_px + float(x_m + rng.normal(0, 0.08)) * self._px_per_m)
        return canvas

    def _tree(self, rng: np.random.Generator, canvas: Canvas, foot_x: float) -> None:
        height_m = float(rng.uniform(*_HEIGHT_M))
        foot = round(foot_x), round(self._foot_px)
        top = round(foot_x + rng.normal(0, 0.03) * self._px_per_m), round(foot[1] - 0.8 * height_m * self._px_per_m)
        thickness = max(1, round(0.05 * self._px_per_m))
        cv2.line(canvas.layer, foot, top, self._paint(_BARK), thickness, cv2.LINE_AA)
        number = round(_CLUMPS_PER_TREE * self._around.fullness)
        for rank in range(number):
            up = float(rng.beta(1.1, 1.4))
            # the foliage inside comes first
            outside = int(rng.random() < 0.15 + 0.85 * rank / number)
            reach_m = (0.95 - 0.72 * up) * (0.55 + 0.45 * outside) * float(rng.normal(0, 0.5))
            y_m = _LOWEST_M + up * (height_m - _LOWEST_M - 0.15)
            clump = self._clumps[2 * int(rng.integers(len(self._clumps) // 2)) + outside]
            canvas.put(clump, foot_x + reach_m * self._px_per_m, self._foot_px - y_m * self._px_per_m)
        if self._number > 1:  # on the next row they would be large enough to be taken for fruit of the photographed one
            self._specks(rng, canvas, foot_x)

    def _specks(self, rng: np.random.Generator, canvas: Canvas, foot_x: float) -> None:
        for _ in range(int(rng.poisson(self._around.specks))):
            x = foot_x + rng.normal(0, 0.35) * self._px_per_m
            y = self._foot_px - rng.uniform(0.5, 2.0) * self._px_per_m
            radius = max(1, round(0.026 * self._px_per_m))
            cv2.circle(canvas.layer, (round(x), round(y)), radius, self._paint(self._around.speck), -1, cv2.LINE_AA)

    def _paint(self, colour: Colour) -> tuple[float, float, float, float]:
        red, green, blue = (value * self._light.ambient * 0.9 for value in colour)
        return red, green, blue, 255.0
