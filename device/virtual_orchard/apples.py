"""Apples: spheroids with stem cavity or calyx, blush, stripes, lenticels, sheen and the leaves' shade."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from device.virtual_orchard.canvas import Shadow, Sprite, make_sprite
from device.virtual_orchard.lights import Colour, Light
from device.virtual_orchard.noise import smooth_noise
from device.virtual_orchard.pixels import Floats, mix, smoothstep


@dataclass(frozen=True)
class Cultivar:
    """What the fruit of an orchard have in common. Colours are RGB of 0 to 255.

    Attributes:
        unripe: ground colour of young fruit.
        ripe: ground colour at harvest.
        blush: colour of the sunny side.
        deep_blush: colour where the blush is strongest.
        stripes: strength of the stripes in the blush, 0 to 1.
        flatness: height of a fruit over its width.
    """

    unripe: Colour
    ripe: Colour
    blush: Colour
    deep_blush: Colour
    stripes: float
    flatness: float


CULTIVARS = (
    Cultivar((194, 210, 126), (226, 208, 118), (208, 66, 62), (150, 22, 38), 0.35, 0.90),
    Cultivar((204, 214, 144), (226, 216, 140), (216, 92, 84), (186, 40, 58), 0.70, 0.88),
    Cultivar((184, 204, 116), (216, 194, 110), (182, 40, 52), (116, 14, 34), 0.15, 0.94),
)


@dataclass(frozen=True)
class _Surface:
    """The seen half of a fruit: unit normals (right, down, towards the camera) and place about its axis."""

    normal: Floats
    latitude: Floats
    longitude: Floats
    inside: Floats
    edge: Floats


def draw_apple(
    rng: np.random.Generator, diameter_px: float, cultivar: Cultivar, ripeness: float, light: Light, level: float
) -> Sprite:
    """Draw one fruit.

    Args:
        rng: chooses pose, blush and marks.
        diameter_px: diameter as seen.
        cultivar: the orchard's.
        ripeness: share of the peel that has blushed, 0 to 1.
        light: on the tree.
        level: light that reaches this fruit, 1 outside of the crown.

    Returns:
        A sprite whose anchor is the fruit's centre.
    """
    radius = diameter_px / 2
    shadow = Shadow(
        right_px=-light.towards_sun[0] * 0.3 * radius,
        down_px=light.towards_sun[1] * 0.3 * radius,
        blur_px=0.22 * radius,
        darkness=0.85 * light.shadow,
    )
    half = math.ceil(radius * 1.06) + shadow.margin_px
    surface = _surface(rng, half, radius, cultivar.flatness)
    rgb: Floats = _peel(rng, surface, cultivar, ripeness) * _illumination(rng, surface, light, level, radius)
    rgb = _reflections(rgb, surface, light, level)
    rgb = _ends(rng, rgb, surface)
    return make_sprite(rgb, surface.edge, (half, half), shadow)


def _surface(rng: np.random.Generator, half: int, radius: float, flatness: float) -> _Surface:
    steps = np.arange(-half, half + 1, dtype=np.float32) / radius
    x, y = steps[None], steps[:, None]
    # the stem points up, leaning any way; a lean away from the camera shows the calyx
    lean, turn = rng.normal(-0.35, 0.55), rng.normal(0, 0.45)
    axis = np.array((math.sin(turn) * math.cos(lean), -math.cos(turn) * math.cos(lean), math.sin(lean)), np.float32)
    in_plane = math.hypot(float(axis[0]), float(axis[1]))
    ux, uy = axis[0] / in_plane, axis[1] / in_plane
    squeeze = 1 - (1 - flatness * rng.uniform(0.97, 1.03)) * in_plane
    along, across = (x * ux + y * uy) / squeeze, y * ux - x * uy
    across = across * (1 - 0.06 * along * in_plane)  # shoulders wider than the calyx end
    polar = np.arctan2(along, across)
    wobble = 1 + 0.018 * np.cos(2 * polar + rng.uniform(0, 7)) + 0.012 * np.cos(5 * polar + rng.uniform(0, 7))
    distance = np.sqrt(along**2 + across**2) / wobble
    edge = np.clip((1 - distance) * radius + 0.5, 0, 1)
    shrink = np.minimum(1, 0.999 / np.maximum(distance, 1e-3))
    nx, ny = (along * ux - across * uy) * shrink, (along * uy + across * ux) * shrink
    nz = np.sqrt(np.maximum(0.0, 1 - nx**2 - ny**2))
    normal = np.stack((nx, ny, nz), axis=2)
    side = np.cross(axis, (0.0, 0.3, 1.0)).astype(np.float32)
    side /= np.linalg.norm(side)
    longitude = np.arctan2(normal @ np.cross(axis, side), normal @ side)
    return _Surface(normal, normal @ axis, longitude, distance, edge.astype(np.float32))


def _peel(rng: np.random.Generator, surface: _Surface, cultivar: Cultivar, ripeness: float) -> Floats:
    """(height, width, 3) colour of the peel under even white light."""
    height, width = surface.latitude.shape
    patches = smooth_noise(rng, height, width, width / 4)
    sunny = rng.normal((0, -0.45, 0.35), (0.6, 0.35, 0.4))
    facing = surface.normal @ (sunny / np.linalg.norm(sunny)).astype(np.float32)
    around = np.sqrt(np.maximum(0, 1 - surface.latitude**2))
    stripes = sum(np.cos(k * surface.longitude + rng.uniform(0, 7)) for k in (7, 13, 22)) * around / 3
    strength = 3.2 * (ripeness - 0.5) + 0.85 * facing + 0.28 * patches + 0.6 * cultivar.stripes * stripes
    blush = smoothstep(-0.75, 0.95, strength)
    ground = mix(
        cultivar.unripe, cultivar.ripe, np.float32(np.clip(ripeness + rng.normal(0, 0.15), 0, 1)) * np.ones(())
    )
    ground = ground * rng.normal(1, (0.04, 0.03, 0.06))
    rgb = mix(ground, cultivar.blush, blush)
    rgb = mix(rgb, cultivar.deep_blush, 0.8 * smoothstep(0.4, 2.2, strength))
    lenticels = (rng.random((height, width)) > 0.988).astype(np.float32) * (0.5 + 0.5 * around)
    return mix(rgb * (1 + 0.03 * patches[..., None]), (236, 222, 176), 0.35 * lenticels)


def _illumination(rng: np.random.Generator, surface: _Surface, light: Light, level: float, radius: float) -> Floats:
    """(height, width, 3) factor of the light on the fruit: sky from above, sun, green from below, leaf shade."""
    normal = surface.normal
    up = 0.5 - 0.5 * normal[..., 1]
    sun_x, sun_y, sun_z = light.towards_sun
    sun = np.maximum(0, normal @ np.array((sun_x, -sun_y, sun_z), np.float32))
    if light.sun > 0.3:
        height, width = up.shape
        sun = sun * smoothstep(-0.9, 0.1, smooth_noise(rng, height, width, radius * 0.7) + rng.normal(0.1, 0.5))
    round_off = 0.74 + 0.26 * normal[..., 2]
    shade = level * round_off * (light.ambient * (0.86 + 0.40 * up) + light.sun * 0.75 * sun)
    bounce = np.array((0.03, 0.06, 0.0), np.float32) * (1 - up)[..., None]
    total: Floats = (shade[..., None] + bounce).astype(np.float32)
    return total


def _reflections(rgb: Floats, surface: _Surface, light: Light, level: float) -> Floats:
    """Add the waxy sheen of the sky and the highlight of the sun."""
    sun_x, sun_y, sun_z = light.towards_sun
    half_way = np.array((sun_x, -sun_y, sun_z + 1), np.float32)
    half_way /= np.linalg.norm(half_way)
    mirror = np.maximum(0, surface.normal @ half_way)
    sheen = (0.24 + 0.14 * light.ambient) * mirror**4 + (0.15 + 0.55 * light.sun) * mirror**45
    rim = 0.14 * (1 - surface.normal[..., 2]) ** 3 * (0.5 - 0.5 * surface.normal[..., 1])
    return mix(rgb, (250, 250, 248), np.clip((sheen + rim) * level, 0, 0.85))


def _ends(rng: np.random.Generator, rgb: Floats, surface: _Surface) -> Floats:
    """Darken the stem cavity and the calyx where they are seen."""
    cavity = smoothstep(0.84, 0.985, surface.latitude)
    rgb = mix(rgb, (104, 98, 48), 0.62 * cavity)
    rgb = mix(rgb, (60, 48, 26), 0.8 * smoothstep(0.975, 0.997, surface.latitude))
    star = 0.007 * np.cos(5 * surface.longitude + rng.uniform(0, 7))
    calyx = smoothstep(0.962, 0.988, -surface.latitude + star)
    basin = smoothstep(0.80, 0.97, -surface.latitude)
    rgb = rgb * (1 - 0.14 * basin[..., None])
    return mix(rgb, (74, 60, 40), 0.85 * calyx)
