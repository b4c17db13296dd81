"""Yield of an orchard from its blocks: visited ones by their own trees, the others by the factor of those.

Errors of different blocks differ in which trees were sampled and stand alone there; what blocks share (the detector, a
fruit weight that was given for both) moves them together and does not average out. Blocks that nobody visited take the
correction factor of the visited ones, with the satellite's error between blocks; or another form of correction, where
enough blocks were visited to choose one, with the error of blocks left out of its fit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from calibration.corrections import Choice
from calibration.errors import CalibrationError, require_positive
from calibration.estimate import Estimate, satterthwaite
from calibration.observed import TREES, Component
from calibration.siting import BETWEEN_AREAS, DEFAULT_BETWEEN_AREAS

_OF_ONE_BLOCK = {TREES, BETWEEN_AREAS}


@dataclass(frozen=True)
class VisitedBlock:
    """A block whose trees were counted.

    Attributes:
        area_m2: its planted area.
        predicted_kg_per_ha: yield the satellite model predicts for it.
        kg_per_ha: its yield from its own trees.
        components: the errors in that; those of one name and choice are one error in all blocks.
    """

    area_m2: float
    predicted_kg_per_ha: float
    kg_per_ha: float
    components: tuple[Component, ...]


@dataclass(frozen=True)
class OtherBlock:
    """A block that nobody visited.

    Attributes:
        area_m2: its planted area.
        predicted_kg_per_ha: yield the satellite model predicts for it.
    """

    area_m2: float
    predicted_kg_per_ha: float


def orchard_yield(
    visited: Sequence[VisitedBlock],
    others: Sequence[OtherBlock] = (),
    between: Estimate = DEFAULT_BETWEEN_AREAS,
    choice: Choice | None = None,
) -> Estimate:
    """Yield of the orchard in kg/ha.

    Args:
        visited: the blocks whose trees were counted.
        others: the other blocks of the orchard.
        between: log α of a block less that of the orchard, with its variance.
        choice: the correction that the visited blocks prefer; None takes the ratio.

    Raises:
        CalibrationError: no visited block, or an area or prediction that is not above zero.
    """
    if not visited:
        raise CalibrationError("visited is empty; the yield of an orchard needs one block whose trees were counted")
    total_m2 = sum(block.area_m2 for block in visited) + sum(block.area_m2 for block in others)
    if choice is None or choice.correction.form == "ratio":
        harvest, parts = _by_ratio(visited, others, between)
    else:
        harvest, parts = _by_form(visited, others, choice)
    return Estimate(harvest, sum(part.variance for part in parts), satterthwaite(parts)).times(1 / total_m2)


def _by_ratio(
    visited: Sequence[VisitedBlock], others: Sequence[OtherBlock], between: Estimate
) -> tuple[float, list[Estimate]]:
    """Harvest in kg/ha x m², and its errors."""
    expected = [_expected(block) for block in visited]
    unseen = [_expected(block) for block in others]
    stretch = 1 + sum(unseen) / sum(expected)
    harvests = [stretch * block.area_m2 * block.kg_per_ha for block in visited]
    # where a block that nobody visited is taken to be off as the visited ones are, both sides of that err
    apart = sum(part**2 for part in unseen) + sum(unseen) ** 2 * sum(part**2 for part in expected) / sum(expected) ** 2
    factor = sum(harvests) / stretch / sum(expected)
    apart_error = Estimate(0.0, factor**2 * between.variance * apart, between.degrees_of_freedom)
    return sum(harvests), [*_errors(visited, harvests), apart_error]


def _by_form(
    visited: Sequence[VisitedBlock], others: Sequence[OtherBlock], choice: Choice
) -> tuple[float, list[Estimate]]:
    """The same by another form; what errs in the visited blocks errs in the form that was fitted to them too."""
    blocks: list[VisitedBlock | OtherBlock] = [*visited, *others]
    for block in blocks:
        _expected(block)
    corrected = [choice.block_yield(block.predicted_kg_per_ha).times(block.area_m2) for block in others]
    seen = [block.area_m2 * block.kg_per_ha for block in visited]
    stretch = 1 + sum(part.value for part in corrected) / sum(seen)
    harvests = [stretch * harvest for harvest in seen]
    return sum(harvests), [*_errors(visited, harvests), *corrected]


def _expected(block: VisitedBlock | OtherBlock) -> float:
    require_positive(block.area_m2, "area of a block in m²", "measure the block on a map")
    require_positive(block.predicted_kg_per_ha, "predicted yield of a block", "check the predictions file")
    return block.area_m2 * block.predicted_kg_per_ha


def _errors(visited: Sequence[VisitedBlock], harvests: Sequence[float]) -> list[Estimate]:
    together: defaultdict[Component, float] = defaultdict(float)
    parts = []
    for block, harvest in zip(visited, harvests, strict=True):
        for component in block.components:
            if component.name in _OF_ONE_BLOCK:
                variance = harvest**2 * component.relative_variance
                parts.append(Estimate(0.0, variance, component.degrees_of_freedom))
            else:
                together[component] += harvest
    shared = [
        Estimate(0.0, harvest**2 * component.relative_variance, component.degrees_of_freedom)
        for component, harvest in together.items()
    ]
    return [*parts, *shared]
