"""The season of a block: every forecast of its harvest, and what the harvest says of them. Reads only.

Nothing is computed once and kept: forecasts, scores and rates follow from visits and harvests as they stand, so that a
count reviewed late or a weight entered later is in all of them. What harvests taught lasts as long as they do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from calibration.errors import require_positive
from calibration.fruit_weight import FROM_EXPERIENCE, assumed_weight
from calibration.season import Forecast, forecasts
from calibration.season_rates import DEFAULT_RATES, FRUIT_WEIGHT, SeasonRates
from calibration.season_scores import Score, learn_rates, score_forecasts
from device.errors import InputError
from device.orchards import Block
from device.seasons.harvests import SeasonHarvest, season_harvest, seasons_harvested
from device.seasons.stage_visits import SeasonVisit, SeasonVisits, season_visits, seasons_visited
from device.store import Store


@dataclass(frozen=True)
class Foretold:
    """A visit, and the harvest foretold from it and those before.

    Attributes:
        visit: the visit.
        forecast: the forecast.
        score: how good it was, None before the harvest.
    """

    visit: SeasonVisit
    forecast: Forecast
    score: Score | None


@dataclass(frozen=True)
class Season:
    """The season of a block.

    Attributes:
        block: the block.
        year: the year it is picked in.
        foretold: one forecast a visit, by day.
        harvest: what was weighed, None before.
        rates: what forecasts are made with.
        learned_in: the seasons that taught them.
        learned: the rates after this season, None before its harvest or without a visit.
        notes: what to know before relying on it.
    """

    block: Block
    year: int
    foretold: tuple[Foretold, ...]
    harvest: SeasonHarvest | None
    rates: SeasonRates
    learned_in: tuple[int, ...]
    learned: SeasonRates | None
    notes: tuple[str, ...]


def follow_season(store: Store, block: Block, year: int | None = None, bundle: Path | None = None) -> Season:
    """Follow a season of a block.

    Args:
        store: the device's records.
        block: the block.
        year: the season; None takes the latest.
        bundle: folder of the bundle that counted, where it did not come with Pomona.

    Raises:
        InputError: no visit and no harvest in it.
        CalibrationError: the block's fruit weight cannot be.
        BundleError: a manifest cannot be read.
    """
    harvested = seasons_harvested(store, block)
    year = _season(block, year, {*harvested, *seasons_visited(store, block)})
    rates, learned_in = _first_rates(block), []
    for earlier in harvested:
        if earlier < year:
            harvest, found = _records(store, block, earlier, bundle)
            if harvest is not None and found.visits:
                rates = learn_rates(rates, found.seen, harvest.result)
                learned_in.append(earlier)
    harvest, found = _records(store, block, year, bundle)
    told = forecasts(found.seen, rates) if found.visits else []
    scores: Iterable[Score | None] = [None] * len(told)
    learned = None
    if harvest is not None and told:
        scores = score_forecasts(told, harvest.result)
        learned = learn_rates(rates, found.seen, harvest.result)
    return Season(
        block=block,
        year=year,
        foretold=tuple(map(Foretold, found.visits, told, scores)),
        harvest=harvest,
        rates=rates,
        learned_in=tuple(learned_in),
        learned=learned,
        notes=(*found.notes, *_weight_notes(block, learned_in)),
    )


def latest_season(store: Store, block: Block) -> Season | None:
    """The same of the latest season; None before the first visit and harvest.

    Raises:
        InputError, CalibrationError, BundleError: as :func:`follow_season`.
    """
    if not seasons_visited(store, block) and not seasons_harvested(store, block):
        return None
    return follow_season(store, block)


def _season(block: Block, year: int | None, known: set[int]) -> int:
    if not known:
        raise InputError(
            f"block {block.name} has no visit; count flowers or fruit: pomona visit import FOLDER --block {block.name} "
            "--stage STAGE"
        )
    if year is not None and year not in known:
        seasons = ", ".join(map(str, sorted(known)))
        raise InputError(f"block {block.name} has no visit in season {year}; choose --season of {seasons}")
    return max(known) if year is None else year


def _records(store: Store, block: Block, year: int, bundle: Path | None) -> tuple[SeasonHarvest | None, SeasonVisits]:
    harvest = season_harvest(store, block, year)
    first_picking = harvest.pickings[0].day if harvest else None
    return harvest, season_visits(store, block, year, first_picking, bundle)


def _first_rates(block: Block) -> SeasonRates:
    """What is taken before a harvest has taught anything, with the block's fruit weight where it is known."""
    if block.fruit_weight_g is None:
        return DEFAULT_RATES
    weight_g = require_positive(block.fruit_weight_g, "single fruit weight in g", "set it for the block")
    return DEFAULT_RATES.with_fruit_weight(weight_g, FROM_EXPERIENCE, DEFAULT_RATES.steps[FRUIT_WEIGHT].seasons)


def _weight_notes(block: Block, learned_in: list[int]) -> tuple[str, ...]:
    return () if block.fruit_weight_g is not None or learned_in else assumed_weight().warnings
