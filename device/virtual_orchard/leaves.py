"""Apple leaves: ovate blades with a fold, veins and sheen, drawn once for each light and kept as sprites."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from device.virtual_orchard.canvas import Shadow, Sprite, make_sprite
from device.virtual_orchard.lights import Colour, Light
from device.virtual_orchard.pixels import Floats, mix, smoothstep
from device.virtual_orchard.settings import Stage

DIRECTIONS = 16
FORESHORTENINGS = (0.95, 0.6)
VARIANTS = 3
SIZES = (0.88, 1.14)

_PETIOLE = 0.3  # of the blade's length
_SUPERSAMPLING = 2
# deep, middle and young green of the upper side, the lower side, and a leaf that turns
_DEEP, _MIDDLE, _YOUNG = (98, 126, 72), (134, 162, 88), (172, 194, 98)
_LOWER_SIDE, _TURNING, _SHEEN = (170, 186, 140), (178, 174, 94), (216, 227, 220)
# light that reaches a leaf, from the inside of the crown to its outside
_LEVELS = (0.44, 0.63, 0.81, 0.95)
TIERS = len(_LEVELS)


@dataclass(frozen=True)
class Blade:
    """One leaf before it is drawn; lengths in pixels of the drawing, angles in radians.

    Attributes:
        length_px: from base to tip as seen.
        width_px: greatest half width as seen, before folding.
        angle: direction from base to tip, clockwise from the right.
        bend: sideways bend at the tip over the length.
        sides: apparent widths of the two halves against unfolded ones.
        side_light: light on the two halves.
        colour: of the blade.
        lower: whether the lower side is seen.
        sheen: strength of the reflection of the sky.
        wave: phase and depth of the waves along the edge.
    """

    length_px: float
    width_px: float
    angle: float
    bend: float
    sides: tuple[float, float]
    side_light: tuple[float, float]
    colour: Colour
    lower: bool
    sheen: float
    wave: tuple[float, float]


class LeafLibrary:
    """Leaf sprites by direction, foreshortening, brightness and distance."""

    def __init__(self, rng: np.random.Generator, px_per_m: float, light: Light, stage: Stage) -> None:
        length_px = stage.leaf_length_m * px_per_m
        self._sprites: dict[tuple[int, int, int, int], list[Sprite]] = {}
        for direction in range(DIRECTIONS):
            for foreshortening, seen in enumerate(FORESHORTENINGS):
                for _ in range(VARIANTS):
                    blade = _random_blade(rng, length_px * seen, length_px, direction, light, stage)
                    self._keep(direction, foreshortening, draw_leaf(blade, light))

    def _keep(self, direction: int, foreshortening: int, leaf: Sprite) -> None:
        for size, factor in enumerate(SIZES):
            resized = leaf.resized(factor)
            for tier, level in enumerate(_LEVELS):
                self._sprites.setdefault((direction, foreshortening, tier, size), []).append(resized.dimmed(level))

    def pick(self, direction: int, foreshortening: int, tier: int, size: int, variant: int) -> Sprite:
        """The sprite of that kind; each argument is an index."""
        return self._sprites[direction, foreshortening, tier, size][variant]


def _random_blade(
    rng: np.random.Generator, seen_px: float, length_px: float, direction: int, light: Light, stage: Stage
) -> Blade:
    size = float(rng.uniform(0.82, 1.18)) * _SUPERSAMPLING
    tilt = float(rng.uniform(0.6, 1.0))
    folded = tilt * float(rng.uniform(0.5, 1.0))
    lower = bool(rng.random() < 0.24)
    spread = 0.16 + 0.30 * light.sun
    return Blade(
        length_px=seen_px * size,
        width_px=(0.6 * length_px + 0.4 * seen_px) * size * float(rng.uniform(0.31, 0.39)),
        angle=(direction + float(rng.uniform(-0.5, 0.5))) * 2 * math.pi / DIRECTIONS,
        bend=float(rng.normal(0, 0.17)),
        sides=(tilt, folded) if rng.random() < 0.5 else (folded, tilt),
        side_light=(1 + spread * float(rng.uniform(-1, 1)), 1 + spread * float(rng.uniform(-1, 1))),
        colour=_blade_colour(rng, stage, lower=lower),
        lower=lower,
        sheen=float(rng.uniform(0, 0.75) ** 1.7) * (0.35 if lower else 1.0),
        wave=(float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.05, 0.2))),
    )


def _blade_colour(rng: np.random.Generator, stage: Stage, *, lower: bool) -> Colour:
    if lower:
        base = np.array(_LOWER_SIDE, np.float32)
    elif rng.random() < stage.turning_leaves:
        base = np.array(_TURNING, np.float32)
    else:
        age = float(rng.beta(2.0, 3.2) + stage.leaf_youth)
        first, second = (_DEEP, _MIDDLE) if age < 0.5 else (_MIDDLE, _YOUNG)
        base = mix(first, second, np.float32(min(1.0, age % 0.5 * 2)) * np.ones(()))
    jittered = base * rng.normal(1, (0.045, 0.03, 0.05))
    return (float(jittered[0]), float(jittered[1]), float(jittered[2]))


def draw_leaf(blade: Blade, light: Light) -> Sprite:
    """Draw one leaf; its anchor is where the stalk is fixed to the shoot."""
    length = blade.length_px
    shadow = Shadow(
        right_px=-light.towards_sun[0] * 0.14 * length,
        down_px=light.towards_sun[1] * 0.14 * length,
        blur_px=light.shadow_blur * length,
        darkness=light.shadow,
    )
    reach = length * (1 + _PETIOLE)
    along, across, corner = _leaf_grid(blade, reach, shadow.margin_px)
    u = along / length
    phase, depth = blade.wave
    half_width = blade.width_px * _outline(u) * (1 + depth * np.sin(8 * u + phase + 2.2 * (across > 0)))
    side = (across > 0).astype(int)
    folded = np.asarray(blade.sides, np.float32)[side] * half_width
    v = np.abs(across) / np.maximum(folded, 1e-3)
    alpha = np.clip((1 - v) * folded + 0.5, 0, 1) * ((u > 0) & (u < 1))
    stalk = np.clip(0.016 * length + 0.9 - np.abs(across), 0, 1) * ((u > -_PETIOLE) & (u < 0.05))
    rgb = _blade_shading(blade, light, u, np.clip(v, 0, 1), side, across)
    anchor = (
        -corner[0] - math.cos(blade.angle) * _PETIOLE * length,
        -corner[1] - math.sin(blade.angle) * _PETIOLE * length,
    )
    return make_sprite(rgb, np.maximum(alpha, stalk), anchor, shadow).resized(1 / _SUPERSAMPLING)


def _leaf_grid(blade: Blade, reach: float, margin: int) -> tuple[Floats, Floats, tuple[int, int]]:
    """Coordinates along and across the leaf of every pixel of a tight box around it, and the box's corner."""
    cos, sin = math.cos(blade.angle), math.sin(blade.angle)
    length, width = blade.length_px, blade.width_px
    spread = width + abs(blade.bend) * length
    ends_x = (-cos * (reach - length), cos * length)
    ends_y = (-sin * (reach - length), sin * length)
    left = math.floor(min(ends_x) - abs(sin) * spread) - margin
    right = math.ceil(max(ends_x) + abs(sin) * spread) + margin
    top = math.floor(min(ends_y) - abs(cos) * spread) - margin
    bottom = math.ceil(max(ends_y) + abs(cos) * spread) + margin
    y, x = np.mgrid[top : bottom + 1, left : right + 1].astype(np.float32)
    along = x * cos + y * sin
    across = y * cos - x * sin
    across = across - blade.bend * length * np.square(np.maximum(along, 0) / length)
    return along, across, (left, top)


