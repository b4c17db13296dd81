"""Apple blossom: clusters of white to pink five-petalled flowers with buds."""

from __future__ import annotations

import math

import numpy as np

from device.virtual_orchard.canvas import Shadow, Sprite, make_sprite
from device.virtual_orchard.lights import Light
from device.virtual_orchard.pixels import Floats, mix, smoothstep

_WHITE, _PINK, _BUD, _STAMEN, _THROAT = (
    (250, 246, 245),
    (238, 184, 198),
    (214, 92, 124),
    (216, 196, 92),
    (196, 210, 140),
)
_SUPERSAMPLING = 2


def draw_blossoms(rng: np.random.Generator, flower_px: float, light: Light, level: float, pinkness: float) -> Sprite:
    """Draw one flower cluster of one to six open flowers that touch, and some buds.

    Args:
        rng: chooses number, pose and place of the flowers.
        flower_px: diameter of an open flower as seen.
        light: on the tree.
        level: light that reaches this cluster, 1 outside of the crown.
        pinkness: how pink the orchard's flowers are, 0 to 1.

    Returns:
        A sprite whose anchor is the cluster's centre.
    """
    radius = flower_px / 2 * _SUPERSAMPLING
    shadow = Shadow(-light.towards_sun[0] * 0.4 * radius, 0.4 * radius, 0.3 * radius, light.shadow * 0.8)
    half = math.ceil(3.2 * radius) + shadow.margin_px
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    rgb = np.zeros((*x.shape, 3), np.float32)
    alpha = np.zeros_like(x)
    open_flowers = int(rng.choice((1, 2, 3, 4, 5, 6), p=(0.14, 0.20, 0.24, 0.22, 0.14, 0.06)))
    for number in range(open_flowers + int(rng.integers(0, 3))):
        reach = rng.uniform(0.4, 1.0) * radius * (0.0 if open_flowers == 1 else 0.55 * math.sqrt(open_flowers) + 0.3)
        turn = rng.uniform(0, 2 * math.pi)
        at_x, at_y = x - reach * math.cos(turn), y - 0.8 * reach * math.sin(turn)
        draw = _flower if number < open_flowers else _bud
        flower_rgb, flower_alpha = draw(rng, at_x, at_y, radius * float(rng.uniform(0.82, 1.1)), pinkness)
        shaded = 1 - 0.25 * smoothstep(1.45, 0.8, np.hypot(at_x, at_y - 0.2 * radius) / radius)
        rgb = rgb * (shaded * (1 - flower_alpha))[..., None] + flower_rgb * flower_alpha[..., None]
        alpha = np.maximum(alpha, flower_alpha)
    lit = level * (light.ambient * (1.02 - 0.08 * y / half) + 0.36 * light.sun)
    return make_sprite(rgb * lit[..., None], alpha, (half, half), shadow).resized(1 / _SUPERSAMPLING)


def _flower(rng: np.random.Generator, x: Floats, y: Floats, radius: float, pinkness: float) -> tuple[Floats, Floats]:
    """Colour and outline of one open flower around the origin of ``x`` and ``y``."""
    tilt, facing = rng.uniform(0, math.pi), rng.uniform(0.5, 1.0)
    along = x * math.cos(tilt) + y * math.sin(tilt)
    across = (y * math.cos(tilt) - x * math.sin(tilt)) / facing
    r = np.hypot(along, across) / radius
    phase = np.mod((np.arctan2(across, along) + rng.uniform(0, 7)) * 5 / (2 * math.pi), 1) - 0.5
    outline = 0.62 + 0.38 * np.sqrt(np.maximum(0, 1 - np.square(2 * phase))) + 0.03 * np.cos(6 * math.pi * phase)
    alpha = np.clip((outline - r) * radius + 0.5, 0, 1)
    pink = np.clip(pinkness * (0.25 + rng.uniform(0, 0.5)) + 0.35 * pinkness * smoothstep(0.5, 1.0, r), 0, 1)
    rgb = mix(_WHITE, _PINK, pink.astype(np.float32))
    rgb = rgb * (1 - 0.22 * smoothstep(0.33, 0.5, np.abs(phase)) - 0.12 * smoothstep(0.45, 0.1, r))[..., None]
    rgb = mix(rgb, _THROAT, 0.75 * smoothstep(0.22, 0.08, r))
    dots = smoothstep(0.35, 0.75, np.cos(9 * math.pi * phase)) * smoothstep(0.14, 0.2, r) * smoothstep(0.4, 0.3, r)
    return mix(rgb, _STAMEN, 0.8 * dots), alpha.astype(np.float32)


def _bud(rng: np.random.Generator, x: Floats, y: Floats, radius: float, pinkness: float) -> tuple[Floats, Floats]:
    """Colour and outline of one closed bud around the origin of ``x`` and ``y``."""
    tilt = rng.uniform(0, math.pi)
    along, across = x * math.cos(tilt) + y * math.sin(tilt), y * math.cos(tilt) - x * math.sin(tilt)
    r = np.hypot(along / 0.36, across / 0.28) / radius
    alpha = np.clip((1 - r) * radius * 0.3 + 0.5, 0, 1)
    rgb = mix(
        mix(_PINK, _BUD, np.float32(0.3 + 0.6 * pinkness) * np.ones_like(r)), _WHITE, smoothstep(0.7, 0.0, r) * 0.45
    )
    return rgb, alpha.astype(np.float32)
