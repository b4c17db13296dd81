"""From the drawn scene to what a camera makes of it: haze, exposure, tones, blur and sensor noise."""

from __future__ import annotations

import cv2
import numpy as np

from device.virtual_orchard.lights import Light
from device.virtual_orchard.pixels import Bytes, Floats, to_bytes

_NOISE_TILE_PX = 512
_SENSOR_NOISE = 2.2


def develop(rng: np.random.Generator, scene: Bytes, light: Light) -> Bytes:
    """Make a photo of a scene.

    Args:
        rng: chooses exposure, white balance, focus and noise of this photo.
        scene: (height, width, 3) uint8, RGB.
        light: of the photo.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    hazy = _veil(scene, light.haze * float(rng.uniform(0.7, 1.3)))
    exposed = np.asarray(cv2.LUT(hazy, _tone_curves(rng, light)), np.uint8)
    soft = cv2.GaussianBlur(exposed, (0, 0), float(rng.uniform(0.4, 0.65)))
    grain = _grain(rng, scene.shape[0], scene.shape[1])
    return np.asarray(cv2.add(soft, grain, dtype=cv2.CV_8U), np.uint8)


def _veil(scene: Bytes, haze: float) -> Bytes:
    """Spread light of bright sky over its surroundings, as a lens does."""
    height, width = scene.shape[:2]
    small = np.asarray(cv2.resize(scene, (width // 16, height // 16), interpolation=cv2.INTER_AREA), np.float32)
    bright = np.maximum(0, small - 110) * (255 / 145)
    wide = np.asarray(cv2.GaussianBlur(bright, (0, 0), width / 16 / 12), np.float32)
    near = np.asarray(cv2.GaussianBlur(bright, (0, 0), width / 16 / 60), np.float32)
    veil = to_bytes((0.6 * wide + 0.4 * near) * haze)
    spread = np.asarray(cv2.resize(veil, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.add(scene, cv2.multiply(spread, 255 - scene, scale=1 / 255)), np.uint8)


def _tone_curves(rng: np.random.Generator, light: Light) -> Bytes:
    """One curve a channel: (1, 256, 3) uint8."""
    exposure = light.exposure * float(rng.normal(1, 0.06))
    tint = np.asarray(light.tint, np.float32) * (1 + rng.normal(0, 0.015) * np.array((1, 0, -1), np.float32))
    contrast = light.contrast * float(rng.normal(1, 0.04))
    values = np.arange(256, dtype=np.float32)[:, None] / 255 * exposure * tint
    # a shoulder keeps highlights from clipping hard
    rolled = np.where(values > 0.8, 0.8 + 0.24 * np.tanh((values - 0.8) / 0.24), values)
    curve: Floats = (0.48 + (rolled - 0.48) * contrast) * 255
    return to_bytes(curve.astype(np.float32))[None]


def _grain(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Sensor noise, (height, width, 3) int16, repeated from one tile: nobody sees that it is."""
    tile = rng.standard_normal((_NOISE_TILE_PX, _NOISE_TILE_PX, 3), dtype=np.float32)
    tile += 0.8 * tile.mean(axis=2, keepdims=True)
    tile = np.round(tile * _SENSOR_NOISE * 0.7).astype(np.int16)
    copies = -(-height // _NOISE_TILE_PX), -(-width // _NOISE_TILE_PX), 1
    return np.tile(tile, copies)[:height, :width]
