"""Units of yield and area."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.units import (
    AREA_UNITS,
    KG_PER_LB,
    M2_PER_ACRE,
    M2_PER_MU,
    YIELD_UNITS,
    area_from_m2,
    area_to_m2,
    require_yield_unit,
    yield_from_kg_per_ha,
    yield_to_kg_per_ha,
)

yields = st.just(0.0) | st.floats(1e-6, 1e9)
areas = st.floats(1e-6, 1e9)
densities = st.floats(1, 1e5)
bins = st.builds("bins/acre of {:.1f} {}".format, st.floats(1, 1000), st.sampled_from(["kg", "lb"]))
units = st.sampled_from(YIELD_UNITS) | bins
NO_NUMBER_ABOVE_ZERO = [0, -2, float("nan"), float("inf")]
NO_YIELD = [-1, float("nan"), float("inf")]


@given(yields, units, densities)
def test_a_yield_survives_the_way_there_and_back(value: float, unit: str, density: float) -> None:
    there = yield_to_kg_per_ha(value, unit, density)
    assert yield_from_kg_per_ha(there, unit, density) == pytest.approx(value, rel=1e-12)


@given(yields, units, units, densities)
def test_the_way_round_over_any_two_units_leads_home(value: float, first: str, second: str, density: float) -> None:
    def convert(amount: float, unit: str, other: str) -> float:
        return yield_from_kg_per_ha(yield_to_kg_per_ha(amount, unit, density), other, density)

    assert convert(convert(value, first, second), second, first) == pytest.approx(value, rel=1e-12)


@given(areas, st.sampled_from(AREA_UNITS))
def test_an_area_survives_the_way_there_and_back(value: float, unit: str) -> None:
    assert area_from_m2(area_to_m2(value, unit), unit) == pytest.approx(value, rel=1e-12)


@given(yields, yields, units, densities)
def test_a_larger_yield_is_larger_in_every_unit(a: float, b: float, unit: str, density: float) -> None:
    assert (a < b) == (yield_to_kg_per_ha(a, unit, density) < yield_to_kg_per_ha(b, unit, density)) or a == b


@given(yields, st.floats(0, 1000), units, densities)
def test_twice_the_yield_is_twice_the_yield_in_every_unit(
    value: float, factor: float, unit: str, density: float
) -> None:
    scaled = yield_to_kg_per_ha(value * factor, unit, density)
    assert scaled == pytest.approx(yield_to_kg_per_ha(value, unit, density) * factor)


@pytest.mark.parametrize(
    ("unit", "kg_per_ha"),
    [
        ("kg/ha", 2000),
        ("t/ha", 2_000_000),
        ("kg/mu", 30_000),
        ("kg/tree", 1_650_000),
        # 1 lb/acre is 1.12085 kg/ha, as agronomists' tables have it
        ("lb/acre", pytest.approx(2241.70, abs=0.005)),
        ("bins/acre of 400 kg", pytest.approx(1_976_843.05, abs=0.005)),
        ("bins/acre of 900lb", pytest.approx(2_017_532.1, abs=0.05)),
    ],
)
def test_two_thousand_of_each_unit_in_kg_per_ha(unit: str, kg_per_ha: float) -> None:
    assert yield_to_kg_per_ha(2000, unit, trees_per_ha=825) == kg_per_ha


@given(yields, st.integers(1, 1000))
def test_bins_of_so_many_pounds_are_so_many_pounds(bins_per_acre: float, pounds: int) -> None:
    in_bins = yield_to_kg_per_ha(bins_per_acre, f"bins/acre of {pounds} lb")
    assert in_bins == pytest.approx(yield_to_kg_per_ha(bins_per_acre * pounds, "lb/acre"))


@pytest.mark.parametrize(
    ("value", "unit", "m2"),
    [(3, "m2", 3), (2.5, "ha", 25_000), (30, "mu", 20_000), (1, "acre", 4046.8564224), (640, "acre", 2_589_988.11)],
)
def test_areas_in_square_metres(value: float, unit: str, m2: float) -> None:
    assert area_to_m2(value, unit) == pytest.approx(m2, rel=1e-9)


def test_the_definitions() -> None:
    assert pytest.approx(10_000) == 15 * M2_PER_MU
    assert pytest.approx(4046.8564224, rel=1e-12) == M2_PER_ACRE
    assert KG_PER_LB == 0.45359237


@pytest.mark.parametrize("unit", ["", "kg", "kg/acre", "KG/HA", "lb/acre ", "bins"])
def test_an_unknown_unit_is_refused_with_the_known_ones(unit: str) -> None:
    known = "known are kg/ha, t/ha, kg/mu, kg/tree, lb/acre, bins/acre of 400 kg"
    for convert in (yield_to_kg_per_ha, yield_from_kg_per_ha):
        with pytest.raises(CalibrationError, match=rf"unit '{unit}' is unknown; {known}"):
            convert(1, unit)
    with pytest.raises(CalibrationError, match=rf"unit '{unit}' is unknown; {known}"):
        require_yield_unit(unit)
    for convert_area in (area_to_m2, area_from_m2):
        with pytest.raises(CalibrationError, match=rf"area unit '{unit}' is unknown; known are m2, ha, mu, acre"):
            convert_area(1, unit)


@pytest.mark.parametrize("unit", ["bins/acre", "bins/acre of 400", "bins/acre of some kg", "bins/acre of -4 kg"])
def test_bins_need_what_a_full_one_weighs(unit: str) -> None:
    said = rf"unit '{unit}' does not say what a full bin weighs; weigh one and write 'bins/acre of 400 kg'"
    with pytest.raises(CalibrationError, match=said):
        yield_to_kg_per_ha(1, unit)


def test_a_bin_weighs_something() -> None:
    with pytest.raises(CalibrationError, match=r"the mass of a bin in 'bins/acre of 0 kg' is 0; .* weigh a full one"):
        yield_to_kg_per_ha(1, "bins/acre of 0 kg")


def test_kg_a_tree_needs_the_planting_density() -> None:
    with pytest.raises(CalibrationError, match="kg/tree needs the planting density: give the block's trees and area"):
        yield_from_kg_per_ha(1, "kg/tree")


@given(units)
def test_a_unit_may_be_chosen_before_the_planting_is_known(unit: str) -> None:
    assert require_yield_unit(unit) == unit


@pytest.mark.parametrize("density", NO_NUMBER_ABOVE_ZERO)
def test_a_planting_density_is_a_number_above_zero(density: float) -> None:
    with pytest.raises(CalibrationError, match=r"trees per ha is .* give the block's trees and area"):
        yield_to_kg_per_ha(1, "kg/tree", density)


@pytest.mark.parametrize("value", NO_YIELD)
def test_a_yield_is_no_negative_number(value: float) -> None:
    for convert in (yield_to_kg_per_ha, yield_from_kg_per_ha):
        with pytest.raises(CalibrationError, match=r"yield is .*; it must be a number not below 0: check where"):
            convert(value, "t/ha")


@pytest.mark.parametrize("area", NO_NUMBER_ABOVE_ZERO)
def test_an_area_is_a_number_above_zero(area: float) -> None:
    for convert in (area_to_m2, area_from_m2):
        with pytest.raises(CalibrationError, match=r"area is .*; it must be a number above 0: measure it"):
            convert(area, "ha")
