"""The surrogates of the orchard phenology indices, by their worked values."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from models.earth.errors import EarthInputError
from models.earth.phenology import SURROGATES, PhenologyWindows, surrogates

SEASON = range(4, 11)
COURSES = {
    "orchard": ((0.45, 0.6, 0.75, 0.78, 0.77, 0.7, 0.55), (2.30, 0.18, 12.8)),
    "winter wheat": ((0.6, 0.7, 0.25, 0.2, 0.3, 0.35, 0.4), (2.05, 0.50, 4.1)),
    "maize": ((0.15, 0.2, 0.4, 0.75, 0.8, 0.5, 0.25), (1.10, 0.60, 1.83)),
}

Course = tuple[float, ...]


def course(*values: float) -> xr.DataArray:
    return xr.DataArray(list(values), dims="month", coords={"month": list(SEASON)})


def values(*months: float) -> Course:
    found = surrogates(course(*months))
    return tuple(float(found[name]) for name in ("OPAI_s", "OGDI_s", "OMI_s"))


@pytest.mark.parametrize(("months", "expected"), COURSES.values(), ids=COURSES)
def test_worked_values(months: Course, expected: Course) -> None:
    assert values(*months) == pytest.approx(expected, abs=0.03)
    assert values(*months)[:2] == pytest.approx(expected[:2], abs=1e-9)


def test_a_flat_course_loses_no_green_and_divides_by_no_zero() -> None:
    assert values(*[0.5] * 7) == pytest.approx((2.0, 0.0, 100.0))


@given(st.lists(st.floats(0, 0.7), min_size=7, max_size=7), st.floats(0, 0.3))
def test_the_difference_does_not_depend_on_a_constant(months: list[float], more: float) -> None:
    assert values(*(value + more for value in months))[1] == pytest.approx(values(*months)[1], abs=1e-12)


def test_greenness_lies_between_nothing_and_one() -> None:
    assert values(-0.2, 0.1, 0.5, 1.4, 0.5, 0.1, -0.2) == pytest.approx((0.2, 0.9, 0.2 / 0.9))


def test_a_gap_is_filled_from_the_months_round_it_and_an_open_end_is_not() -> None:
    orchard = list(COURSES["orchard"][0])
    gap = [*orchard[:3], np.nan, *orchard[4:]]
    assert values(*gap) == pytest.approx(values(*orchard[:3], (0.75 + 0.77) / 2, *orchard[4:]))
    assert np.isnan(values(np.nan, *orchard[1:])).all()


def test_months_in_any_order_of_a_whole_year_lazily() -> None:
    months = xr.DataArray(
        np.random.default_rng(0).uniform(size=(12, 4, 5)), dims=("month", "y", "x"), coords={"month": range(1, 13)}
    )
    expected = surrogates(months.sel(month=list(SEASON)))
    lazy = surrogates(months[::-1].chunk(month=1, y=2))
    assert all(variable.chunks for variable in lazy.values())
    xr.testing.assert_allclose(expected, lazy.compute())


def test_windows_are_settings() -> None:
    southern = PhenologyWindows(early=(5,), late=(8,), season=(5, 6), hold=(7, 8))
    found = surrogates(course(*range(7)) / 10, southern)
    assert (float(found.OPAI_s), float(found.OGDI_s)) == pytest.approx((0.5, -0.1))


def test_they_are_called_surrogates() -> None:
    found = surrogates(course(*COURSES["maize"][0]))
    assert list(found) == list(SURROGATES) == ["OPAI_s", "OGDI_s", "OMI_s"]
    assert all("surrogate" in variable.attrs["note"] for variable in found.values())


def test_missing_months_are_named() -> None:
    with pytest.raises(EarthInputError, match="lacks the months 4, 10"):
        surrogates(course(*COURSES["maize"][0]).sel(month=[5, 6, 7, 8, 9]))
    with pytest.raises(EarthInputError, match="no dimension month"):
        surrogates(course(*COURSES["maize"][0]).rename(month="time"))
