"""The correction factor of a block from its own trees and from what other blocks let expect of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, log

from calibration.estimate import Estimate
from calibration.observed import TREES
from calibration.pooling import BlockFactor, PooledFactor, apply_prior
from calibration.siting import BETWEEN_AREAS
from calibration.units import yield_from_kg_per_ha
from calibration.yields import CONFIDENCE
from cloud_sync.messages import EstimateBody
from device.factor_prior import FactorPriorDocument, kept_prior
from device.orchards import Block
from device.seasons.years import season_of
from device.sitings import BLOCK, ORCHARD
from device.store import Store
from device.wording import yield_words

# names no server gives a level, so that nothing is known of it
_UNKNOWN = "(not known)"
# a block of which every tree was photographed has none left to differ
_LEAST_LEFT = 1e-6


@dataclass(frozen=True)
class PooledBlock:
    """What a block's own trees and other blocks say together.

    Attributes:
        pooled: the factor, and how much of it is the block's own.
        kg_per_ha: yield of the block by it.
        blocks: number of blocks the prior was learned from.
        notes: what to know before relying on it.
    """

    pooled: PooledFactor
    kg_per_ha: Estimate
    blocks: int
    notes: tuple[str, ...]


def pool(document: FactorPriorDocument, block: Block, body: EstimateBody) -> PooledBlock | None:
    """Weigh what the estimate of a visit says of its block against what other blocks let expect.

    Args:
        document: the prior; it should not have seen this visit.
        block: the visited block.
        body: the estimate of the visit.

    Returns:
        None where the estimate says nothing of the block itself: no fruit, or made by an older Pomona.

    Raises:
        CalibrationError: the prior and the estimate cannot be weighed.
    """
    trees = next((part for part in body.components if part.name == TREES), None)
    if trees is None or not body.block_kg_per_ha:
        return None
    region, variety = document.regions.get(block.orchard), block.variety
    own = BlockFactor(
        log_factor=log(body.block_kg_per_ha / body.predicted_area_kg_per_ha),
        variance=trees.relative_sd**2,
        degrees_of_freedom=trees.degrees_of_freedom or inf,
        trees=body.trees / _share_left(block, body),
        region=region or _UNKNOWN,
        year=season_of(body.day, body.stage),
        variety=variety or _UNKNOWN,
        other_variance=sum(_other_variances(body)),
    )
    pooled = apply_prior(document.prior, own)
    return PooledBlock(
        pooled,
        pooled.factor.times(body.predicted_area_kg_per_ha),
        document.prior.blocks,
        (*pooled.warnings, *_place_notes(document, block, region)),
    )


def pool_visit(store: Store, block: Block, visit: str) -> PooledBlock | None:
    """The same for the latest estimate of a visit, with the prior that is kept; None where one of both is missing.

    Args:
        store: the device's records.
        block: the visited block.
        visit: id of the visit.

    Raises:
        InputError: the prior was damaged.
        CalibrationError: the prior and the estimate cannot be weighed.
    """
    document = kept_prior(store.folder)
    row = store.one("SELECT body FROM estimate WHERE visit = ?", [visit])
    return (
        None
        if document is None or row is None
        else pool(document, block, EstimateBody.model_validate_json(row["body"]))
    )


def pooled_title(found: PooledBlock) -> str:
    """Whose say it is."""
    return f"together with {found.blocks} other block{'s' * (found.blocks != 1)}"


def pooled_lines(block: Block, found: PooledBlock) -> list[tuple[str, str]]:
    """What is said of it, line by line."""
    factor = found.pooled.factor
    low, high = factor.positive_interval(CONFIDENCE)
    return [
        ("correction factor", f"{factor.value:.2f} ({low:.2f} to {high:.2f})"),
        ("this block", pooled_yield(block, found)),
        ("share of its own trees in this", f"{found.pooled.own_weight * 100:.0f} %"),
    ]


def pooled_yield(block: Block, found: PooledBlock) -> str:
    """Yield of the block by it, with its 95 % interval."""
    unit = block.yield_unit if block.trees_per_ha is not None or block.yield_unit != "kg/tree" else "kg/ha"
    ends = (found.kg_per_ha.value, *found.kg_per_ha.positive_interval(CONFIDENCE))
    shown = [yield_words(yield_from_kg_per_ha(kg_per_ha, unit, block.trees_per_ha), unit) for kg_per_ha in ends]
    return f"{shown[0]} ({shown[1]} to {shown[2]}) {unit}"


def _share_left(block: Block, body: EstimateBody) -> float:
    """Share of the block's trees that were not sampled; all of them where they were taken from a part of it."""
    if block.trees is None or body.siting not in (BLOCK, ORCHARD):
        return 1.0
    return max(1 - body.trees / block.trees, _LEAST_LEFT)


def _other_variances(body: EstimateBody) -> Iterator[float]:
    """What errs in the block's factor beside which trees were sampled; one area of it may differ from the rest."""
    for part in body.components:
        if part.name != TREES and (part.name != BETWEEN_AREAS or body.siting not in (BLOCK, ORCHARD)):
            yield part.relative_sd**2


def _place_notes(document: FactorPriorDocument, block: Block, region: str | None) -> Iterator[str]:
    if region not in document.levels("region"):
        yield (
            f"other blocks say less of block {block.name}: "
            + (f"none of them lies in {region}" if region else f"the prior does not say where {block.orchard} lies")
        )
    if block.variety is None:
        yield (
            f"other blocks say less of block {block.name}, whose variety is not known; set it: pomona block add "
            f"{block.name} --orchard '{block.orchard}' --variety NAME"
        )
    elif block.variety not in document.levels("variety"):
        yield f"other blocks say less of block {block.name}: none of them bears {block.variety}"
