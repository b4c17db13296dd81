"""How a tree grows: trunk, branches, spurs with leaves, and shoots, all in metres.

The axes are the camera's world: right, up, away from the camera, from the foot of the tree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from device.virtual_orchard.pixels import Floats

_GOLDEN_ANGLE = 2.39996
_LOWEST_BRANCH_M = 0.5
# a hedge row is kept narrower towards the alley than along the row
_ROW_DEPTH = 0.75
_SPUR_SPACING_M, _LATERAL_SPUR_SPACING_M, _SHOOT_LEAF_SPACING_M = 0.075, 0.060, 0.030


@dataclass(frozen=True)
class Limb:
    """A piece of wood.

    Attributes:
        points_m: (k, 3) middle line.
        radii_m: (k,) half thickness.
    """

    points_m: Floats
    radii_m: Floats

    def moved(self, by_m: Floats) -> Limb:
        """The same limb elsewhere; ``by_m`` is (3,)."""
        return Limb(self.points_m + by_m, self.radii_m)


@dataclass(frozen=True)
class Tree:
    """A grown tree without its fruit.

    Attributes:
        height_m: of its top.
        spread_m: length of its lowest branches.
        trunk: the trunk.
        limbs: branches, laterals and shoots.
        spurs_m: (s, 3) places that bear leaf rosettes and may bear fruit.
        leaves_m: (n, 3) where leaves are fixed.
        leaf_directions: (n, 3) unit vectors from base to tip.
    """

    height_m: float
    spread_m: float
    trunk: Limb
    limbs: tuple[Limb, ...]
    spurs_m: Floats
    leaves_m: Floats
    leaf_directions: Floats

    def moved(self, right_m: float) -> Tree:
        """The same tree at another place in the row."""
        by = np.array((right_m, 0, 0), np.float32)
        return replace(
            self,
            trunk=self.trunk.moved(by),
            limbs=tuple(limb.moved(by) for limb in self.limbs),
            spurs_m=self.spurs_m + by,
            leaves_m=self.leaves_m + by,
        )


def grow_tree(rng: np.random.Generator, height_m: float, spread_m: float, leafiness: float) -> Tree:
    """Grow a slender spindle, the usual shape of a modern apple orchard.

    Args:
        rng: chooses everything that differs between trees.
        height_m: of the top of the trunk's shoots.
        spread_m: length of the lowest branches.
        leafiness: leaves against a tree in usual leaf.
    """
    trunk = _trunk(rng, height_m)
    branches = list(_branches(rng, trunk, height_m, spread_m))
    laterals = [lateral for branch in branches for lateral in _laterals(rng, branch)]
    ends = [*branches, *laterals]
    shoots = [_shoot(rng, limb) for limb in ends if rng.random() < 0.27]
    shoots += [_leader(rng, trunk, height_m) for _ in range(int(rng.integers(2, 5)))]
    spurs = np.concatenate(
        [_along(rng, branch, _SPUR_SPACING_M, 0.14) for branch in branches]
        + [_along(rng, lateral, _LATERAL_SPUR_SPACING_M, 0.1) for lateral in laterals]
    )
    rosettes, rosette_directions = _rosettes(rng, spurs, leafiness)
    singles, single_directions = _shoot_leaves(rng, shoots, leafiness)
    return Tree(
        height_m,
        spread_m,
        trunk,
        (*branches, *laterals, *shoots),
        spurs,
        np.concatenate((rosettes, singles)),
        np.concatenate((rosette_directions, single_directions)),
    )


def _trunk(rng: np.random.Generator, height_m: float) -> Limb:
    y = np.linspace(-0.03, 0.86 * height_m, 10, dtype=np.float32)
    sway = np.cumsum(rng.normal(0, 0.014, (10, 2)), axis=0) + np.linspace(0, 1, 10)[:, None] * rng.normal(0, 0.05, 2)
    points = np.stack((sway[:, 0], y, sway[:, 1]), axis=1).astype(np.float32)
    thickness = float(rng.uniform(0.026, 0.037))
    taper = np.linspace(1.0, 0.3, 10)
    taper[0] = 1.3  # the collar above the roots
    return Limb(points, (thickness * taper).astype(np.float32))


def _branches(rng: np.random.Generator, trunk: Limb, height_m: float, spread_m: float) -> Iterator[Limb]:
    number = int(rng.integers(17, 24))
    turn = rng.uniform(0, 2 * math.pi)
    for rank in range(number):
        share = (rank + rng.uniform(-0.3, 0.3)) / number
        base_y = _LOWEST_BRANCH_M + max(0.0, share) * (0.86 * height_m - _LOWEST_BRANCH_M) * 0.97
        base = np.array([np.interp(base_y, trunk.points_m[:, 1], trunk.points_m[:, axis]) for axis in range(3)])
        length = spread_m * (1 - 0.66 * share) * rng.uniform(0.75, 1.12)
        azimuth = turn + rank * _GOLDEN_ANGLE + rng.normal(0, 0.25)
        rise, droop = rng.uniform(0.25, 0.9), rng.uniform(0.25, 0.85)
        thickness = float(rng.uniform(0.008, 0.014)) * (1 - 0.4 * share)
        yield _bow(rng, base, azimuth, length, (rise, droop), thickness, steps=9)


def _bow(
    rng: np.random.Generator,
    base: Floats,
    azimuth: float,
    length_m: float,
    rise_and_droop: tuple[float, float],
    thickness_m: float,
    steps: int,
) -> Limb:
    """A limb that leaves its base upwards and bends down under its load."""
    s = np.linspace(0, 1, steps)
    rise, droop = rise_and_droop
    turned = azimuth + np.cumsum(rng.normal(0, 0.10, steps))
    step = length_m / (steps - 1)
    x = np.concatenate(([0.0], np.cumsum(np.cos(turned[1:]) * step)))
    z = np.concatenate(([0.0], np.cumsum(np.sin(turned[1:]) * step))) * _ROW_DEPTH
    y = length_m * (rise * s - droop * s**2) + rng.normal(0, 0.006, steps) * (s > 0)
    points = np.asarray(base) + np.stack((x, y, z), axis=1)
    return Limb(points.astype(np.float32), (thickness_m * (1 - 0.82 * s)).astype(np.float32))


def _laterals(rng: np.random.Generator, branch: Limb) -> Iterator[Limb]:
    reach = float(np.linalg.norm(branch.points_m[-1] - branch.points_m[0]))
    for _ in range(int(rng.poisson(1.5 + 5.0 * reach))):
        at = int(rng.integers(2, len(branch.points_m)))
        heading = branch.points_m[at] - branch.points_m[at - 1]
        azimuth = math.atan2(float(heading[2]), float(heading[0])) + rng.choice((-1, 1)) * rng.uniform(0.5, 1.3)
        bend = (float(rng.uniform(-0.5, 1.0)), float(rng.uniform(0.1, 0.9)))
        length = float(rng.uniform(0.10, 0.34))
        yield _bow(rng, branch.points_m[at], azimuth, length, bend, 0.4 * float(branch.radii_m[at]) + 0.0012, steps=5)


def _shoot(rng: np.random.Generator, limb: Limb) -> Limb:
    """This year's growth at the end of a limb, bending upwards."""
    heading = limb.points_m[-1] - limb.points_m[-2]
    direction = heading / np.linalg.norm(heading) * 0.7 + np.array((0, rng.uniform(0.3, 1.1), 0))
    return _rod(rng, limb.points_m[-1], direction, float(rng.uniform(0.10, 0.32)))


