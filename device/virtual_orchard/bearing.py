"""Fruit and flower clusters on their tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.virtual_orchard.apples import CULTIVARS, Cultivar, draw_apple
from device.virtual_orchard.blossoms import draw_blossoms
from device.virtual_orchard.canvas import Sprite
from device.virtual_orchard.hanging import hang_flowers, hang_fruit
from device.virtual_orchard.pixels import Floats
from device.virtual_orchard.settings import Stage
from device.virtual_orchard.stacking import Scene, light_levels
from device.virtual_orchard.structure import Tree
from device.virtual_orchard.visibility import DrawnFruit

_FLOWER_M = 0.042
# light that reaches fruit inside of the crown, and how much more there is outside
_INSIDE_LEVEL, _OUTSIDE_GAIN, _USUAL_LEVEL = 0.77, 0.29, 0.9


@dataclass(frozen=True)
class Looks:
    """What the trees of an orchard bear.

    Attributes:
        stage: growth stage.
        cultivar: of the fruit.
        pinkness: how pink its flowers are, 0 to 1.
    """

    stage: Stage
    cultivar: Cultivar
    pinkness: float


def choose_looks(rng: np.random.Generator, stage: Stage) -> Looks:
    """Choose what an orchard bears: it is planted with one cultivar."""
    return Looks(stage, CULTIVARS[int(rng.integers(len(CULTIVARS)))], float(rng.uniform(0.15, 0.8)))


def add_fruit(scene: Scene, tree: Tree, looks: Looks, harvest_diameters_m: NDArray[np.float64]) -> list[DrawnFruit]:
    """Add the fruit, or the flower clusters while in flower.

    Args:
        scene: to add to.
        tree: that bears them.
        looks: what they look like.
        harvest_diameters_m: (n,) diameter each fruit will have at harvest.

    Returns:
        What was added; the first owns number 1 on the canvas.
    """
    diameters_m = (harvest_diameters_m * looks.stage.growth).astype(np.float32)
    if looks.stage.is_flowering:
        centres_m = hang_flowers(scene.rng, tree, len(diameters_m))
        diameters_m = np.full_like(diameters_m, _FLOWER_M)
    else:
        centres_m = hang_fruit(scene.rng, tree, diameters_m)
    places, px_per_m = scene.camera.project(centres_m)
    sizes_px = diameters_m * px_per_m
    levels = _INSIDE_LEVEL + _OUTSIDE_GAIN * light_levels(scene, centres_m, tree)
    return [
        _add_one(scene, looks, number, (x, y), float(centres_m[number - 1, 2]), sizes_px, levels)
        for number, (x, y) in enumerate(places.tolist(), start=1)
    ]


def _add_one(
    scene: Scene, looks: Looks, number: int, place: tuple[float, float], away_m: float, sizes_px: Floats, levels: Floats
) -> DrawnFruit:
    x, y = place
    sprite = _draw(scene, looks, float(sizes_px[number - 1]), float(levels[number - 1]))
    scene.add_sprite(away_m, sprite, x, y, number)
    return DrawnFruit(x, y, max(sprite.solid.shape), int(np.count_nonzero(sprite.solid)))


def _draw(scene: Scene, looks: Looks, size_px: float, level: float) -> Sprite:
    if looks.stage.is_flowering:
        # petals scatter light: even in the shade they are far lighter than leaves
        return draw_blossoms(scene.rng, size_px, scene.light, (1 + level) / 2, looks.pinkness)
    # fruit in the light blushes more
    own = 0.5 * (level - _USUAL_LEVEL) + float(scene.rng.normal(0, 0.12))
    ripeness = looks.stage.ripeness + looks.stage.unevenness * own
    return draw_apple(scene.rng, size_px, looks.cultivar, ripeness, scene.light, level)
