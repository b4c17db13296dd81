"""The block on paper: where its trees stand, what each bears, and when and in which light it is photographed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from device.virtual_orchard.lights import LIGHTS
from device.virtual_orchard.settings import OrchardSettings, Stream

_METRES_PER_DEGREE = 111_320.0
_FIRST_PHOTO, _LAST_PHOTO = time(8, 30), time(18, 30)
# from this share of the visit on the sun stands low
_EVENING_FROM = 0.8
_DAY_LIGHTS = tuple(name for name in LIGHTS if name != "evening")

_MEAN_DIAMETER_M, _TREE_CV, _FRUIT_CV = 0.074, 0.025, 0.085
# one standard deviation more fruit on a tree makes its fruit this much smaller
_LOAD_EFFECT = 0.03
# an apple weighs a sphere's volume, flattened, at 0.84 g/cm³
_WEIGHT_G_PER_M3 = 0.84e6 * 0.93 * math.pi / 6


@dataclass(frozen=True)
class PlantedTree:
    """One tree of the block.

    Attributes:
        number: place in the block, row by row from 0.
        code: registry code such as R01-T07.
        latitude: degrees north.
        longitude: degrees east.
        diameters_m: (n,) diameter of each of its fruit at harvest.
    """

    number: int
    code: str
    latitude: float
    longitude: float
    diameters_m: NDArray[np.float64]

    @property
    def fruit(self) -> int:
        """Fruit on the tree, hidden ones included."""
        return len(self.diameters_m)

    @property
    def yield_kg(self) -> float:
        """Weight of its fruit at harvest."""
        return float(np.sum(_WEIGHT_G_PER_M3 * self.diameters_m**3)) / 1000


@dataclass(frozen=True)
class Shot:
    """One planned photo.

    Attributes:
        tree: that is photographed.
        taken_at: clock of the camera, without a zone.
        light: name of the light condition.
    """

    tree: PlantedTree
    taken_at: datetime
    light: str


def plant_block(settings: OrchardSettings) -> list[PlantedTree]:
    """All trees of the block, row by row, with the fruit they bear."""
    rng = np.random.default_rng((settings.seed, Stream.LOADS))
    loads = _loads(rng, settings)
    spread = max(settings.fruit_cv * settings.mean_fruit, 1.0)
    return [
        _plant(settings, number, int(load), (load - settings.mean_fruit) / spread) for number, load in enumerate(loads)
    ]


def _loads(rng: np.random.Generator, settings: OrchardSettings) -> NDArray[np.int64]:
    """Fruit of every tree: a gamma distribution, since no tree bears less than nothing and some bear very much."""
    mean, cv = settings.mean_fruit, settings.fruit_cv
    if cv == 0:
        return np.full(settings.block_trees, round(mean), np.int64)
    return np.round(rng.gamma(cv**-2, mean * cv**2, settings.block_trees)).astype(np.int64)


def _plant(settings: OrchardSettings, number: int, load: int, load_deviation: float) -> PlantedTree:
    rng = np.random.default_rng((settings.seed, Stream.FRUIT, number))
    row, place = divmod(number, settings.trees_per_row)
    mean_m = _MEAN_DIAMETER_M * (1 + rng.normal(0, _TREE_CV) - _LOAD_EFFECT * float(np.clip(load_deviation, -2, 2)))
    diameters_m = mean_m * np.clip(rng.normal(1, _FRUIT_CV, load), 0.7, 1.3)
    # rows run east, each next one stands further south
    latitude = settings.latitude - row * settings.row_spacing_m / _METRES_PER_DEGREE
    metres_per_degree_east = _METRES_PER_DEGREE * math.cos(math.radians(settings.latitude))
    longitude = settings.longitude + place * settings.tree_spacing_m / metres_per_degree_east
    return PlantedTree(number, f"R{row + 1:02d}-T{place + 1:02d}", latitude, longitude, diameters_m)


def plan_visit(settings: OrchardSettings, block: list[PlantedTree]) -> list[Shot]:
    """The photographed trees: one out of each of as many equal parts of the block, in the order of walking."""
    rng = np.random.default_rng((settings.seed, Stream.VISIT))
    parts = (np.arange(settings.trees) + rng.uniform(0, 1, settings.trees)) * len(block) / settings.trees
    start = datetime.combine(settings.day, _FIRST_PHOTO)
    span = datetime.combine(settings.day, _LAST_PHOTO) - start
    shots = []
    for rank, number in enumerate(parts.astype(int).tolist()):
        share = rank / max(1, settings.trees - 1)
        light = "evening" if share > _EVENING_FROM else _DAY_LIGHTS[int(rng.integers(len(_DAY_LIGHTS)))]
        taken_at = start + timedelta(seconds=round(share * span.total_seconds()))
        shots.append(Shot(block[number], taken_at, light))
    return shots
