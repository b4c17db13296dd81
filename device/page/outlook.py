"""What is said of a block beside its visits: the harvest as foretold, and what other blocks let expect."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.errors import CalibrationError
from device.errors import InputError
from device.orchards import Block
from device.pooled_factor import PooledBlock, pool_visit, pooled_title, pooled_yield
from device.queries import VisitSummary
from device.seasons.season import Season, latest_season
from device.seasons.telling import harvest_lines
from device.store import Store
from export.runtime.errors import BundleError


@dataclass(frozen=True)
class Outlook:
    """What is known of a block beyond its latest visit.

    Attributes:
        lines: its harvest, and its yield together with other blocks, where they are known.
        problems: why one of them is not told although there is something to tell it from.
    """

    lines: list[tuple[str, str]]
    problems: tuple[str, ...]


def outlook_of(store: Store, block: Block, visit: VisitSummary | None) -> Outlook:
    """The outlook of a block, for a card.

    Args:
        store: the device's records.
        block: the block.
        visit: its latest visit.
    """
    pooled, no_pool = pooled_of(store, block, visit)
    season, no_season = season_of_block(store, block)
    together = [(f"this block, {pooled_title(pooled)}", pooled_yield(block, pooled))] if pooled else []
    harvest = harvest_lines(season) if season else []
    return Outlook([*together, *harvest], tuple(filter(None, (no_pool, no_season))))


def pooled_of(store: Store, block: Block, visit: VisitSummary | None) -> tuple[PooledBlock | None, str | None]:
    """What a block's own trees and other blocks say together; or why they do not, which spoils no page."""
    if visit is None or visit.estimate is None:
        return None, None
    try:
        return pool_visit(store, block, visit.id), None
    except (InputError, CalibrationError) as error:
        return None, f"other blocks were not drawn in: {error}"


def season_of_block(store: Store, block: Block) -> tuple[Season | None, str | None]:
    """The latest season of a block; or why it cannot be followed."""
    try:
        return latest_season(store, block), None
    except (InputError, CalibrationError, BundleError) as error:
        return None, f"the harvest is not foretold: {error}"
