"""Trunk, branches and trellis wires."""

from __future__ import annotations

import cv2
import numpy as np

from device.virtual_orchard.camera import Camera
from device.virtual_orchard.canvas import NOBODY, Canvas, Shadow, Sprite, make_sprite
from device.virtual_orchard.lights import Light
from device.virtual_orchard.noise import smooth_noise
from device.virtual_orchard.pixels import Floats, mix, smoothstep
from device.virtual_orchard.structure import Limb

_BARK, _BARK_LIGHT, _LICHEN = (140, 116, 96), (180, 158, 134), (166, 168, 152)
_YOUNG_WOOD = (122, 98, 74)
_WIRE = (176.0, 178.0, 180.0)
# lines drawn inside one another make a round limb: share of its thickness, shift towards the light, light on it
_ROUNDING = ((1.0, 0.0, 0.52), (0.80, 0.12, 0.78), (0.52, 0.30, 1.0), (0.24, 0.46, 1.16))
# bark differs from one such piece of a limb to the next
_PIECE_M = 0.016
_LEAST_LINE_PX = 0.9


def draw_trunk(rng: np.random.Generator, trunk: Limb, camera: Camera, light: Light) -> tuple[Sprite, float, float]:
    """Draw a trunk as a rounded strip of bark.

    Returns:
        The sprite, and the column and line its anchor belongs at.
    """
    places, px_per_m = camera.project(trunk.points_m)
    half_width = trunk.radii_m * px_per_m
    margin = float(half_width.max()) * 1.8 + 4
    left, right = int(places[:, 0].min() - margin), int(places[:, 0].max() + margin)
    top, bottom = int(places[:, 1].min()), int(places[:, 1].max())
    lines = np.arange(top, bottom + 1, dtype=np.float32)
    middle = np.interp(lines, places[::-1, 1], places[::-1, 0]).astype(np.float32)
    half = np.interp(lines, places[::-1, 1], half_width[::-1]).astype(np.float32)
    half *= 1 + 0.05 * smooth_noise(rng, len(lines), 2, float(half.max()) * 1.5)[:, 0]
    across = np.arange(left, right + 1, dtype=np.float32)[None] - middle[:, None]
    v = across / half[:, None]
    alpha = np.clip((1 - np.abs(v)) * half[:, None] + 0.5, 0, 1)
    rgb = _bark(rng, v, float(half.max())) * _round_light(np.clip(v, -1, 1), light)[..., None]
    shadow = Shadow(-light.towards_sun[0] * half.max(), 0.0, 0.7 * float(half.max()), 0.6 * light.shadow)
    return make_sprite(rgb, alpha, (0.0, 0.0), shadow), float(left), float(top)


def _bark(rng: np.random.Generator, v: Floats, half_px: float) -> Floats:
    height, width = v.shape
    fissures = smooth_noise(rng, height, width, max(1.5, half_px * 0.12)) * 0.5
    rings = smooth_noise(rng, height, 2, max(2.0, half_px * 0.3))[:, :1]
    patches = smooth_noise(rng, height, width, half_px * 1.4)
    rgb = mix(_BARK, _BARK_LIGHT, np.clip(0.35 + 0.3 * patches + 0.15 * rings, 0, 1))
    rgb = mix(rgb, _LICHEN, 0.6 * smoothstep(0.6, 1.3, smooth_noise(rng, height, width, half_px * 0.8)))
    return rgb * (1 + 0.14 * fissures)[..., None]


def _round_light(v: Floats, light: Light) -> Floats:
    facing = np.sqrt(1 - v**2)
    sideways = v * light.towards_sun[0] + facing * max(0.0, light.towards_sun[2])
    total: Floats = light.ambient * (0.42 + 0.5 * facing) + light.sun * 0.6 * np.maximum(0, sideways)
    return total