def _outline(u: Floats) -> Floats:
    """Half width along an ovate, pointed blade with a saw-toothed edge, 1 at its widest."""
    inside = np.clip(u, 0, 1)
    ovate = 2.44 * inside**0.50 * (1 - inside) ** 0.88
    teeth: Floats = ovate * (1 - 0.09 * np.mod(inside * 13, 1))
    return teeth


def _blade_shading(blade: Blade, light: Light, u: Floats, v: Floats, side: Floats, across: Floats) -> Floats:
    """(height, width, 3) colours of the blade: halves, veins, sheen and light shining through."""
    phase = np.mod(u * 8 - 2.2 * v * 0.55, 1)
    vein = np.exp(-np.square((phase - 0.5) / 0.09)) * (1 - v) * 0.8
    midrib = np.exp(-np.square(across / (0.018 * blade.length_px + 0.6)))
    pucker = 0.07 * np.sin(2 * math.pi * phase) * np.sin(math.pi * v)
    light_here = np.asarray(blade.side_light, np.float32)[side]
    wave = 1.4 * blade.wave[1] * np.sin(8 * u + blade.wave[0] + 2.2 * side + 1.2) * v
    shade = light_here + pucker + wave + 0.10 * (0.5 - v) - 0.12 * u
    prominent = 0.36 if blade.lower else 0.26
    rgb = np.asarray(blade.colour, np.float32) * shade[..., None]
    rgb = mix(rgb, (206, 214, 150), prominent * np.maximum(vein * 0.7, midrib))
    through = light.glow * 0.5
    rgb = rgb * (1 - 0.3 * through) + np.array((58, 74, 6), np.float32) * through
    bright_half = np.float32(blade.side_light[1] > blade.side_light[0])
    patch = smoothstep(0.05, 0.45, u) * smoothstep(0.98, 0.5, u) * smoothstep(1.0, 0.25, v)
    facing = np.where(side == bright_half, 1.0, 0.35).astype(np.float32)
    return mix(rgb, _SHEEN, blade.sheen * facing * patch * (1 - vein * 0.5))


def leaf_size_index(factor: float) -> int:
    """Which of ``SIZES`` fits a leaf that much larger than one at the trunk."""
    return min(range(len(SIZES)), key=lambda size: abs(SIZES[size] - factor))
