"""What people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import InputError
from device.page.forms import number_text, read_number, read_whole_number


def number(text: str) -> float | None:
    return read_number({"area": text}, "area", "the area")


def whole(text: str) -> int | None:
    return read_whole_number({"trees": text}, "trees", "the number of trees")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" ", None),
        ("30", 30),
        (" 30,5 ", 30.5),
        ("30.25", 30.25),
        ("0,125", 0.125),
        ("1234.567", 1234.567),
        ("1.2340", 1.234),
        ("30000", 30_000),
        ("30 000", 30_000),
        ("1,234,567", 1_234_567),
        ("３０．５", 30.5),
    ],
)
def test_a_number_is_read(text: str, value: float | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "thousands", "fraction"),
    [
        ("30,000", "30000", "30"),
        ("30.500", "30500", "30.5"),
        ("1,234", "1234", "1.2340"),
        ("３０，０００", "30000", "30"),
    ],
)
def test_what_may_mean_thousands_or_a_fraction_is_refused(text: str, thousands: str, fraction: str) -> None:
    with pytest.raises(InputError, match=f"; write {thousands} or {fraction}, whichever you mean"):
        number(text)
    assert number(thousands) == 1000 * (number(fraction) or 0)


@pytest.mark.parametrize(
    "text", ["wide", "-3", "0", "0,000", "inf", "nan", "1,5,5", "1,23,456", "3 5", "30 000,5", "1.234,567,8"]
)
def test_what_is_no_number_above_zero_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a number above 0"):
        number(text)


@pytest.mark.parametrize(
    "text",
    ["1650", "1,650", "1.650", "1 650", "1\u00a0650", "1\u2009650", "1\u202f650", "１６５０", "1650.0", "1650,0"],
)
def test_a_whole_number_is_read(text: str) -> None:
    assert whole(text) == 1650


def test_large_and_missing_whole_numbers() -> None:
    assert whole("1.234.567") == whole("1 234 567") == 1_234_567
    assert whole("") is None


@pytest.mark.parametrize("text", ["12.5", "1,65", "1,6500", "0,650"])
def test_a_fraction_is_no_whole_number(text: str) -> None:
    with pytest.raises(InputError, match="write a whole number"):
        whole(text)


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_number_that_is_shown_is_read_back(value: float) -> None:
    assert number(number_text(value)) == pytest.approx(value, rel=1e-9)
