"""Public statistics with season features as yield tables: what each set holds, in our units, and what it lacks.

Planted area is 1 ha in every row of a set that does not tell it, so that it says nothing.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.yields.season_features import SEASON_FEATURES
from models.yields.table import MONTHS, Feature, FloatArray, TableError, YieldTable

# kg/ha of one bushel an acre, by the legal weight of a bushel
SOYBEAN_BUSHELS_PER_ACRE = 60 * 0.45359237 / 0.40468564224
CORN_BUSHELS_PER_ACRE = 56 * 0.45359237 / 0.40468564224
_KG_PER_HA_OF_KG_PER_MU = 15.0
_MM_PER_INCH = 25.4

_WEEKS = 26
_ILLINOIS_STEPS = 7
_ILLINOIS_WEATHER = {"CR": "mm", "GDD": "K", "SR": "kJ m-2", "VP": "Pa"}
_ILLINOIS_PERIODS = (("train", 1980, 2013), ("valid", 2014, 2018), ("test", 2019, 2022))
_WINTER_WHEAT_MONTHS = (11, 12, 1, 2, 3, 4, 5)


def illinois_soybean(folder: Path, *, indices: bool = True) -> YieldTable:
    """96 counties of Illinois, soybean 2018 to 2022; 26 weeks from April as seven steps of three or four.

    Without satellite indices the years 2015 to 2018 are there too, by weather and soil moisture.

    The set's weekly weather was scaled to 0 … 1 in each of three periods and week by week, 2018 in another period than
    the years after it. The season's means in their own units, given beside it, determine every week's scale, but not
    its zero. So weather is kept here as the county's departure from the year's mean over all counties, in which zeros
    do not matter; satellite indices and soil moisture are as they were given. Yields are the set's own; its anomaly,
    which is their departure from the year's mean, has two counties the wrong way round (Lake and LaSalle).

    Raises:
        TableError: a file is missing or not what it was.
    """
    files = ("sp", "ndvi", "evi", "savi", "ri") if indices else ("sp",)
    weather, satellite = _illinois_weather(folder), _illinois_satellite(folder, files)
    yields = _frame(folder / "yield_1980_2022.parquet").set_index(["County", "Year"])["Yield"]
    rows = satellite.index
    names = {"SM": "environmental", "PR": "environmental"} | dict.fromkeys(_ILLINOIS_WEATHER, "environmental")
    if indices:
        names |= dict.fromkeys(("NDVI", "EVI", "SAVI", "GNDVI", "LSWI", "SATVI", "WDVI"), "index")
    weeks = pd.concat([satellite, weather.loc[rows]], axis=1)
    series = np.stack([weeks[[f"{name}{week}" for week in range(1, _WEEKS + 1)]].to_numpy() for name in names], axis=2)
    parts = np.array_split(np.arange(_WEEKS), _ILLINOIS_STEPS)
    return _county_table(
        crop="soybean",
        region="Illinois",
        months=tuple(range(1, _ILLINOIS_STEPS + 1)),
        features=[Feature(name, group, _ILLINOIS_WEATHER.get(name, "1")) for name, group in names.items()],
        county=rows.get_level_values("County"),
        year=rows.get_level_values("Year"),
        season=np.stack([series[:, part].mean(axis=1) for part in parts], axis=1),
        yield_kg_per_ha=yields.loc[rows].to_numpy() * SOYBEAN_BUSHELS_PER_ACRE,
        source="illinois_soy_county",
    )


def iowa(folder: Path, crop: str) -> YieldTable:
    """99 counties of Iowa, 2017 to 2022, corn or soybean, weather of the whole season: one step, no months.

    Raises:
        TableError: the file is missing or not what it was, or the crop is not in it.
    """
    columns = {"corn": ("corn", CORN_BUSHELS_PER_ACRE), "soybean": ("soybeans", SOYBEAN_BUSHELS_PER_ACRE)}
    if crop not in columns:
        raise TableError(f"no {crop} in this set; choose {' or '.join(columns)}")
    name, kg_per_ha = columns[crop]
    frame = _frame(folder / "features_all_crops.csv")
    first = list(frame.columns).index("Avg Temperature (K) Mean")
    weather = list(frame.columns)[first:]
    frame = frame.dropna(subset=[f"Yield_{name}", f"Production_{name}", *weather])
    return _county_table(
        crop=crop,
        region="Iowa",
        months=(1,),
        features=[Feature(column, "environmental", _unit(column)) for column in weather],
        county=frame["FIPS"].astype(int).astype(str).str.zfill(5),
        year=frame["Year"],
        season=frame[weather].to_numpy()[:, None],
        area_ha=(frame[f"Production_{name}"] / frame[f"Yield_{name}"] * 0.40468564224).to_numpy(),
        yield_kg_per_ha=frame[f"Yield_{name}"].to_numpy() * kg_per_ha,
        source="iowa_county_hrrr",
    )


def china_wheat(folder: Path) -> YieldTable:
    """393 counties of China, winter wheat 2011 to 2014, monthly climate from November to the May before harvest.

    Years before 2011 are left out: the set fills 2006 to 2010 by interpolation.

    Raises:
        TableError: the file is missing or not what it was.
    """
    frame = _frame(folder / "county_wheat_2005_2014_monthly_cru.parquet").set_index(["ID", "year"])
    rows = frame[frame.index.get_level_values("year") >= 2011].index
    before = pd.MultiIndex.from_arrays([rows.get_level_values("ID"), rows.get_level_values("year") - 1])
    variables = list(dict.fromkeys(column[:-4] for column in frame.columns if column[-4:-2] == "_m"))
    season = np.empty((len(rows), len(_WINTER_WHEAT_MONTHS), len(variables)))
    for i, month in enumerate(_WINTER_WHEAT_MONTHS):
        columns = [f"{variable}_m{month:02d}" for variable in variables]
        season[:, i] = frame.loc[before if month > 6 else rows, columns].to_numpy()
    found = frame.loc[rows]
    table = _county_table(
        crop="winter wheat",
        region="China",
        months=_WINTER_WHEAT_MONTHS,
        features=[Feature(v, "environmental", "mm" if v == "pre" else "degC") for v in variables],
        county=rows.get_level_values("ID").astype(str).str.zfill(3) + " " + found["County"].to_numpy(),
        year=rows.get_level_values("year"),
        season=season,
        yield_kg_per_ha=found["yield_t_ha"].to_numpy() * 1000,
        source="china_county_wheat",
        lon_lat=found[["lon", "lat"]].to_numpy(),
    )
    return table.take(np.isfinite(table.yield_kg_per_ha))


def state_apples(folder: Path) -> YieldTable:
    """Apples of four states of the USA, 2007 to 2023, with weather from April to October; a state stands for a county.

    Raises:
        TableError: the file is missing or not what it was.
    """
    frame = _frame(folder / "monthly_weather_and_yield.csv")
    units = {"PRCP_in": "in", "TMAX_F": "degF", "TMIN_F": "degF", "AWND_mph": "mph"}
    wide = frame[frame["month"].isin(MONTHS)].pivot_table(index=["state", "Year"], columns="month", values=list(units))
    wide = wide.dropna()
    yields = frame.groupby(["state", "Year"])["yield_kg_mu"].first().loc[wide.index]
    return _county_table(
        crop="apple",
        region="USA",
        months=MONTHS,
        features=[Feature(name.rsplit("_", 1)[0], "environmental", unit) for name, unit in units.items()],
        county=wide.index.get_level_values("state"),
        year=wide.index.get_level_values("Year").astype(int),
        season=np.stack([wide[name][list(MONTHS)].to_numpy() for name in units], axis=2),
        yield_kg_per_ha=yields.to_numpy() * _KG_PER_HA_OF_KG_PER_MU,
        source="apple_state_yield_weather",
    )


def rain_of_states(table: YieldTable) -> YieldTable:
    """The states' rain alone, as season files have it, so that a device can feed a model of it.

    The set's temperatures are left out: Washington's and Michigan's stay near 45 and 43 °F in July, as in January, so
    they are not of the months they stand in.
    """
    (place,) = [place for place, feature in enumerate(table.features) if feature.name == "PRCP"]
    (rain,) = [feature for feature in SEASON_FEATURES if feature.name == "Rainf_f_tavg"]
    seconds = np.array([monthrange(2001, month)[1] * 86400.0 for month in table.months])
    season = (table.season[..., place] * _MM_PER_INCH / seconds)[..., None]
    return replace(table, features=(rain,), season=season)


def departures_from_year(table: YieldTable) -> YieldTable:
    """Yields and features as departures from the year's mean over the table's counties, each year for itself.

    No year learns of another. Of a year that is to be predicted the features of all its counties have to be known, and
    what is predicted is how a county stands among them, not how the year is.
    """
    season, yields = table.season.copy(), table.yield_kg_per_ha.copy()
    for year in table.years:
        rows = table.year == year
        season[rows] -= season[rows].mean(axis=0)
        yields[rows] -= np.nanmean(yields[rows])
    return YieldTable(**{**vars(table), "season": season, "yield_kg_per_ha": yields})


def _illinois_weather(folder: Path) -> pd.DataFrame:
    """Weekly weather since 2014 in its own units, less the year's mean over counties."""
    means = _frame(folder / "wimean.parquet").set_index(["County", "Year"])
    parts = []
    for name, first, last in _ILLINOIS_PERIODS[1:]:
        scaled = _frame(folder / f"weekly_weather_{name}norm.parquet").set_index(["County", "Year"])
        own: dict[str, pd.Series] = {}
        for variable in _ILLINOIS_WEATHER:
            columns = [f"{variable}{week}" for week in range(1, _WEEKS + 1)]
            known = np.column_stack([scaled[columns].to_numpy(), np.ones(len(scaled))])
            season = means[variable].loc[scaled.index].to_numpy()
            scales = np.linalg.lstsq(known, season, rcond=None)[0]
            if np.abs(known @ scales - season).max() > 1e-6 * np.abs(season).max():
                raise TableError(
                    f"{folder}: {variable} of {first} to {last} does not add up to its season's mean; "
                    "these are not the files this importer was written for"
                )
            own |= {column: scaled[column] * scale * _WEEKS for column, scale in zip(columns, scales, strict=False)}
        parts.append(pd.DataFrame(own))
    weather = pd.concat(parts)
    return weather - weather.groupby(level="Year").transform("mean")


