"""A table of an owner's own files: units, months, names, and what is missing is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.yields.statistics import Statistics, table_of
from models.yields.table import TableError

MONTHS = (4, 5)


@pytest.fixture
def given(tmp_path: Path) -> Statistics:
    yields = (
        "county,year,yield,area\nJingning,2022,1500,900000\nJingning,2023,1400,900000\nZhuanglang,2023,1300,400000\n"
    )
    (tmp_path / "yields.csv").write_text(yields, encoding="utf-8")
    rows = [
        (county, f"{year}-{month:02d}", 280.0 + month, 1e-5)
        for county in ("Jingning", "Zhuanglang")
        for year in (2022, 2023)
        for month in MONTHS
    ]
    weather = pd.DataFrame(rows, columns=["county", "month", "Tair_f_tavg [K]", "Rainf_f_tavg [kg m-2 s-1]"])
    weather.to_csv(tmp_path / "weather.csv", index=False)
    for year in (2022, 2023):
        indices = {f"NDVI_{month:02d}": [0.1 * month, 0.1 * month + 0.01] for month in MONTHS}
        pd.DataFrame({"county": ["Jingning", "Zhuanglang"], **indices, "known_share": 1.0}).to_parquet(
            tmp_path / f"{year}.parquet"
        )
    return Statistics(
        yields=tmp_path / "yields.csv",
        seasons=[tmp_path / "weather.csv"],
        features={year: tmp_path / f"{year}.parquet" for year in (2022, 2023)},
        unit="kg/mu",
        crop="apple",
        region="Gansu",
        area_unit="mu",
        months=MONTHS,
    )


def test_yields_areas_and_seasons_are_joined_in_our_units(given: Statistics) -> None:
    table, left_out = table_of(given)
    assert left_out == []
    assert table.yield_kg_per_ha.tolist() == [22_500, 21_000, 19_500]
    np.testing.assert_allclose(table.area_ha, [60_000, 60_000, 400_000 / 15])
    assert [(f.name, f.group) for f in table.features] == [
        ("Rainf_f_tavg", "environmental"),
        ("Tair_f_tavg", "environmental"),
        ("NDVI", "index"),
    ]
    np.testing.assert_allclose(table.season[2], [[1e-5, 284, 0.41], [1e-5, 285, 0.51]])
    assert set(table.source) == {"yields"}


def test_each_season_may_have_a_file_of_its_own(given: Statistics, tmp_path: Path) -> None:
    weather = pd.read_csv(given.seasons[0])
    files = []
    for year in ("2022", "2023"):
        files.append(tmp_path / f"weather-{year}.csv")
        weather[weather["month"].str.startswith(year)].to_csv(files[-1], index=False)
    whole, _ = table_of(given)
    parted, left_out = table_of(replace(given, seasons=files))
    assert left_out == []
    assert parted.features == whole.features
    np.testing.assert_array_equal(parted.season, whole.season)
    with pytest.raises(TableError, match=r"Rainf_f_tavg, Tair_f_tavg of Jingning in 2022 is in two files"):
        table_of(replace(given, seasons=[*files, files[0]]))


def test_a_feature_of_two_files_is_in_one_unit(given: Statistics, tmp_path: Path) -> None:
    for year, unit in ((2022, "mm"), (2023, "cm")):
        frame = pd.DataFrame({"county": "Jingning", "month": [f"{year}-{month:02d}" for month in MONTHS]})
        frame.assign(**{f"hail [{unit}]": 1.0}).to_csv(tmp_path / f"hail-{year}.csv", index=False)
    with pytest.raises(TableError, match="hail is in cm, and in mm in an earlier file"):
        table_of(replace(given, seasons=[tmp_path / "hail-2022.csv", tmp_path / "hail-2023.csv"]))


def test_columns_may_have_other_names(given: Statistics, tmp_path: Path) -> None:
    text = given.yields.read_text(encoding="utf-8").replace("yield,", "产量,").replace("year", "年")
    given.yields.write_text(text, encoding="utf-8-sig")
    with pytest.raises(TableError, match=r"has no column 'year'; it has county, 年, 产量, area"):
        table_of(given)
    table, _ = table_of(replace(given, columns={"yield": "产量", "year": "年"}))
    assert len(table) == 3


def test_a_year_without_a_season_is_left_out_and_named(given: Statistics) -> None:
    table, left_out = table_of(replace(given, features={2023: given.features[2023]}))
    assert left_out == ["Jingning 2022"]
    assert table.years == (2023,)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("yields.csv", "1500", "1,500", "more values in a line|no CSV"),
        ("yields.csv", "1500", "much", "column yield has 'much', which is no number"),
        ("yields.csv", "1500,900000", "1500,", "column area is empty in line 2"),
        ("yields.csv", "Jingning", "静宁", "spell them alike"),
        ("weather.csv", "2022-04", "April 22", "write them as 2023-04"),
        ("weather.csv", "[K]", "[degC]", "Tair_f_tavg is in degC and season files have it in K"),
        ("weather.csv", "2022-05", "2022-04", "twice"),
    ],
)
def test_what_does_not_fit_is_named(
    given: Statistics, tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    path = tmp_path / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    if new == "静宁":
        path.write_text(path.read_text(encoding="utf-8").replace("Zhuanglang", "庄浪"), encoding="utf-8")
    with pytest.raises(TableError, match=said):
        table_of(given)


def test_an_unknown_unit_and_no_season_are_refused(given: Statistics) -> None:
    with pytest.raises(TableError, match="unit 'bushels' is unknown"):
        table_of(replace(given, unit="bushels"))
    with pytest.raises(TableError, match="--season or --features"):
        table_of(replace(given, seasons=[], features={}))
