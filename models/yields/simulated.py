"""Simulated counties: seasons as a season file tells them, and apple yields that follow a law of these seasons.

Nothing here was measured. Temperatures, rain and sunshine have the size and the course of the year of apple counties
on a plateau at 35° north; soil water, evaporation, reflectance and indices follow from them. What such a table is for:
a model that ships without anybody's statistics, tests, and the demo. It says nothing of real apples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.yields.season_features import SEASON_FEATURES
from models.yields.table import MONTHS, FloatArray, YieldTable

SOURCE = "simulated"
_DAY_S = 86400.0
# the world begins here, so that a year is the same whatever years are asked for
_FIRST = 1990
_DAYS = np.array([30, 31, 30, 31, 31, 30, 31], dtype=np.float64)
# normals of the months at 1200 m: K, mm, W m-2, and the share of ground that leaves cover
_TAIR = np.array([284.0, 289.0, 293.5, 295.5, 294.0, 289.0, 283.0])
_RAIN_MM = np.array([35.0, 55.0, 70.0, 95.0, 95.0, 85.0, 45.0])
_SUN = np.array([225.0, 250.0, 260.0, 250.0, 230.0, 180.0, 150.0])
_COVER = np.array([0.25, 0.52, 0.68, 0.74, 0.74, 0.66, 0.42])
_LAPSE_K_PER_M = 0.0055
# reflectance of leaves and of bare dry ground: B02, B04, B08, B11, B12
_LEAVES = np.array([0.020, 0.030, 0.420, 0.180, 0.080])
_GROUND = np.array([0.090, 0.170, 0.260, 0.340, 0.280])
_STEFAN_BOLTZMANN = 5.670374e-8


@dataclass(frozen=True)
class Simulation:
    """What is simulated.

    Attributes:
        counties: how many.
        first_year: of the table.
        years: how many.
        seed: another draws other counties and seasons; one draws the same year alike in any table.
        yield_kg_per_ha: of a county as they are on average in a season as it is on average.
        county_spread: standard deviation of counties' levels, as a share.
        alternation: share of last year's departure that a county's trees take back this year.
        noise: standard deviation of what nothing explains, as a share.
    """

    counties: int = 24
    first_year: int = 2016
    years: int = 10
    seed: int = 0
    yield_kg_per_ha: float = 20_000.0
    county_spread: float = 0.15
    alternation: float = 0.25
    noise: float = 0.03


@dataclass(frozen=True, eq=False)
class _Weather:
    """Of a year, by county and month."""

    tair: FloatArray
    rain_mm: FloatArray
    sun: FloatArray
    wet_top: FloatArray
    wet_deep: FloatArray
    evaporation_mm: FloatArray


def simulate_counties(simulation: Simulation) -> YieldTable:
    """A table of simulated counties and years, county by county.

    Args:
        simulation: see there. The same one gives the same table.
    """
    n = simulation.counties
    place = np.random.default_rng([simulation.seed, 0])
    height_m = place.uniform(800, 1600, n)
    lon_lat = np.stack([place.uniform(104, 108, n), place.uniform(34, 36.5, n)], axis=1)
    area_ha = 6000 * np.exp(0.5 * place.standard_normal(n))
    level = np.exp(simulation.county_spread * place.standard_normal(n))
    own_vigour, wetter = 0.6 * place.standard_normal(n), 0.12 * place.standard_normal(n)
    season, yields = [], []
    departure = np.zeros(n)
    for year in range(_FIRST, simulation.first_year + simulation.years):
        random = np.random.default_rng([simulation.seed, year])
        weather = _weather(height_m, lon_lat[:, 1], wetter, random)
        vigour = own_vigour + 0.6 * random.standard_normal(n)
        season.append(_season(weather, height_m, vigour, random))
        departure = season_effect(season[-1]) - simulation.alternation * departure
        departure += simulation.noise * random.standard_normal(n)
        yields.append(simulation.yield_kg_per_ha * level * np.exp(departure))
    asked = slice(simulation.first_year - _FIRST, None)
    rows = n * simulation.years
    of_county = np.repeat(np.arange(n), simulation.years)
    years = np.arange(simulation.first_year, simulation.first_year + simulation.years, dtype=np.int64)
    return YieldTable(
        crop="apple",
        region=SOURCE,
        months=MONTHS,
        features=SEASON_FEATURES,
        county=np.array([f"simulated county {number + 1:02d}" for number in of_county]),
        orchard=np.full(rows, "", dtype=np.str_),
        year=np.tile(years, n),
        season=np.stack(season[asked], axis=1).reshape(rows, len(MONTHS), len(SEASON_FEATURES)),
        area_ha=area_ha[of_county],
        yield_kg_per_ha=np.stack(yields[asked], axis=1).reshape(rows),
        source=np.full(rows, SOURCE),
        weight=np.ones(rows),
        lon_lat=lon_lat[of_county],
    )


def season_effect(season: FloatArray) -> FloatArray:
    """What a season makes of a county's level: the law that models have to find.

    Frost in April costs fruit; in summer the trees want leaves, water in the soil, and no heat where it is dry; sun
    before the harvest makes fruit grow.

    Args:
        season: (…, months, features) as in the table.

    Returns:
        (…) logarithm of yield over the county's level.
    """
    feature = {f.name: season[..., place] for place, f in enumerate(SEASON_FEATURES)}
    summer = slice(MONTHS.index(6), MONTHS.index(8) + 1)
    frost = 1 / (1 + np.exp((feature["Tair_f_tavg"][..., 0] - 281.5) / 0.7))
    wet = feature["SoilMoi10_40cm_tavg"][..., summer].mean(axis=-1)
    heat = feature["Tair_f_tavg"][..., MONTHS.index(7)] - 294.0
    leaves = feature["NDVI"][..., summer].mean(axis=-1)
    sun = feature["SWdown_f_tavg"][..., MONTHS.index(8) : MONTHS.index(9) + 1].mean(axis=-1)
    dryness = np.clip((0.25 - wet) / 0.05, 0, 2)
    effect: FloatArray = (
        -0.25 * frost
        + 2.5 * (leaves - 0.65)
        - 15 * (wet - 0.26) ** 2
        - 0.03 * dryness * np.clip(heat, 0, 5)
        + 0.003 * (sun - 205)
    )
    return effect


def _weather(height_m: FloatArray, latitude: FloatArray, wetter: FloatArray, random: np.random.Generator) -> _Weather:
    """A year's weather and the soil's water, (counties, months); part of each departure is the whole region's."""
    shape = (len(height_m), len(MONTHS))

    def departures(shared: float, own: float) -> FloatArray:
        both: FloatArray = shared * random.standard_normal(shape[1]) + own * random.standard_normal(shape)
        return both

    place = -_LAPSE_K_PER_M * (height_m - 1200) - 0.6 * (latitude - 35)
    tair = _TAIR + place[:, None] + departures(1.2, 0.5)
    rain = np.exp(departures(0.28, 0.18) + wetter[:, None])
    rain_mm = _RAIN_MM * rain
    sun = _SUN * (1 - 0.10 * np.log(rain)) + departures(4, 2)
    wet_top, wet_deep, evaporation = (np.empty(shape) for _ in range(3))
    top, deep = np.full(shape[0], 0.22), np.full(shape[0], 0.24)
    for month, days in enumerate(_DAYS):
        supply = np.clip((top - 0.06) / 0.16, 0.2, 1)
        evaporation[..., month] = days * supply * 0.012 * sun[..., month]
        excess = (rain_mm[..., month] - evaporation[..., month]) / days  # mm a day
        top = np.clip(0.5 * top + 0.5 * (0.25 + 0.06 * excess), 0.05, 0.42)
        deep = np.clip(0.7 * deep + 0.3 * top, 0.06, 0.40)
        wet_top[..., month], wet_deep[..., month] = top, deep
    return _Weather(tair, rain_mm, sun, wet_top, wet_deep, evaporation)


