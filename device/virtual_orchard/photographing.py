"""One photo of one tree, and what can be seen of its fruit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from device.virtual_orchard.back_rows import Surroundings, draw_clumps
from device.virtual_orchard.background import draw_background
from device.virtual_orchard.bearing import add_fruit, choose_looks
from device.virtual_orchard.camera import REFERENCE_DISTANCE_M, Camera, place_camera
from device.virtual_orchard.canvas import Sprite
from device.virtual_orchard.developing import develop
from device.virtual_orchard.grass import add_grass, draw_tufts
from device.virtual_orchard.leaves import LeafLibrary
from device.virtual_orchard.lights import LIGHTS, Light
from device.virtual_orchard.pixels import Bytes
from device.virtual_orchard.planting import Shot
from device.virtual_orchard.settings import STAGES, OrchardSettings, Stream
from device.virtual_orchard.stacking import Scene, add_leaves, add_wood
from device.virtual_orchard.structure import Tree, grow_tree
from device.virtual_orchard.visibility import FruitView, view_fruit
from device.virtual_orchard.wood import draw_wire

_HEIGHT_M, _SPREAD_M = (2.15, 2.5), (0.85, 1.08)
# leaves against usual: how open a crown is differs more than anything else between trees
_OPENNESS = (0.5, 0.9)
_WIRES_M, _WIRE_THICKNESS_M = (0.9, 1.5, 2.1), 0.0028


@dataclass(frozen=True)
class Photograph:
    """A drawn photo with its truth.

    Attributes:
        pixels: (height, width, 3) uint8, RGB.
        views: what can be seen of each fruit of the tree.
    """

    pixels: Bytes
    views: tuple[FruitView, ...]


@dataclass(frozen=True)
class _Greenery:
    """Sprites of one light."""

    leaves: LeafLibrary
    clumps: list[Sprite]
    tufts: list[list[Sprite]]


class Photographer:
    """Draws the photos of one orchard; keeps the greenery of a light once it is drawn."""

    def __init__(self, settings: OrchardSettings) -> None:
        self._settings = settings
        self._stage = STAGES[settings.stage]
        self._looks = choose_looks(np.random.default_rng((settings.seed, Stream.LOOKS)), self._stage)
        self._greenery: dict[str, _Greenery] = {}

    def photograph(self, shot: Shot) -> Photograph:
        """Draw one photo: the tree with its fruit between two neighbours that bear none."""
        # a stream of its own makes the photo the same whether or not others were drawn before it
        rng = np.random.default_rng((self._settings.seed, Stream.PHOTO, shot.tree.number))
        light = LIGHTS[shot.light]
        camera = place_camera(rng, self._settings.width_px, self._settings.height_px)
        green = self._greenery_in(light, camera)
        background = draw_background(rng, camera, light, green.clumps, self._surroundings())
        scene = Scene(rng, camera, light)
        trees = [self._grow(rng, place) for place in (0, -1, 1)]
        for each in trees:
            add_wood(scene, each)
            add_leaves(scene, each, green.leaves)
        add_grass(scene, green.tufts, [float(each.trunk.points_m[0, 0]) for each in trees])
        _add_wires(scene)
        drawn = add_fruit(scene, trees[0], self._looks, shot.tree.diameters_m)
        canvas = scene.draw()
        pixels = develop(rng, canvas.over(background), light)
        return Photograph(pixels, tuple(view_fruit(canvas.owner, drawn)))

    def _greenery_in(self, light: Light, camera: Camera) -> _Greenery:
        if light.name not in self._greenery:
            rng = np.random.default_rng((self._settings.seed, Stream.GREENERY, list(LIGHTS).index(light.name)))
            px_per_m = camera.focal_px / REFERENCE_DISTANCE_M
            leaves = LeafLibrary(rng, px_per_m, light, self._stage)
            clumps, tufts = draw_clumps(rng, leaves, px_per_m), draw_tufts(rng, light, px_per_m)
            self._greenery[light.name] = _Greenery(leaves, clumps, tufts)
        return self._greenery[light.name]

    def _surroundings(self) -> Surroundings:
        cultivar, flowering = self._looks.cultivar, self._stage.is_flowering
        fruit = cultivar.blush if self._stage.ripeness > 0.5 else cultivar.unripe
        return Surroundings(
            self._settings.row_spacing_m,
            self._settings.tree_spacing_m,
            fullness=self._stage.leafiness,
            speck=(244, 232, 234) if flowering else fruit,
            specks=12 if flowering else 5,
        )

    def _grow(self, rng: np.random.Generator, place: int) -> Tree:
        """A tree at a place in the row; 0 is the photographed one."""
        height_m, spread_m = float(rng.uniform(*_HEIGHT_M)), float(rng.uniform(*_SPREAD_M))
        tree = grow_tree(rng, height_m, spread_m, self._stage.leafiness * float(rng.uniform(*_OPENNESS)))
        return tree.moved(place * self._settings.tree_spacing_m * float(rng.uniform(0.96, 1.04)))


def _add_wires(scene: Scene) -> None:
    camera = scene.camera
    for height_m in _WIRES_M:
        sag_m = scene.rng.normal(0, 0.012, 2)
        left, right = camera.horizon_px - (height_m + sag_m - camera.height_m) * camera.px_per_m
        thickness_px = _WIRE_THICKNESS_M * camera.px_per_m
        scene.add(0.02, partial(draw_wire, scene.canvas, float(left), float(right), scene.light, thickness_px))
