"""Each filter drops what it is for, on passes drawn to and fro over a field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.maps.errors import MapError
from models.yields.pixels.cleaning import CleaningSettings, clean, passes_of

# every filter off
OFF = CleaningSettings(
    start_points=0,
    speed_kmh=(0, 99),
    speed_change=999,
    swath=0,
    moisture=(0, 99),
    deviations=99,
    local_deviations=99,
)


def _field(passes: int = 6, length: int = 40) -> pd.DataFrame:
    x = np.concatenate([np.arange(length)[:: 1 if number % 2 == 0 else -1] * 2.0 for number in range(passes)])
    y = np.repeat(np.arange(passes) * 6.0, length)
    yields = 8 + np.sin(x / 20) + np.random.default_rng(0).normal(0, 0.3, len(x))
    return pd.DataFrame(
        {"field": "a", "x_m": x, "y_m": y, "yield": yields, "speed_kmh": 5.5, "swath_m": 6.0, "moisture_pct": 14.0}
    )


def test_a_good_field_is_left_as_it_is() -> None:
    field = _field()
    cleaned = clean(field, replace(OFF, deviations=6, local_deviations=6))
    assert len(cleaned.points) == len(field)
    assert set(cleaned.dropped.values()) == {0}


def test_a_turn_begins_a_pass() -> None:
    numbers = passes_of(_field(passes=3, length=20), OFF)
    # the way over to the next pass is a turn at both of its ends
    assert numbers[18] == 0
    assert len(set(numbers.tolist())) >= 3
    assert numbers[2] != numbers[22] != numbers[42]


def test_a_pause_begins_a_pass_where_there_is_a_clock() -> None:
    field = _field(passes=1).assign(time_s=np.arange(40.0))
    field.loc[25:, "time_s"] += 60
    assert passes_of(field, OFF).tolist() == [0] * 25 + [1] * 15


def test_ends_of_passes_go() -> None:
    field = _field(passes=1)
    left = clean(field, replace(OFF, start_points=4)).points
    assert left["x_m"].tolist() == field["x_m"].tolist()[4:-4]


def test_grain_comes_late_and_is_moved_back() -> None:
    field = _field(passes=1)
    field["yield"] = np.r_[np.zeros(3), np.arange(37.0)] + 1
    left = clean(field, replace(OFF, delay_points=3)).points
    assert left["yield"].tolist() == (np.arange(37.0) + 1).tolist()
    assert left["x_m"].tolist() == field["x_m"].tolist()[:37]


@pytest.mark.parametrize(
    ("name", "column", "value", "limit"),
    [
        ("speed", "speed_kmh", 0.5, {"speed_kmh": (2.0, 9.0)}),
        ("narrow swath", "swath_m", 3.0, {"swath": 0.8}),
        ("moisture", "moisture_pct", 2.6, {"moisture": (8.0, 25.0)}),
        ("field outlier", "yield", 20.0, {"deviations": 6.0}),
        ("field outlier", "yield", 0.0, {}),
        ("local outlier", "yield", 11.5, {"local_deviations": 6.0}),
    ],
)
def test_one_bad_point_goes_by_its_filter(name: str, column: str, value: float, limit: dict[str, float]) -> None:
    field = _field()
    field.loc[100, column] = value
    cleaned = clean(field, replace(OFF, **limit))  # type: ignore[arg-type]
    assert cleaned.dropped[name] == 1
    assert len(cleaned.points) == len(field) - 1


def test_a_sudden_change_of_speed_goes() -> None:
    field = _field(passes=1)
    field.loc[20:, "speed_kmh"] = 8.0
    assert clean(field, replace(OFF, speed_change=0.2)).dropped["change of speed"] == 1


def test_the_headland_goes_where_it_is_asked_for() -> None:
    left = clean(_field(passes=10), replace(OFF, headland_m=7.0)).points
    assert left["y_m"].between(7, 47).all()
    assert left["x_m"].between(7, 71).all()
    assert len(left) > 100


def test_a_column_that_is_missing_skips_its_filters_and_is_told() -> None:
    cleaned = clean(_field().drop(columns=["speed_kmh", "moisture_pct"]), OFF)
    assert cleaned.skipped == {"speed": "speed_kmh", "change of speed": "speed_kmh", "moisture": "moisture_pct"}


def test_fields_are_judged_each_by_itself() -> None:
    poor = _field().assign(field="poor", **{"yield": 1.0 + 0.1 * np.sin(np.arange(240))})
    assert len(clean(pd.concat([_field(), poor]), replace(OFF, deviations=5)).points) == 480


def test_a_table_without_places_is_told() -> None:
    with pytest.raises(MapError, match="lack the column 'x_m'"):
        clean(_field().drop(columns="x_m"))
