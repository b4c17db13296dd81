"""Units of yield and area. Inside Pomona yield is kg/ha and area m²; other units appear only where people read them."""

from __future__ import annotations

from calibration.errors import CalibrationError, require_positive

M2_PER_HA = 10_000.0
M2_PER_MU = M2_PER_HA / 15  # 1 mu (亩) is a fifteenth of a hectare

# kg/ha in one of the unit; kg/tree depends on the planting and is handled where it is converted
_KG_PER_HA = {"kg/ha": 1.0, "t/ha": 1000.0, "kg/mu": 15.0}
YIELD_UNITS = (*_KG_PER_HA, "kg/tree")


def _factor(unit: str, trees_per_ha: float | None) -> float:
    if unit == "kg/tree":
        if trees_per_ha is None:
            raise CalibrationError(
                "kg/tree needs the planting density: give the block's trees and area, or trees per ha"
            )
        return require_positive(trees_per_ha, "trees per ha", "give the block's trees and area")
    if unit not in _KG_PER_HA:
        raise CalibrationError(f"unit {unit!r} is unknown; known are {', '.join(YIELD_UNITS)}")
    return _KG_PER_HA[unit]


def yield_to_kg_per_ha(value: float, unit: str, trees_per_ha: float | None = None) -> float:
    """Convert a yield to kg/ha.

    Args:
        value: the yield in ``unit``.
        unit: one of :data:`YIELD_UNITS`.
        trees_per_ha: planting density, needed for kg/tree.

    Raises:
        CalibrationError: an unknown unit, or kg/tree without density.
    """
    return value * _factor(unit, trees_per_ha)


def yield_from_kg_per_ha(value: float, unit: str, trees_per_ha: float | None = None) -> float:
    """Convert a yield in kg/ha to ``unit``; arguments and errors as :func:`yield_to_kg_per_ha`."""
    return value / _factor(unit, trees_per_ha)


def area_to_m2(value: float, unit: str) -> float:
    """Convert an area in ``m2``, ``ha`` or ``mu`` to m².

    Raises:
        CalibrationError: an unknown unit, or an area that is not above zero.
    """
    factors = {"m2": 1.0, "ha": M2_PER_HA, "mu": M2_PER_MU}
    if unit not in factors:
        raise CalibrationError(f"area unit {unit!r} is unknown; known are {', '.join(factors)}")
    return require_positive(value, "area", "measure it on the ground or on a map") * factors[unit]
