"""Months and thirds of months."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.earth.errors import EarthInputError
from models.earth.periods import months, ten_days


def test_months_run_over_the_turn_of_the_year() -> None:
    assert [period.name for period in months("2023-11", "2024-02")] == ["2023-11", "2023-12", "2024-01", "2024-02"]
    assert months("2024-02", "2024-02")[0].last == date(2024, 2, 29)


def test_ten_days_end_with_the_month() -> None:
    assert [(period.name, period.last.day) for period in ten_days("2023-02", "2023-02")] == [
        ("2023-02-01", 10),
        ("2023-02-11", 20),
        ("2023-02-21", 28),
    ]


@given(st.integers(0, 1000))
def test_every_day_lies_in_one_period(number: int) -> None:
    day = date(2022, 1, 1) + timedelta(days=number)
    for periods in (months("2022-01", "2024-12"), ten_days("2022-01", "2024-12")):
        assert sum(day in period for period in periods) == 1


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2023-13", "2023-12", "'2023-13' is no month"),
        ("April", "May", "'April' is no month"),
        ("2023-05", "2023-04", "run backwards"),
    ],
)
def test_what_is_no_month_is_named(first: str, last: str, said: str) -> None:
    with pytest.raises(EarthInputError, match=said):
        months(first, last)
