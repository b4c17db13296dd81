"""What weighed harvests tell of sampling areas: how far an area's factor lay from its orchard's or block's. Reads only.

Like rates, it is refolded each time, from the harvests and estimates of all orchards on this device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log

import numpy as np

from calibration.estimate import Estimate
from calibration.siting import BETWEEN_AREAS, Siting, learn_between_areas, learn_hand_picked
from cloud_sync.messages import EstimateBody
from device.orchards import Block, all_blocks
from device.seasons.harvests import SeasonHarvest, season_harvest, seasons_harvested
from device.seasons.years import season_of
from device.sitings import BLOCK, OF_ORCHARD, ORCHARD
from device.store import Store

_LEAST_AREAS = 2


@dataclass(frozen=True)
class LearnedAreas:
    """What earlier areas taught.

    Attributes:
        error: log α of such an area less that of its orchard.
        areas: number of areas that taught it.
    """

    error: Estimate
    areas: int


@dataclass(frozen=True)
class _Ratio:
    """log(α of an area / α of what it stands for), with the variance of measuring both."""

    siting: Siting
    log_ratio: float
    variance: float


def learn_areas(store: Store, siting: Siting, season: int) -> LearnedAreas | None:
    """Learn how far areas lie from their orchards, from the harvests before a season.

    Each block gives the last ripening visit of a season that was estimated and came before its picking; fruit still
    drops after earlier stages. Where all blocks of the orchard were weighed, its factor is held against the orchard's;
    otherwise that of an area against its block's, for which the area's prediction is taken, as in estimates.

    Args:
        store: the device's records.
        siting: where the trees of the visit to be estimated stand.
        season: its season; its harvest and later ones teach nothing, as the visit foretells them.

    Returns:
        None where fewer than two areas of that kind are known, or the trees are scattered.
    """
    known = [ratio for ratio in _ratios(store, season) if ratio.siting == siting]
    if len(known) < _LEAST_AREAS:
        return None
    learn = learn_hand_picked if siting == "hand-picked" else learn_between_areas
    return LearnedAreas(learn([ratio.log_ratio for ratio in known], [ratio.variance for ratio in known]), len(known))


def _ratios(store: Store, season: int) -> Iterator[_Ratio]:
    for _, of_orchard in groupby(all_blocks(store), key=lambda block: block.orchard):
        blocks = list(of_orchard)
        for year in sorted({year for block in blocks for year in seasons_harvested(store, block) if year < season}):
            harvests = [season_harvest(store, block, year) for block in blocks]
            whole = _whole_kg_per_ha(blocks, harvests)
            for block, harvest in zip(blocks, harvests, strict=True):
                body = None if harvest is None else _estimated(store, block, year, harvest)
                if harvest is None or body is None or body.siting in (None, ORCHARD):
                    continue
                if whole is not None and (body.siting != BLOCK or len(blocks) > 1):
                    yield _ratio(body, whole, body.predicted_orchard_kg_per_ha)
                elif body.siting != BLOCK and (own := _kg_per_ha(block, harvest)) is not None:
                    yield _ratio(body, own, body.predicted_area_kg_per_ha)


def _ratio(body: EstimateBody, weighed_kg_per_ha: Estimate, predicted_kg_per_ha: float) -> _Ratio:
    assert body.siting is not None  # those without were left out
    factor = body.observed_kg_per_ha / body.predicted_area_kg_per_ha
    measuring = sum(part.relative_sd**2 for part in body.components if part.name != BETWEEN_AREAS)
    return _Ratio(
        OF_ORCHARD[body.siting],
        log(factor / (weighed_kg_per_ha.value / predicted_kg_per_ha)),
        measuring + weighed_kg_per_ha.relative_variance,
    )


def _estimated(store: Store, block: Block, year: int, harvest: SeasonHarvest) -> EstimateBody | None:
    """The last estimate of the season before picking, None without; a yield of 0 has no factor to compare."""
    rows = store.db.query(
        "SELECT body FROM estimate JOIN visit ON visit.id = estimate.visit "
        "WHERE visit.block = ? AND stage = 'ripening' AND day <= ? ORDER BY day DESC",
        [block.id, harvest.pickings[0].day.isoformat()],
    )
    bodies = (EstimateBody.model_validate_json(row["body"]) for row in rows)
    told = (body for body in bodies if season_of(body.day, body.stage) == year and body.observed_kg_per_ha > 0)
    return next(told, None)


def _kg_per_ha(block: Block, harvest: SeasonHarvest | None) -> Estimate | None:
    if harvest is None or block.trees_per_ha is None:
        return None
    value = harvest.result.kg_per_tree * block.trees_per_ha
    return Estimate(value, (value * harvest.result.spread) ** 2)


def _whole_kg_per_ha(blocks: Sequence[Block], harvests: Sequence[SeasonHarvest | None]) -> Estimate | None:
    """Yield of the orchard, None where a block was not weighed or its ground is not known."""
    yields = list(map(_kg_per_ha, blocks, harvests))
    told = [(found, block.area_m2) for found, block in zip(yields, blocks, strict=True) if found and block.area_m2]
    if len(told) < len(blocks):
        return None
    areas = np.array([area for _, area in told])
    shares = areas / areas.sum()
    value = float(shares @ [found.value for found, _ in told])
    return Estimate(value, float(shares**2 @ [found.variance for found, _ in told]))
