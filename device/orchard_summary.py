"""An orchard from the latest estimates of its blocks: reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf

from calibration.corrections import ENOUGH_BLOCKS, Choice, Form, choose_correction
from calibration.estimate import Estimate
from calibration.observed import Component
from calibration.orchard_yield import OtherBlock, VisitedBlock, orchard_yield
from calibration.siting import BETWEEN_AREAS
from calibration.units import yield_from_kg_per_ha
from calibration.yields import CONFIDENCE
from cloud_sync.messages import EstimateBody
from device.orchards import Block, all_blocks
from device.seasons.years import season_of
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
        form: the correction that its blocks of one season prefer, None where they are too few to tell.
        notes: why that one, and what to know of it.
    """

    orchard: str
    unit: str
    visited: int
    blocks: int
    corrected: float
    corrected_low: float
    corrected_high: float
    form: Form | None = None
    notes: tuple[str, ...] = ()


def summarise_orchards(store: Store) -> list[OrchardView]:
    """Each orchard of several blocks of known area, one of them estimated at least."""
    views = []
    for name, of_orchard in groupby(all_blocks(store), key=lambda block: block.orchard):
        blocks = list(of_orchard)
        areas = {block.name: block.area_m2 for block in blocks if block.area_m2 is not None}
        estimates = {block.name: body for block in blocks if (body := _latest(store, block)) is not None}
        if len(blocks) < 2 or len(areas) < len(blocks) or not estimates:
            continue
        choice = _choice(areas, estimates)
        view = _view(name, blocks, len(estimates), _together(areas, estimates, choice))
        if choice is not None:
            notes = _notes(choice, _predicted(estimates), len(blocks) - len(estimates))
            view = replace(view, form=choice.correction.form, notes=notes)
        views.append(view)
    return views


def _choice(areas: dict[str, float], estimates: dict[str, EstimateBody]) -> Choice | None:
    """The correction that the blocks of the latest season prefer; None where they are too few."""
    season = max(season_of(body.day, body.stage) for body in estimates.values())
    told = [(name, body) for name, body in estimates.items() if season_of(body.day, body.stage) == season]
    observed = [body.block_kg_per_ha or 0.0 for _, body in told]
    if len(told) < ENOUGH_BLOCKS or not any(observed):
        return None
    return choose_correction(
        observed, [body.predicted_area_kg_per_ha for _, body in told], [areas[name] for name, _ in told]
    )


def _notes(choice: Choice, predicted_kg_per_ha: float, others: int) -> tuple[str, ...]:
    notes = [f"of ratio, additive and log-linear correction {choice.reason}"]
    if not others:
        notes.append("all blocks were visited, so that their own trees tell the yield and no correction was needed")
    elif choice.correction.form != "ratio" and choice.correction.extrapolates([predicted_kg_per_ha]):
        notes.append(
            "the prediction of blocks that nobody visited lies outside those of the visited ones: visit some of them"
        )
    return tuple(notes)


def _predicted(estimates: dict[str, EstimateBody]) -> float:
    return sum(body.predicted_orchard_kg_per_ha for body in estimates.values()) / len(estimates)


def _together(areas: dict[str, float], estimates: dict[str, EstimateBody], choice: Choice | None) -> Estimate:
    """A visited block is predicted as its sampled trees are; of one that nobody visited only the orchard's is known."""
    predicted = _predicted(estimates)
    visited = [
        VisitedBlock(areas[name], body.predicted_area_kg_per_ha, body.block_kg_per_ha or 0.0, tuple(_errors(body)))
        for name, body in estimates.items()
    ]
    others = [OtherBlock(area, predicted) for name, area in areas.items() if name not in estimates]
    return orchard_yield(visited, others, choice=choice)


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
    value, low, high = (yield_from_kg_per_ha(figure, unit, density) for figure in ends)
    return OrchardView(name, unit, visited, len(blocks), value, low, high)
