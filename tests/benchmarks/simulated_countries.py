"""Simulated countries: fields of rice and other crops as Sentinel-1 composites would show them, with known masks.

They are drawn, not measured. Countries differ in when rice is flooded and grows, in what grows beside it, in the size
of fields, in the level of backscatter and in how much speckle a composite keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.crops.patches import PatchSeries

PERIODS = 8
SIDE = 32
_DAYS = 20.0  # of a period, as in the paper
_PIXEL_M = 10.0


@dataclass(frozen=True)
class Country:
    """What decides a drawn country.

    Attributes:
        name: to tell it by.
        shift_days: of its calendar against the first country's.
        looks: equivalent number of looks of a composite: the fewer, the more speckle.
        level_db: added to all backscatter.
        field_m: distance of neighbouring fields' centres.
        shares: of rice, a summer crop, a winter crop, forest, and water.
    """

    name: str
    shift_days: float
    looks: float
    level_db: float
    field_m: float
    shares: tuple[float, float, float, float, float]


SOURCE = Country("source", 0.0, 8.0, 0.0, 70.0, (0.35, 0.2, 0.15, 0.2, 0.1))
TARGETS = (
    Country("A", 25.0, 4.0, -1.0, 90.0, (0.2, 0.35, 0.25, 0.1, 0.1)),
    Country("B", -20.0, 3.0, 1.0, 60.0, (0.15, 0.3, 0.3, 0.2, 0.05)),
)


def draw(country: Country, number: int, seed: int) -> PatchSeries:
    """Patches of a country, each a place of its own, VH and VV in dB; the mask is rice.

    Args:
        country: what to draw.
        number: of patches.
        seed: of everything random.
    """
    random = np.random.default_rng((seed, sum(map(ord, country.name))))
    values = np.empty((number, PERIODS, 2, SIDE, SIDE), np.float32)
    mask = np.empty((number, SIDE, SIDE), np.int8)
    for index in range(number):
        fields = _fields(country, random)
        cover = random.choice(len(country.shares), fields.max() + 1, p=country.shares)
        late = country.shift_days + 6 * random.standard_normal(len(cover))
        tone = 0.8 * random.standard_normal((len(cover), 2))
        curves = np.stack([_curve(kind, days) for kind, days in zip(cover, late, strict=True)])  # (fields, T, 2)
        clean = (curves + tone[:, None] + country.level_db)[fields]  # (H, W, T, 2)
        speckle = random.gamma(country.looks, 1 / country.looks, clean.shape)
        values[index] = (clean + 10 * np.log10(speckle)).transpose(2, 3, 0, 1)
        mask[index] = cover[fields] == 0
    steps = tuple(f"{step:02d}" for step in range(PERIODS))
    return PatchSeries(values, mask, ("VH", "VV"), steps, np.arange(number))


def _fields(country: Country, random: np.random.Generator) -> NDArray[np.int64]:
    """Which field each pixel lies in: nearest of random centres, stretched so that fields are longer than wide."""
    spacing = country.field_m / _PIXEL_M
    centres = random.uniform(-spacing, SIDE + spacing, (round(((SIDE + 2 * spacing) / spacing) ** 2), 2))
    angle, stretch = random.uniform(0, np.pi), 1.8
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [
        [stretch**0.5],
        [stretch**-0.5],
    ]
    pixels = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).reshape(-1, 2) @ turn.T
    apart = ((pixels[:, None] - (centres @ turn.T)[None]) ** 2).sum(-1)
    nearest: NDArray[np.int64] = apart.argmin(1).reshape(SIDE, SIDE)
    return nearest


def _curve(kind: int, late_days: float) -> NDArray[np.float64]:
    """(T, 2) backscatter of VH and VV in dB in the middle of each period."""
    day = _DAYS * (np.arange(PERIODS) + 0.5) - late_days

    def rise(middle: float, days: float) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-(day - middle) / days)))

    if kind == 0:  # rice: flooded at first, then grows through the water, dries before harvest
        flood = np.exp(-(((day - 35) / 18) ** 2))
        vh = -19.5 - 5.0 * flood + 4.5 * rise(65, 8) - 1.2 * rise(130, 8)
        vv = -12.0 - 4.0 * flood + 3.0 * rise(60, 8) - 1.0 * rise(130, 8)
    elif kind == 1:  # a summer crop: bare and rough, then grows without a flood
        vh = -20.0 + 5.0 * rise(60, 9) - 2.0 * rise(140, 8)
        vv = -11.5 + 1.5 * rise(60, 9)
    elif kind == 2:  # a winter crop: VV falls as stems rise, and comes back after harvest; fields may lie wet then
        vh = -18.0 - 2.0 * np.exp(-(((day - 30) / 25) ** 2)) + 1.0 * rise(100, 6)
        vv = -12.0 - 4.0 * np.exp(-(((day - 40) / 28) ** 2)) + 1.5 * rise(100, 6)
    elif kind == 3:  # forest
        vh, vv = np.full(PERIODS, -14.0), np.full(PERIODS, -8.5)
    else:  # water: low whenever it is calm
        vh, vv = np.full(PERIODS, -25.0), np.full(PERIODS, -18.0)
    return np.stack([vh, vv], 1)
