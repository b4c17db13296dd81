"""Units of yield and area."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.units import M2_PER_MU, YIELD_UNITS, area_to_m2, yield_from_kg_per_ha, yield_to_kg_per_ha

yields = st.floats(1e-6, 1e9)
densities = st.floats(1, 1e5)


@given(yields, st.sampled_from(YIELD_UNITS), densities)
def test_a_yield_survives_the_way_there_and_back(value: float, unit: str, density: float) -> None:
    there = yield_to_kg_per_ha(value, unit, density)
    assert yield_from_kg_per_ha(there, unit, density) == pytest.approx(value, rel=1e-12)


@given(yields, yields, st.sampled_from(YIELD_UNITS), densities)
def test_a_larger_yield_is_larger_in_every_unit(a: float, b: float, unit: str, density: float) -> None:
    assert (a < b) == (yield_to_kg_per_ha(a, unit, density) < yield_to_kg_per_ha(b, unit, density)) or a == b


@pytest.mark.parametrize(
    ("unit", "kg_per_ha"), [("kg/ha", 2000), ("t/ha", 2_000_000), ("kg/mu", 30_000), ("kg/tree", 1_650_000)]
)
def test_two_thousand_of_each_unit_in_kg_per_ha(unit: str, kg_per_ha: float) -> None:
    assert yield_to_kg_per_ha(2000, unit, trees_per_ha=825) == kg_per_ha


@pytest.mark.parametrize(("value", "unit", "m2"), [(3, "m2", 3), (2.5, "ha", 25_000), (30, "mu", 20_000)])
def test_areas_in_square_metres(value: float, unit: str, m2: float) -> None:
    assert area_to_m2(value, unit) == pytest.approx(m2, rel=1e-12)


def test_fifteen_mu_are_a_hectare() -> None:
    assert pytest.approx(10_000) == 15 * M2_PER_MU


@pytest.mark.parametrize("unit", ["", "kg", "kg/acre", "KG/HA"])
def test_an_unknown_unit_is_refused_with_the_known_ones(unit: str) -> None:
    with pytest.raises(CalibrationError, match=rf"unit '{unit}' is unknown; known are kg/ha, t/ha, kg/mu, kg/tree"):
        yield_to_kg_per_ha(1, unit)
    with pytest.raises(CalibrationError, match="known are m2, ha, mu"):
        area_to_m2(1, unit)


def test_kg_a_tree_needs_the_planting_density() -> None:
    with pytest.raises(CalibrationError, match="kg/tree needs the planting density: give the block's trees and area"):
        yield_from_kg_per_ha(1, "kg/tree")


@pytest.mark.parametrize("density", [0, -1, float("nan"), float("inf")])
def test_a_planting_density_is_a_number_above_zero(density: float) -> None:
    with pytest.raises(CalibrationError, match=r"trees per ha is .* give the block's trees and area"):
        yield_to_kg_per_ha(1, "kg/tree", density)


@pytest.mark.parametrize("area", [0, -2, float("nan"), float("inf")])
def test_an_area_is_a_number_above_zero(area: float) -> None:
    with pytest.raises(CalibrationError, match=r"area is .*; it must be a number above 0: measure it"):
        area_to_m2(area, "ha")
