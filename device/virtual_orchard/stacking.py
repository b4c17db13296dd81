"""Putting trees on the canvas: every leaf, limb and fruit in its order of distance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from device.virtual_orchard.camera import Camera
from device.virtual_orchard.canvas import NOBODY, Canvas, Sprite
from device.virtual_orchard.leaves import DIRECTIONS, FORESHORTENINGS, TIERS, VARIANTS, LeafLibrary, leaf_size_index
from device.virtual_orchard.lights import Light
from device.virtual_orchard.pixels import Floats
from device.virtual_orchard.structure import Tree
from device.virtual_orchard.wood import draw_limb, draw_trunk


class Scene:
    """A photo in the making: drawing steps with their distances, carried out from the farthest to the nearest.

    Attributes:
        rng: random numbers of this photo.
        camera: that takes it.
        light: it is taken in.
        canvas: the steps draw on.
    """

    def __init__(self, rng: np.random.Generator, camera: Camera, light: Light) -> None:
        self.rng = rng
        self.camera = camera
        self.light = light
        self.canvas = Canvas(camera.width_px, camera.height_px)
        self._steps: list[tuple[float, Callable[[], None]]] = []

    def add(self, away_m: float, step: Callable[[], None]) -> None:
        """Note a step; ``away_m`` is measured from the row, away from the camera."""
        self._steps.append((away_m, step))

    def add_sprite(self, away_m: float, sprite: Sprite, x: float, y: float, owner: int = NOBODY) -> None:
        """Note that a sprite is to be put at column ``x`` and line ``y``."""
        self.add(away_m, partial(self.canvas.put, sprite, x, y, owner))

    def draw(self) -> Canvas:
        """Carry out all steps."""
        for _, step in sorted(self._steps, key=lambda entry: -entry[0]):
            step()
        return self.canvas


def light_levels(scene: Scene, places_m: Floats, tree: Tree) -> Floats:
    """How much light reaches places in a tree: more outside, high up and on the side the light comes from.

    Args:
        scene: with the light.
        places_m: (n, 3).
        tree: that shades them.

    Returns:
        (n,) 0 to 1.
    """
    centred = places_m - (float(tree.trunk.points_m[0, 0]), 0, 0)
    outside = np.hypot(centred[:, 0], centred[:, 2]) / tree.spread_m
    high = centred[:, 1] / tree.height_m
    side_x, _, side_z = scene.light.towards_sun
    towards_light = (centred[:, 0] * side_x - centred[:, 2] * side_z) / tree.spread_m
    gaps = scene.rng.normal(0, 0.16, len(centred))
    levels = 0.30 + 0.30 * outside + 0.22 * high + 0.35 * towards_light - 0.12 * centred[:, 2] + gaps
    return np.asarray(np.clip(levels, 0, 1), np.float32)


def add_wood(scene: Scene, tree: Tree) -> None:
    """Add the trunk and the limbs of a tree."""
    rng, camera = scene.rng, scene.camera
    sprite, x, y = draw_trunk(rng, tree.trunk, camera, scene.light)
    scene.add_sprite(float(tree.trunk.points_m[:, 2].mean()), sprite, x, y)
    for limb in tree.limbs:
        away_m = float(limb.points_m[:, 2].mean())
        level = 0.72 - 0.3 * float(np.clip(away_m, -0.6, 0.6)) + float(rng.uniform(0, 0.25))
        scene.add(away_m, partial(draw_limb, rng, scene.canvas, limb, camera, scene.light, level))


def add_leaves(scene: Scene, tree: Tree, library: LeafLibrary) -> None:
    """Add the leaves of a tree, each the sprite of its direction, distance and light."""
    places, px_per_m = scene.camera.project(tree.leaves_m)
    across, up = tree.leaf_directions[:, 0], tree.leaf_directions[:, 1]
    directions = np.round(np.arctan2(-up, across) / (2 * np.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    halfway = sum(FORESHORTENINGS) / len(FORESHORTENINGS)
    foreshortenings = (np.hypot(across, up) < halfway).astype(int)
    tiers = (light_levels(scene, tree.leaves_m, tree) * 0.999 * TIERS).astype(int)
    variants = scene.rng.integers(0, VARIANTS, len(places))
    for i, (x, y) in enumerate(places.tolist()):
        size = leaf_size_index(float(px_per_m[i]) / scene.camera.px_per_m)
        sprite = library.pick(int(directions[i]), int(foreshortenings[i]), int(tiers[i]), size, int(variants[i]))
        scene.add_sprite(float(tree.leaves_m[i, 2]), sprite, x, y)