def _illinois_satellite(folder: Path, files: Sequence[str]) -> pd.DataFrame:
    """Weekly indices and soil moisture of the years that all files have."""
    frames = []
    for name in files:
        frame = _frame(folder / f"fundat_{name}.parquet").set_index(["County", "Year"])
        frames.append(frame.drop(columns=["ADC", "Color"], errors="ignore"))
    return pd.concat(frames, axis=1, join="inner").sort_index()


def _frame(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise TableError(f"{path} is not there; name the folder of the set")
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def _unit(column: str) -> str:
    """The unit that stands in brackets in a column's name."""
    return column.split("(")[1].split(")", maxsplit=1)[0] if "(" in column else "1"


def _county_table(  # noqa: PLR0913  (as many as a table has columns)
    *,
    crop: str,
    region: str,
    months: tuple[int, ...],
    features: Sequence[Feature],
    county: Any,
    year: Any,
    season: FloatArray,
    yield_kg_per_ha: FloatArray,
    source: str,
    area_ha: FloatArray | None = None,
    lon_lat: FloatArray | None = None,
) -> YieldTable:
    """A table of statistics: no orchards, all rows of one source and one weight."""
    rows = len(season)
    return YieldTable(
        crop=crop,
        region=region,
        months=months,
        features=tuple(features),
        county=np.array(list(county), dtype=np.str_),
        orchard=np.full(rows, "", dtype=np.str_),
        year=np.array(list(year), dtype=np.int64),
        season=np.asarray(season, dtype=np.float64),
        area_ha=np.ones(rows) if area_ha is None else area_ha,
        yield_kg_per_ha=np.asarray(yield_kg_per_ha, dtype=np.float64),
        source=np.full(rows, source),
        weight=np.ones(rows),
        lon_lat=np.full((rows, 2), np.nan) if lon_lat is None else lon_lat,
    )
