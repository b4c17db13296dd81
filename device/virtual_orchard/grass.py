"""Tufts of grass in the near alley, drawn once for each light and kept as sprites."""

from __future__ import annotations

import cv2
import numpy as np

from device.virtual_orchard.camera import Camera
from device.virtual_orchard.canvas import Canvas, Sprite
from device.virtual_orchard.lights import Light
from device.virtual_orchard.pixels import Floats, mix
from device.virtual_orchard.stacking import Scene

_TUFTS, _BLADES = 12, 46
_WIDTH_M, _HEIGHT_M = 0.26, 0.20
_SIZES = (0.62, 0.8, 1.0, 1.25)
_DARK, _FRESH, _STRAW = (62, 84, 40), (142, 164, 82), (186, 176, 126)
# the strip that is kept bare under the trees has few of them
_BARE_HALF_WIDTH_M = 0.35
_NEAREST_M, _FARTHEST_M, _PER_M2 = -0.45, 2.4, 44
_PER_FOOT = 6


def draw_tufts(rng: np.random.Generator, light: Light, px_per_m: float) -> list[list[Sprite]]:
    """Tufts of grass.

    Returns:
        For each of a few sizes, the same tufts at that size.
    """
    tufts = [_tuft(rng, light, px_per_m) for _ in range(_TUFTS)]
    return [[tuft.resized(size) for tuft in tufts] for size in _SIZES]


def _tuft(rng: np.random.Generator, light: Light, px_per_m: float) -> Sprite:
    width, height = round(_WIDTH_M * px_per_m), round(_HEIGHT_M * px_per_m)
    canvas = Canvas(width, height)
    for blade in range(_BLADES):
        foot_x, foot_y = width * float(rng.normal(0.5, 0.12)), height * float(rng.uniform(0.88, 1.0))
        length, lean = height * float(rng.uniform(0.3, 0.88)), float(rng.normal(0, 0.38))
        s = np.linspace(0, 1, 5)
        x = foot_x + length * lean * s**1.8
        y = foot_y - length * s * (1 - 0.25 * abs(lean) * s)
        share = np.float32(0.25 + 0.5 * blade / _BLADES + rng.normal(0, 0.2)) * np.ones(())
        top = _STRAW if rng.random() < 0.14 else _FRESH
        for piece in range(4):
            lit = mix(_DARK, top, np.clip(share * (0.35 + 0.75 * s[piece + 1]), 0, 1)) * (
                light.ambient + 0.3 * light.sun
            )
            colour = (*(float(value) for value in np.clip(lit, 0, 255)), 255.0)
            ends = [(round(float(x[i]) * 16), round(float(y[i]) * 16)) for i in (piece, piece + 1)]
            thickness = max(1, round((0.005 - 0.003 * float(s[piece])) * px_per_m))
            cv2.line(canvas.layer, ends[0], ends[1], colour, thickness, cv2.LINE_AA, 4)
    alpha = canvas.layer[..., 3]
    return Sprite(
        canvas.layer, np.asarray(cv2.merge([255 - alpha] * 4), np.uint8), alpha > 127, width / 2, height * 0.95
    )


def add_grass(scene: Scene, tufts: list[list[Sprite]], feet_m: list[float]) -> None:
    """Add tufts from a little before the row to the middle of the alley behind it, and some at every trunk.

    Args:
        scene: to add to.
        tufts: from :func:`draw_tufts`.
        feet_m: where along the row trunks stand.
    """
    rng, camera = scene.rng, scene.camera
    meadow, around_feet = _meadow(rng, camera), _around_feet(rng, feet_m)
    ground_m = np.concatenate((meadow, around_feet))
    places, px_per_m = camera.project(np.stack((ground_m[:, 0], np.zeros(len(ground_m)), ground_m[:, 1]), axis=1))
    for i, (x, y) in enumerate(places.tolist()):
        size = min(range(len(_SIZES)), key=lambda j: abs(_SIZES[j] - float(px_per_m[i]) / camera.px_per_m))
        scene.add_sprite(float(ground_m[i, 1]), tufts[size][int(rng.integers(_TUFTS))], x, y)


def _meadow(rng: np.random.Generator, camera: Camera) -> Floats:
    """(n, 2) places of tufts, along and away from the row: few on the bare strip, fewer far away."""
    half_m = 0.6 * camera.width_px / camera.focal_px * (camera.distance_m + _FARTHEST_M)
    number = round(_PER_M2 * (_FARTHEST_M - _NEAREST_M) * 2 * half_m)
    away_m, side_m = rng.uniform(_NEAREST_M, _FARTHEST_M, number), rng.uniform(-half_m, half_m, number)
    from_strip_m = np.abs(away_m) - _BARE_HALF_WIDTH_M + rng.normal(0, 0.08, number)
    dense = np.clip(0.18 + from_strip_m / 0.3, 0.16, 1) * np.clip((_FARTHEST_M - away_m) / 0.9, 0, 1)
    seen = np.abs(side_m) < 0.56 * camera.width_px / camera.focal_px * (camera.distance_m + away_m)
    kept = seen & (rng.uniform(0, 1, number) < dense)
    return np.stack((side_m, away_m), axis=1)[kept].astype(np.float32)


def _around_feet(rng: np.random.Generator, feet_m: list[float]) -> Floats:
    middles = np.repeat(np.array([(foot, 0.0) for foot in feet_m]), _PER_FOOT, axis=0)
    return (middles + rng.normal(0, (0.09, 0.05), middles.shape)).astype(np.float32)
