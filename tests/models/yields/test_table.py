"""Yield tables: what they refuse and how they are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.yields.table import Feature, TableError, YieldTable, joined, weight_of
from models.yields.table_file import read_table, write_table
from tests.models.yields.tables import FEATURES, drawn_table


def _equal(one: YieldTable, other: YieldTable) -> bool:
    columns = ("county", "orchard", "year", "season", "area_ha", "yield_kg_per_ha", "source", "weight", "lon_lat")
    head = ("crop", "region", "months", "features")
    return all(getattr(one, n) == getattr(other, n) for n in head) and all(
        np.array_equal(getattr(one, n), getattr(other, n), equal_nan=getattr(one, n).dtype.kind == "f") for n in columns
    )


def _changed(column: str, row: int, value: Any) -> YieldTable:
    table = drawn_table()
    values = getattr(table, column).copy()
    values[row] = value
    return replace(table, **{column: values})


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("area_ha", 0.0, r"area_ha is not above 0 in row 3 \(county 0, 2022\); give the county's planted area"),
        ("area_ha", np.nan, "area_ha is not above 0"),
        ("weight", 0.0, r"weight is not in \(0, 1\]"),
        ("weight", 1.5, r"weight is not in \(0, 1\]"),
        ("weight", np.nan, r"weight is not in \(0, 1\]"),
        ("yield_kg_per_ha", np.inf, "yield_kg_per_ha is infinite"),
        ("county", "", "county is empty"),
        ("year", 2019, r"year occurs twice for one place in row 0 \(county 0, 2019\)"),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(column: str, value: object, message: str) -> None:
    with pytest.raises(TableError, match=message):
        _changed(column, 3, value)


def test_a_missing_month_is_named_never_zero() -> None:
    season = drawn_table().season.copy()
    season[4:6, 2, 3] = np.nan
    with pytest.raises(TableError, match=r"column NDVI_06 is missing in row 4 .* and 1 rows more; fill the month"):
        replace(drawn_table(), season=season)


def test_a_yield_that_is_to_be_predicted_may_be_missing() -> None:
    assert np.isnan(_changed("yield_kg_per_ha", 3, np.nan).yield_kg_per_ha[3])


def test_an_orchard_may_stand_beside_its_county() -> None:
    table = drawn_table()
    orchard = replace(table.take([0]), orchard=np.array(["Tianshui"]))
    assert len(joined([table, orchard])) == len(table) + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": (*FEATURES[:3], Feature("NDVI", "leaves"))}, "group 'leaves'; the groups are spectral"),
        ({"features": FEATURES[::-1]}, "group by group"),
        ({"features": (*FEATURES[:1], *FEATURES[:3])}, "B4 is named twice"),
        ({"features": ()}, "no features"),
        ({"months": (4, 4, 5, 6, 7, 8, 9)}, "each month of the season once"),
        ({"months": (4, 5)}, r"season has the shape \(30, 7, 4\)"),
        ({"weight": np.ones(3)}, "weight has the shape"),
    ],
)
def test_a_bad_header_is_named_with_its_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        replace(drawn_table(), **changes)


def test_no_rows_are_no_table() -> None:
    with pytest.raises(TableError, match="no rows"):
        drawn_table().take([])


def test_tables_of_different_features_are_not_joined() -> None:
    other = replace(drawn_table(), features=(*FEATURES[:3], Feature("EVI", "index")))
    with pytest.raises(TableError, match="differ in features"):
        joined([drawn_table(), other])


# --- views ----------------------------------------------------------------------------------------------------------


def test_season_cut_short_is_its_first_months() -> None:
    table = drawn_table()
    short = table.months_until(6)
    assert short.months == (4, 5, 6)
    assert np.array_equal(short.season, table.season[:, :3])
    with pytest.raises(TableError, match="month 3 is not in the season 4, 5"):
        table.months_until(3)


def test_group_sizes_leave_empty_groups_out() -> None:
    table = drawn_table()
    assert table.group_sizes == (2, 1, 1)
    assert replace(table, features=FEATURES[:3], season=table.season[..., :3]).group_sizes == (2, 1)


def test_weight_falls_with_the_error_of_the_label() -> None:
    assert weight_of(0, 3000) == 1
    assert weight_of(3000, 3000) == 0.5
    assert weight_of(9000, 3000) == pytest.approx(0.1)
    for error, spread in ((-1.0, 1.0), (np.nan, 1.0), (1.0, 0.0)):
        with pytest.raises(TableError, match="cannot be"):
            weight_of(error, spread)


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_table_survives_its_file(tmp_path: Path) -> None:
    table = _changed("yield_kg_per_ha", 3, np.nan)
    table = replace(table, orchard=np.array(["Tianshui", *[""] * (len(table) - 1)]))
    write_table(table, tmp_path / "table.parquet")
    assert _equal(read_table(tmp_path / "table.parquet"), table)
    assert [path.name for path in tmp_path.iterdir()] == ["table.parquet"]


def test_other_programs_read_it_as_geoparquet(tmp_path: Path) -> None:
    table = drawn_table()
    write_table(table, tmp_path / "table.parquet")
    frame = geopandas.read_parquet(tmp_path / "table.parquet")
    assert frame.crs.to_string() == "OGC:CRS84"  # longitude before latitude
    assert np.allclose(frame.geometry.x, table.lon_lat[:, 0])
    assert np.allclose(frame["NDVI_06"], table.season[:, 2, 3])


def test_an_empty_column_of_orchards_is_a_table_of_counties(tmp_path: Path) -> None:
    path = _rewritten(tmp_path, lambda f: f.set_column(1, "orchard", pa.nulls(30)))
    assert (read_table(path).orchard == "").all()


def test_places_without_coordinates_make_a_plain_file(tmp_path: Path) -> None:
    table = replace(drawn_table(), lon_lat=np.full((30, 2), np.nan))
    write_table(table, tmp_path / "table.parquet")
    assert "geometry" not in pq.read_schema(tmp_path / "table.parquet").names
    assert _equal(read_table(tmp_path / "table.parquet"), table)


def _rewritten(folder: Path, change: Any) -> Path:
    write_table(drawn_table(), folder / "table.parquet")
    file = pq.read_table(folder / "table.parquet")
    pq.write_table(change(file), folder / "table.parquet")
    return folder / "table.parquet"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop_columns(["NDVI_06"]), "column NDVI_06 is missing; add it, a number a row"),
        (lambda f: f.drop_columns(["county"]), "column county is missing; add it, a text a row"),
        (lambda f: f.drop_columns(["year"]), "column year is missing"),
        (lambda f: f.set_column(0, "county", pa.array(range(30))), "column county holds int64; make it text"),
        (lambda f: f.set_column(2, "year", pa.array(["2019"] * 30)), "column year holds string; make it numbers"),
        (lambda f: f.set_column(2, "year", pa.array([2019.5] * 30)), "year has values that are no whole numbers"),
        (lambda f: f.replace_schema_metadata(None), "no metadata named 'pomona'"),
        (lambda f: f.replace_schema_metadata({"pomona": "{}"}), "incomplete"),
        (lambda f: f.replace_schema_metadata({"pomona": "["}), "incomplete"),
        (
            lambda f: f.replace_schema_metadata({"pomona": json.dumps({"version": 2, "features": []})}),
            "of version 2, this program reads 1",
        ),
        (
            lambda f: f.replace_schema_metadata({"pomona": json.dumps({"version": 1, "features": []})}),
            "needs crop, region, months and features",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_remedy(tmp_path: Path, change: Any, message: str) -> None:
    path = _rewritten(tmp_path, change)
    with pytest.raises(TableError, match=f"table.parquet: .*{message}"):
        read_table(path)


def test_a_file_without_weights_is_of_statistics(tmp_path: Path) -> None:
    assert (read_table(_rewritten(tmp_path, lambda f: f.drop_columns(["weight"]))).weight == 1).all()


def test_no_file_and_no_parquet_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is not there"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("county,year\n")
    with pytest.raises(TableError, match="no Parquet file"):
        read_table(tmp_path / "text.parquet")
