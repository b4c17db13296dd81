"""Importers against the real sets, where they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.yields.importers import (
    SOYBEAN_BUSHELS_PER_ACRE,
    china_wheat,
    departures_from_year,
    illinois_soybean,
    iowa,
    state_apples,
)
from models.yields.table import TableError
from models.yields.table_file import read_table, write_table
from tests.models.yields.tables import drawn_table


def test_illinois_has_its_counties_years_and_yields(data: Path, tmp_path: Path) -> None:
    table = illinois_soybean(data / "satellite" / "illinois_soy_county")
    assert (len(table), len(table.counties), table.years) == (480, 96, (2018, 2019, 2020, 2021, 2022))
    assert table.group_sizes == (6, 7)
    row = int(np.flatnonzero((table.county == "WOODFORD") & (table.year == 2022))[0])
    assert table.yield_kg_per_ha[row] / SOYBEAN_BUSHELS_PER_ACRE == pytest.approx(69.1)
    write_table(table, tmp_path / "illinois.parquet")
    assert np.array_equal(read_table(tmp_path / "illinois.parquet").season, table.season)


def test_illinois_without_indices_has_three_years_more(data: Path) -> None:
    table = illinois_soybean(data / "satellite" / "illinois_soy_county", indices=False)
    assert table.years == tuple(range(2015, 2023))
    assert table.group_sizes == (6,)


def test_illinois_weather_is_in_its_own_units_again(data: Path) -> None:
    table = illinois_soybean(data / "satellite" / "illinois_soy_county")
    means = pd.read_parquet(data / "satellite" / "illinois_soy_county" / "wimean.parquet")
    steps = np.array([4, 4, 4, 4, 4, 3, 3])
    for name in ("CR", "GDD", "SR", "VP"):
        number = [feature.name for feature in table.features].index(name)
        season = (table.season[..., number] * steps).sum(axis=1) / 26
        for year in table.years:
            rows = table.year == year
            given = means[means.Year == year].set_index("County")[name]
            expected = given.loc[table.county[rows]].to_numpy()
            assert np.allclose(season[rows], expected - expected.mean(), atol=1e-6)


def test_anomaly_is_the_one_published_with_the_set(data: Path) -> None:
    table = departures_from_year(illinois_soybean(data / "satellite" / "illinois_soy_county"))
    published = pd.read_parquet(data / "satellite" / "illinois_soy_county" / "yield_1980_2022.parquet").set_index(
        ["County", "Year"]
    )
    expected = [published["Ystar"][county, year] for county, year in zip(table.county, table.year, strict=True)]
    differ = np.abs(table.yield_kg_per_ha / SOYBEAN_BUSHELS_PER_ACRE - expected) > 1e-6
    assert set(table.county[differ]) == {"LAKE", "LASALLE"}  # the set has these two the wrong way round


def test_iowa_has_both_crops_and_their_harvested_area(data: Path) -> None:
    folder = data / "satellite" / "iowa_county_hrrr"
    corn, soybean = iowa(folder, "corn"), iowa(folder, "soybean")
    assert corn.season.shape == (552, 1, 50)
    assert soybean.season.shape == (533, 1, 50)
    row = int(np.flatnonzero((corn.county == "19001") & (corn.year == 2017))[0])
    assert corn.yield_kg_per_ha[row] == pytest.approx(175.2 * 62.77, rel=1e-3)
    assert corn.area_ha[row] == pytest.approx(18235000 / 175.2 / 2.47105, rel=1e-4)
    with pytest.raises(TableError, match="choose corn or soybean"):
        iowa(folder, "cotton")


def test_china_season_begins_in_the_autumn_before_the_harvest(data: Path) -> None:
    table = china_wheat(data / "satellite" / "china_county_wheat")
    assert table.years == (2011, 2012, 2013, 2014)
    assert table.months == (11, 12, 1, 2, 3, 4, 5)
    frame = pd.read_parquet(data / "satellite" / "china_county_wheat" / "county_wheat_2005_2014_monthly_cru.parquet")
    frame = frame[frame.ID == 0].set_index("year")
    row = int(np.flatnonzero(np.char.startswith(table.county, "000 ") & (table.year == 2012))[0])
    rain = [feature.name for feature in table.features].index("pre")
    expected = [frame["pre_m11"][2011], frame["pre_m12"][2011], *frame.loc[2012, [f"pre_m0{m}" for m in range(1, 6)]]]
    assert table.season[row, :, rain].tolist() == pytest.approx(expected)


def test_apples_of_four_states_in_kg_per_ha(data: Path) -> None:
    table = state_apples(data / "satellite" / "apple_state_yield_weather")
    assert (len(table), len(table.counties)) == (68, 4)
    assert 3_000 < table.yield_kg_per_ha.min() < table.yield_kg_per_ha.max() < 60_000
    row = int(np.flatnonzero((table.county == "WA") & (table.year == 2007))[0])
    assert table.yield_kg_per_ha[row] == pytest.approx(34000 * 0.45359237 / 0.40468564224, rel=1e-3)


def test_a_year_is_compared_with_itself_only() -> None:
    table = drawn_table()
    changed = table.yield_kg_per_ha.copy()
    changed[table.year == 2023] *= 2
    one, other = departures_from_year(table), departures_from_year(table.with_yields(changed))
    before = table.year < 2023
    assert np.array_equal(one.yield_kg_per_ha[before], other.yield_kg_per_ha[before])
    for year in table.years:
        assert abs(one.season[table.year == year].mean(axis=0)).max() < 1e-9
        assert one.yield_kg_per_ha[table.year == year].mean() == pytest.approx(0, abs=1e-9)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"monthly_weather_and_yield.csv is not there; name the folder"):
        state_apples(tmp_path)
