"""Simulated counties: seasons as they could be, yields that follow from them, and never taken for measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.earth.variables import BANDS, VARIABLES
from models.yields.candidates import linear_candidates, sceptical_candidates
from models.yields.comparison import run_on_splits
from models.yields.season_features import SEASON_FEATURES
from models.yields.simulated import Simulation, season_effect, simulate_counties
from models.yields.splits import leave_year_out
from models.yields.table import MONTHS, FloatArray, YieldTable
from models.yields.table_file import read_table, write_table

NAMES = [feature.name for feature in SEASON_FEATURES]


@pytest.fixture(scope="module")
def table() -> YieldTable:
    return simulate_counties(Simulation())


def _of(table: YieldTable, name: str) -> FloatArray:
    return table.season[..., NAMES.index(name)]


def test_months_and_features_are_a_season_files() -> None:
    table = simulate_counties(Simulation(counties=2, years=1))
    assert table.months == MONTHS
    assert table.group_sizes == (5, 11, 2)
    assert [*BANDS, *(variable.name for variable in VARIABLES), "NDVI", "EVI"] == NAMES


def test_weather_is_possible_and_follows_the_year(table: YieldTable) -> None:
    for variable in VARIABLES:
        values = _of(table, variable.name)
        assert values.min() >= variable.lowest, variable.name
        assert values.max() <= variable.highest, variable.name
    assert set(_of(table, "Tair_f_tavg").argmax(axis=1)) <= {2, 3, 4}
    rain_mm = (_of(table, "Rainf_f_tavg") * np.array([30, 31, 30, 31, 31, 30, 31]) * 86400).sum(axis=1)
    assert 250 < np.percentile(rain_mm, 1) < np.percentile(rain_mm, 99) < 1000


def test_indices_are_those_of_the_bands(table: YieldTable) -> None:
    blue, red, near = (_of(table, name) for name in ("B02", "B04", "B08"))
    assert 0 < min(_of(table, name).min() for name in BANDS) < max(_of(table, name).max() for name in BANDS) < 0.6
    np.testing.assert_allclose(_of(table, "NDVI"), (near - red) / (near + red))
    np.testing.assert_allclose(_of(table, "EVI"), 2.5 * (near - red) / (near + 6 * red - 7.5 * blue + 1))


def test_yields_are_an_apple_countys(table: YieldTable) -> None:
    assert 17_000 < table.yield_kg_per_ha.mean() < 23_000
    assert 8_000 < table.yield_kg_per_ha.min() < table.yield_kg_per_ha.max() < 40_000


def test_without_noise_and_memory_the_season_tells_all_but_the_county() -> None:
    table = simulate_counties(Simulation(noise=0, alternation=0))
    left = np.log(table.yield_kg_per_ha) - season_effect(table.season)
    for county in table.counties:
        assert np.ptp(left[table.county == county]) < 1e-9


def test_trees_that_bore_much_bear_less_in_the_next_year() -> None:
    table = simulate_counties(Simulation(counties=60, noise=0, alternation=0.5))
    left = np.log(table.yield_kg_per_ha) - season_effect(table.season)
    by_county = left.reshape(60, -1)
    yields = np.log(table.yield_kg_per_ha).reshape(60, -1)
    yields -= yields.mean(axis=1, keepdims=True)
    by_county -= by_county.mean(axis=1, keepdims=True)
    assert np.corrcoef(yields[:, :-1].ravel(), by_county[:, 1:].ravel())[0, 1] < -0.8


def test_a_model_finds_the_season_in_years_it_has_not_seen(table: YieldTable) -> None:
    def rmse(name: str) -> float:
        (candidate,) = [c for c in (*linear_candidates(), *sceptical_candidates()) if c.name == name]
        found = run_on_splits(candidate, table, leave_year_out(table), 2)
        return float(np.sqrt(((found.predicted - table.yield_kg_per_ha) ** 2).mean()))

    assert rmse("PLSR") < 0.8 * rmse("County mean")


def test_the_same_seed_gives_the_same_table_and_another_seed_another(table: YieldTable) -> None:
    again, other = simulate_counties(Simulation()), simulate_counties(replace(Simulation(), seed=1))
    assert np.array_equal(again.season, table.season)
    assert np.array_equal(again.yield_kg_per_ha, table.yield_kg_per_ha)
    assert not np.array_equal(other.yield_kg_per_ha, table.yield_kg_per_ha)


def test_a_year_is_the_same_in_any_table_of_its_counties(table: YieldTable) -> None:
    later = simulate_counties(Simulation(first_year=2020, years=8))
    ours, theirs = table.take(table.year == 2022), later.take(later.year == 2022)
    assert np.array_equal(ours.season, theirs.season)
    assert np.array_equal(ours.yield_kg_per_ha, theirs.yield_kg_per_ha)


def test_it_says_of_itself_that_it_is_simulated(table: YieldTable, tmp_path: Path) -> None:
    write_table(table, tmp_path / "table.parquet")
    read = read_table(tmp_path / "table.parquet")
    assert read.region == "simulated"
    assert set(read.source) == {"simulated"}
    assert all(county.startswith("simulated county ") for county in read.counties)