def draw_limb(rng: np.random.Generator, canvas: Canvas, limb: Limb, camera: Camera, light: Light, level: float) -> None:
    """Draw a branch or shoot straight onto the canvas, light on its upper side and dark below.

    Args:
        rng: chooses the colour of the bark.
        canvas: to draw on.
        limb: to draw.
        camera: that looks at it.
        light: on the tree.
        level: light that reaches this limb, 1 outside of the crown.
    """
    limb = _in_pieces(limb)
    places, px_per_m = camera.project(limb.points_m)
    thick = 2 * limb.radii_m * px_per_m
    thick *= rng.normal(1, 0.07, len(thick))
    patches = rng.normal(1, 0.09, (len(thick), 1)) * rng.normal(1, 0.015, (len(thick), 3))
    young = float(np.clip(1.6 - thick.max() / (0.011 * camera.px_per_m), 0, 1))
    bark = mix(_BARK, _YOUNG_WOOD, np.float32(young) * np.ones(())) * rng.uniform(0.85, 1.15)
    strength = level * (light.ambient + 0.35 * light.sun)
    widths = (thick[:-1] + thick[1:]) / 2
    for share, lift, tone in _ROUNDING:
        colours = bark * patches[:-1] * (tone * strength)
        raise_px = np.stack((np.zeros_like(widths), widths / 2 * lift), axis=1)
        drawn = (widths * share >= _LEAST_LINE_PX) | (share == 1)
        _lines(
            canvas,
            (places[:-1] - raise_px)[drawn],
            (places[1:] - raise_px)[drawn],
            colours[drawn],
            widths[drawn] * share,
        )


def _in_pieces(limb: Limb) -> Limb:
    """The limb along a smooth curve through its points, in short pieces."""
    known = np.arange(len(limb.points_m))
    length_m = float(np.linalg.norm(np.diff(limb.points_m, axis=0), axis=1).sum())
    at = np.linspace(0, known[-1], max(len(known), round(length_m / _PIECE_M)))
    slopes = np.gradient(limb.points_m, axis=0)
    start = np.minimum(at.astype(int), known[-1] - 1)
    t = (at - start)[:, None]
    first, second = limb.points_m[start], limb.points_m[start + 1]
    points = (
        (1 + 2 * t) * (1 - t) ** 2 * first
        + t * (1 - t) ** 2 * slopes[start]
        + t**2 * (3 - 2 * t) * second
        + t**2 * (t - 1) * slopes[start + 1]
    )
    return Limb(points.astype(np.float32), np.interp(at, known, limb.radii_m).astype(np.float32))


def draw_wire(canvas: Canvas, line_left_px: float, line_right_px: float, light: Light, thickness_px: float) -> None:
    """Draw a trellis wire across the photo."""
    left, right = np.array([(-2.0, line_left_px)]), np.array([(canvas.owner.shape[1] + 2.0, line_right_px)])
    _lines(canvas, left, right, np.array([_WIRE]) * light.ambient, np.array([thickness_px]))


def _lines(canvas: Canvas, starts: Floats, ends: Floats, colours: Floats, thickness_px: Floats) -> None:
    """Draw opaque lines.

    Args:
        canvas: to draw on.
        starts: (n, 2) columns and lines.
        ends: (n, 2) columns and lines.
        colours: (n, 3) RGB, cut off at 0 and 255.
        thickness_px: (n,), at least 1 is drawn.
    """
    bits = 4  # OpenCV takes places in parts of a pixel, here sixteenths
    first, second = ((np.round(points * 2**bits)).astype(int).tolist() for points in (starts, ends))
    paints = np.column_stack((np.clip(colours, 0, 255), np.full(len(colours), 255.0))).tolist()
    widths = np.maximum(1, np.round(thickness_px)).astype(int).tolist()
    for start, end, paint, width in zip(first, second, paints, widths, strict=True):
        cv2.line(canvas.layer, start, end, paint, width, cv2.LINE_AA, bits)
        cv2.line(canvas.owner, start, end, (NOBODY,), width, cv2.LINE_8, bits)
