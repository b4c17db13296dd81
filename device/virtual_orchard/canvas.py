"""Sprites, and the layer they are stacked on from the farthest to the nearest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.virtual_orchard.pixels import Bytes, Floats, to_bytes

NOBODY = 0
# a shadow weaker than this changes no pixel value
_UNTOUCHED = 1 - 0.5 / 255


@dataclass(frozen=True)
class Sprite:
    """A small picture with its soft shadow, ready to be stacked.

    Attributes:
        colour: (height, width, 4) uint8, RGB times alpha, and alpha.
        keep: (height, width, 4) uint8, share of what lies behind that stays, of 255. Red, green and blue are
            darkened by the shadow as well, alpha is not: so a shadow falls on the tree but not on the sky.
        solid: (height, width) bool, where the sprite hides what lies behind.
        anchor_x: column that is laid on the place the sprite is put at.
        anchor_y: line that is laid on that place.
    """

    colour: Bytes
    keep: Bytes
    solid: NDArray[np.bool_]
    anchor_x: float
    anchor_y: float

    def resized(self, factor: float) -> Sprite:
        """The same sprite at another size."""
        height, width = self.solid.shape
        size = max(1, round(width * factor)), max(1, round(height * factor))
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        colour = np.asarray(cv2.resize(self.colour, size, interpolation=way), np.uint8)
        keep = np.asarray(cv2.resize(self.keep, size, interpolation=way), np.uint8)
        return Sprite(
            colour, keep, colour[..., 3] > 127, self.anchor_x * size[0] / width, self.anchor_y * size[1] / height
        )

    def dimmed(self, level: float) -> Sprite:
        """The same sprite in less light."""
        colour = self.colour.copy()
        colour[..., :3] = to_bytes(colour[..., :3] * np.float32(level))
        return Sprite(colour, self.keep, self.solid, self.anchor_x, self.anchor_y)


@dataclass(frozen=True)
class Shadow:
    """A shadow to lay under a sprite.

    Attributes:
        right_px: how far it is thrown to the right.
        down_px: how far it is thrown down.
        blur_px: standard deviation of its edge.
        darkness: 0 to 1.
    """

    right_px: float
    down_px: float
    blur_px: float
    darkness: float

    @property
    def margin_px(self) -> int:
        """Empty pixels a sprite needs around it for this shadow."""
        return round(max(abs(self.right_px), abs(self.down_px)) + 2 * self.blur_px) + 1


def make_sprite(rgb: Floats, alpha: Floats, anchor: tuple[float, float], shadow: Shadow | None) -> Sprite:
    """Join colour, outline and shadow, and cut off empty borders.

    Args:
        rgb: (height, width, 3), 0 to 255.
        alpha: (height, width), 0 to 1.
        anchor: column and line laid on the place the sprite is put at.
        shadow: what falls on the things behind; None for nothing.
    """
    stays = 1 - alpha
    lit = stays
    if shadow is not None:
        shift = np.array([[1, 0, shadow.right_px], [0, 1, shadow.down_px]], np.float32)
        size = alpha.shape[1], alpha.shape[0]
        thrown = np.asarray(cv2.warpAffine(alpha, shift, size), np.float32)
        thrown = np.asarray(cv2.GaussianBlur(thrown, (0, 0), max(0.3, shadow.blur_px)), np.float32)
        lit = stays * (1 - shadow.darkness * thrown)
    touched = (alpha > 0) | (lit < _UNTOUCHED)
    columns, lines = _span(touched, 0), _span(touched, 1)
    colour = np.dstack((np.clip(rgb, 0, 255) * alpha[..., None], alpha * 255))[lines, columns]
    keep = (np.dstack((lit, lit, lit, stays)) * np.float32(255))[lines, columns]
    solid = np.ascontiguousarray(alpha[lines, columns] > 0.5)
    return Sprite(to_bytes(colour), to_bytes(keep), solid, anchor[0] - columns.start, anchor[1] - lines.start)


def _span(touched: NDArray[np.bool_], axis: int) -> slice:
    places = np.flatnonzero(touched.any(axis=axis))
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 1)


class Canvas:
    """A see-through layer that remembers which countable object each of its pixels shows.

    Attributes:
        layer: (height, width, 4) uint8, RGB times alpha, and alpha.
        owner: (height, width) uint16, number of the object that is seen there; 0 for none.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        self.layer: Bytes = np.zeros((height_px, width_px, 4), np.uint8)
        self.owner: NDArray[np.uint16] = np.zeros((height_px, width_px), np.uint16)

    def put(self, sprite: Sprite, x: float, y: float, owner: int = NOBODY) -> None:
        """Lay a sprite on top, its anchor at column ``x`` and line ``y``; what falls outside is cut off."""
        height, width = sprite.solid.shape
        left, top = round(x - sprite.anchor_x), round(y - sprite.anchor_y)
        x1, y1 = max(0, left), max(0, top)
        x2, y2 = min(self.owner.shape[1], left + width), min(self.owner.shape[0], top + height)
        if x1 >= x2 or y1 >= y2:
            return
        part = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        below = self.layer[y1:y2, x1:x2]
        cv2.add(cv2.multiply(below, sprite.keep[part], scale=1 / 255), sprite.colour[part], dst=below)
        self.owner[y1:y2, x1:x2][sprite.solid[part]] = owner

    def over(self, background: Bytes) -> Bytes:
        """The layer in front of a background.

        Args:
            background: (height, width, 3) uint8.

        Returns:
            (height, width, 3) uint8.
        """
        stays = cv2.cvtColor(255 - self.layer[..., 3], cv2.COLOR_GRAY2RGB)
        behind = cv2.multiply(background, stays, scale=1 / 255)
        return np.asarray(cv2.add(behind, self.layer[..., :3]), np.uint8)
