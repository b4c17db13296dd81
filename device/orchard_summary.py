"""An orchard from the latest estimates of its blocks: reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import inf

from calibration.estimate import Estimate
from calibration.observed import Component
from calibration.orchard_yield import OtherBlock, VisitedBlock, orchard_yield
from calibration.siting import BETWEEN_AREAS
from calibration.units import yield_from_kg_per_ha
from calibration.yields import CONFIDENCE
from cloud_sync.messages import EstimateBody
from device.orchards import Block, all_blocks
from device.sitings import BLOCK, ORCHARD
from device.store import Store


@dataclass(frozen=True)
class OrchardView:
    """Yield of an orchard of several blocks, in the unit its people read.

    Attributes:
        orchard: name of the orchard.
        unit: the unit.
        visited: blocks with an estimate.
        blocks: all its blocks.
        corrected: yield of the orchard.
        corrected_low: lower end of its 95 % interval.
        corrected_high: upper end.
    """

    orchard: str
    unit: str
    visited: int
    blocks: int
    corrected: float
    corrected_low: float
    corrected_high: float


def summarise_orchards(store: Store) -> list[OrchardView]:
    """Each orchard of several blocks of known area, one of them estimated at least."""
    views = []
    for name, of_orchard in groupby(all_blocks(store), key=lambda block: block.orchard):
        blocks = list(of_orchard)
        areas = {block.name: block.area_m2 for block in blocks if block.area_m2 is not None}
        estimates = {block.name: body for block in blocks if (body := _latest(store, block)) is not None}
        if len(blocks) < 2 or len(areas) < len(blocks) or not estimates:
            continue
        found = _together(areas, estimates)
        views.append(_view(name, blocks, len(estimates), found))
    return views


def _together(areas: dict[str, float], estimates: dict[str, EstimateBody]) -> Estimate:
    """Predictions are of the orchard, so that blocks nobody visited are taken as predicted like the visited ones."""
    predicted = sum(body.predicted_orchard_kg_per_ha for body in estimates.values()) / len(estimates)
    visited = [
        VisitedBlock(areas[name], predicted, body.block_kg_per_ha or 0.0, tuple(_errors(body)))
        for name, body in estimates.items()
    ]
    others = [OtherBlock(area, predicted) for name, area in areas.items() if name not in estimates]
    return orchard_yield(visited, others)


def _latest(store: Store, block: Block) -> EstimateBody | None:
    """The latest estimate of a block that says something of the block itself."""
    rows = store.db.query(
        "SELECT body FROM estimate JOIN visit ON visit.id = estimate.visit WHERE visit.block = ? "
        "ORDER BY day DESC, visit.rowid DESC",
        [block.id],
    )
    bodies = (EstimateBody.model_validate_json(row["body"]) for row in rows)
    return next((body for body in bodies if body.block_kg_per_ha is not None), None)


def _errors(body: EstimateBody) -> Iterator[Component]:
    """What errs in the block's own yield."""
    for part in body.components:
        if part.name != BETWEEN_AREAS or body.siting not in (BLOCK, ORCHARD):
            yield Component(part.name, part.relative_sd**2, part.degrees_of_freedom or inf, part.choice)


def _view(name: str, blocks: list[Block], visited: int, found: Estimate) -> OrchardView:
    unit = blocks[0].yield_unit
    trees, area_m2 = sum(block.trees or 0 for block in blocks), sum(block.area_m2 or 0.0 for block in blocks)
    density = trees / area_m2 * 10_000 if all(block.trees for block in blocks) else None
    if unit == "kg/tree" and density is None:
        unit = "kg/ha"
    ends = (found.value, *found.positive_interval(CONFIDENCE))
    shown = (yield_from_kg_per_ha(figure, unit, density) for figure in ends)
    return OrchardView(name, unit, visited, len(blocks), *shown)