def _leader(rng: np.random.Generator, trunk: Limb, height_m: float) -> Limb:
    """An upright shoot at the top of the trunk."""
    base = trunk.points_m[-1 - int(rng.integers(0, 2))]
    direction = np.array((rng.normal(0, 0.35), 1.0, rng.normal(0, 0.35)))
    return _rod(rng, base, direction, float(height_m - base[1]) * float(rng.uniform(0.75, 1.0)))


def _rod(rng: np.random.Generator, base: Floats, direction: Floats, length_m: float) -> Limb:
    s = np.linspace(0, 1, 5)[:, None]
    unit = direction / np.linalg.norm(direction)
    points = base + unit * s * length_m + rng.normal(0, 0.04 * length_m, 3) * s**2
    return Limb(points.astype(np.float32), np.linspace(0.0024, 0.0008, 5).astype(np.float32))


def _along(rng: np.random.Generator, limb: Limb, spacing_m: float, start: float) -> Floats:
    """Places about every ``spacing_m`` along a limb, from a share ``start`` of it on: (n, 3)."""
    pieces = np.linalg.norm(np.diff(limb.points_m, axis=0), axis=1)
    length = np.concatenate(([0.0], np.cumsum(pieces)))
    at = np.arange(start * length[-1], length[-1], spacing_m)
    at = at + rng.uniform(-0.4, 0.4, len(at)) * spacing_m
    places = np.stack([np.interp(at, length, limb.points_m[:, axis]) for axis in range(3)], axis=1)
    return places.astype(np.float32)


def _rosettes(rng: np.random.Generator, spurs_m: Floats, leafiness: float) -> tuple[Floats, Floats]:
    """Leaves that fan out from every spur, outwards from the trunk and drooping or rising a little."""
    numbers = rng.poisson(3.5 * leafiness, len(spurs_m))
    places = np.repeat(spurs_m, numbers, axis=0)
    outwards = places * (1, 0, 1)
    outwards = outwards / np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 0.05)
    directions = rng.normal(0, 1, places.shape) + 0.35 * outwards + rng.normal((0, 0.1, -0.1), 0.1, places.shape)
    places = places + rng.normal(0, 0.012, places.shape)
    return places.astype(np.float32), _unit(directions)


def _shoot_leaves(rng: np.random.Generator, shoots: list[Limb], leafiness: float) -> tuple[Floats, Floats]:
    """Single leaves along the shoots, all round them and pointing to their tips."""
    places, directions = [], []
    for shoot in shoots:
        at = _along(rng, shoot, _SHOOT_LEAF_SPACING_M / leafiness, 0.05)
        heading = _unit((shoot.points_m[-1] - shoot.points_m[0])[None])
        places.append(at)
        directions.append(rng.normal(0, 0.75, at.shape) + 0.7 * heading + (0, -0.25, 0))
    return np.concatenate(places), _unit(np.concatenate(directions))


def _unit(vectors: Floats) -> Floats:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return np.asarray(vectors / lengths, np.float32)