def _season(weather: _Weather, height_m: FloatArray, vigour: FloatArray, random: np.random.Generator) -> FloatArray:
    """(counties, months, features) in the order of :data:`SEASON_FEATURES`."""
    shape = weather.tair.shape
    cover = _COVER + 0.04 * vigour[..., None] + 0.5 * (weather.wet_deep - 0.25)
    cover = np.clip(cover + 0.015 * random.standard_normal(shape), 0.05, 0.95)[..., None]
    wet_ground = _GROUND * (1 - 0.8 * (weather.wet_top[..., None] - 0.2))
    bands = cover * _LEAVES + (1 - cover) * wet_ground + 0.002 * random.standard_normal((*shape, len(_GROUND)))
    blue, red, near = (bands[..., place] for place in range(3))
    ndvi = (near - red) / (near + red)
    evi = 2.5 * (near - red) / (near + 6 * red - 7.5 * blue + 1)
    pressure = 101_325 * (1 - 2.25577e-5 * height_m[:, None]) ** 5.25588
    ground_top = weather.tair + 0.008 * weather.sun + 0.3 * random.standard_normal(shape)
    before = np.concatenate([ground_top[..., :1] - 3, ground_top[..., :-1]], axis=-1)
    clouds = 1 - weather.sun / (1.25 * _SUN)
    per_second = 1 / (_DAYS * _DAY_S)
    values = {
        "Evap_tavg": weather.evaporation_mm * per_second,
        "LWdown_f_tavg": (0.72 + 0.25 * clouds) * _STEFAN_BOLTZMANN * weather.tair**4,
        "Psurf_f_tavg": pressure + 120 * random.standard_normal(shape),
        "Rainf_f_tavg": weather.rain_mm * per_second,
        "SoilMoi00_10cm_tavg": weather.wet_top,
        "SoilMoi10_40cm_tavg": weather.wet_deep,
        "SoilTemp00_10cm_tavg": ground_top,
        "SoilTemp10_40cm_tavg": 0.6 * ground_top + 0.4 * before,
        "SWdown_f_tavg": weather.sun,
        "Tair_f_tavg": weather.tair,
        "Wind_f_tavg": np.clip(2.6 + 0.4 * random.standard_normal(shape), 0.3, None),
        "NDVI": ndvi,
        "EVI": evi,
    }
    values |= {name: bands[..., place] for place, name in enumerate(f.name for f in SEASON_FEATURES[: len(_GROUND)])}
    return np.stack([values[feature.name] for feature in SEASON_FEATURES], axis=-1)
