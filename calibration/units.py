"""Units of yield and area. Inside Pomona yield is kg/ha and area m²; other units appear only where people read them.

A unit is a word that says all there is to know of it, so that it can stand in a file: ``kg/mu``, or
``bins/acre of 400 kg``, since bins differ from packhouse to packhouse. Only ``kg/tree`` needs the planting beside it.

Pound and acre are the international ones of 1959: 0.453 592 37 kg, and 4840 square yards of 0.9144 m.
"""

from __future__ import annotations

import re

from calibration.errors import CalibrationError, require_not_negative, require_positive

M2_PER_HA = 10_000.0
M2_PER_MU = M2_PER_HA / 15  # 1 mu (亩) is a fifteenth of a hectare
M2_PER_ACRE = 4840 * 0.9144**2
KG_PER_LB = 0.45359237

# kg/ha in one of the unit; kg/tree depends on the planting and is handled where it is converted
_KG_PER_HA = {"kg/ha": 1.0, "t/ha": 1000.0, "kg/mu": 15.0}
_LB_PER_ACRE = KG_PER_LB / M2_PER_ACRE * M2_PER_HA
YIELD_UNITS = (*_KG_PER_HA, "kg/tree", "lb/acre")
BINS = "bins/acre"
_KG = {"kg": 1.0, "lb": KG_PER_LB}
_BINS_OF = re.compile(rf"{BINS} of (?P<mass>\d+(?:\.\d+)?) ?(?P<unit>{'|'.join(_KG)})")
_BINS_EXAMPLE = f"{BINS} of 400 kg"
_M2 = {"m2": 1.0, "ha": M2_PER_HA, "mu": M2_PER_MU, "acre": M2_PER_ACRE}
AREA_UNITS = tuple(_M2)


def require_yield_unit(unit: str) -> str:
    """The unit itself, if yields can be converted to it.

    Raises:
        CalibrationError: it is unknown, or counts bins without saying what a full one weighs.
    """
    if unit != "kg/tree":
        _factor(unit, None)
    return unit


def _factor(unit: str, trees_per_ha: float | None) -> float:
    """The kg/ha in one of a unit."""
    if unit == "kg/tree":
        if trees_per_ha is None:
            raise CalibrationError(
                "kg/tree needs the planting density: give the block's trees and area, or trees per ha"
            )
        return require_positive(trees_per_ha, "trees per ha", "give the block's trees and area")
    if unit == "lb/acre":
        return _LB_PER_ACRE
    if unit.startswith(BINS):
        return _bin_mass_kg(unit) / M2_PER_ACRE * M2_PER_HA
    if unit not in _KG_PER_HA:
        raise CalibrationError(f"unit {unit!r} is unknown; known are {', '.join(YIELD_UNITS)}, {_BINS_EXAMPLE}")
    return _KG_PER_HA[unit]


def _bin_mass_kg(unit: str) -> float:
    match = _BINS_OF.fullmatch(unit)
    if match is None:
        raise CalibrationError(
            f"unit {unit!r} does not say what a full bin weighs; weigh one and write {_BINS_EXAMPLE!r}, "
            f"or '{BINS} of 900 lb'"
        )
    mass = require_positive(float(match["mass"]), f"the mass of a bin in {unit!r}", "weigh a full one")
    return mass * _KG[match["unit"]]


def _require_yield(value: float) -> float:
    return require_not_negative(value, "yield", "check where it comes from")


def yield_to_kg_per_ha(value: float, unit: str, trees_per_ha: float | None = None) -> float:
    """Convert a yield to kg/ha.

    Args:
        value: the yield in ``unit``.
        unit: one of :data:`YIELD_UNITS`, or bins as in ``bins/acre of 400 kg``.
        trees_per_ha: planting density, needed for kg/tree.

    Raises:
        CalibrationError: a yield that is negative or no number, an unknown unit, bins without their mass, or kg/tree
            without density.
    """
    return _require_yield(value) * _factor(unit, trees_per_ha)


def yield_from_kg_per_ha(value: float, unit: str, trees_per_ha: float | None = None) -> float:
    """Convert a yield in kg/ha to ``unit``; arguments and errors as :func:`yield_to_kg_per_ha`."""
    return _require_yield(value) / _factor(unit, trees_per_ha)


def area_to_m2(value: float, unit: str) -> float:
    """Convert an area in ``m2``, ``ha``, ``mu`` or ``acre`` to m².

    Raises:
        CalibrationError: an unknown unit, or an area that is not above zero.
    """
    return _require_area(value) * _m2(unit)


def area_from_m2(value: float, unit: str) -> float:
    """Convert an area in m² to ``unit``; units and errors as :func:`area_to_m2`."""
    return _require_area(value) / _m2(unit)


def _require_area(value: float) -> float:
    return require_positive(value, "area", "measure it on the ground or on a map")


def _m2(unit: str) -> float:
    if unit not in _M2:
        raise CalibrationError(f"area unit {unit!r} is unknown; known are {', '.join(AREA_UNITS)}")
    return _M2[unit]
