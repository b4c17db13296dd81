"""A season in words, for a person, and as plain values, for a program."""

from __future__ import annotations

from typing import Any

from calibration.estimate import Estimate
from calibration.season_rates import FRUIT_WEIGHT, STAGES
from calibration.season_scores import CONFIDENCE
from calibration.units import yield_from_kg_per_ha
from device.orchards import Block
from device.seasons.harvests import SeasonHarvest
from device.seasons.season import Foretold, Season
from device.wording import stage_words, yield_words

_KG_PER_T = 1000


def season_unit(block: Block) -> str:
    """The unit a block's season is shown in: its orchard's, or kg/tree where the planting density is not known."""
    return "kg/tree" if block.trees_per_ha is None else block.yield_unit


def _shown(block: Block, kg_per_tree: float) -> float:
    if block.trees_per_ha is None:
        return kg_per_tree
    return yield_from_kg_per_ha(kg_per_tree * block.trees_per_ha, block.yield_unit, block.trees_per_ha)


def visit_row(block: Block, told: Foretold) -> tuple[str, ...]:
    """Visit, count, forecast and, once the harvest was weighed, its error and whether its range held the harvest."""
    row = (
        f"{told.forecast.day} {stage_words(told.forecast.stage)}",
        f"{told.visit.counted_per_tree:,.0f}",
        _with_range(block, told),
    )
    if told.score is None:
        return row
    return (*row, f"{told.score.error * 100:+.0f} %", "yes" if told.score.held else "no")


def harvest_lines(season: Season) -> list[tuple[str, str]]:
    """The block's harvest as last foretold and as weighed, in the unit it is shown in."""
    unit, whose = season_unit(season.block), f"this block, harvest {season.year}"
    lines = []
    if season.foretold:
        told = _with_range(season.block, season.foretold[-1])
        lines.append((f"{whose} foretold ({CONFIDENCE * 100:.0f} %)", f"{told} {unit}"))
    if season.harvest is not None:
        weighed = yield_words(_shown(season.block, season.harvest.result.kg_per_tree), unit)
        lines.append((f"{whose} weighed", f"{weighed} {unit}"))
    return lines


def _with_range(block: Block, told: Foretold) -> str:
    kg_per_tree, unit = told.forecast.kg_per_tree, season_unit(block)
    value, low, high = (
        yield_words(_shown(block, kg), unit) for kg in (kg_per_tree.value, *kg_per_tree.positive_interval(CONFIDENCE))
    )
    return f"{value} ({low} to {high})"


def season_lines(season: Season) -> list[tuple[str, str]]:
    """What is said below the visits, line by line."""
    lines = []
    if season.foretold:
        lines.append(("foretold", _foretold_words(season.block, season.foretold[-1].forecast.kg_per_tree)))
    if season.harvest is not None:
        lines.append(("weighed", _weighed_words(season.block, season.harvest)))
    return lines


def _foretold_words(block: Block, kg_per_tree: Estimate) -> str:
    low, high = kg_per_tree.positive_interval(CONFIDENCE)
    words = f"{kg_per_tree.value:,.1f} kg a tree ({low:,.1f} to {high:,.1f})"
    if block.trees is not None:
        words += f", {kg_per_tree.value * block.trees / _KG_PER_T:,.1f} t from {block.trees:,} trees"
    return words


def _weighed_words(block: Block, harvest: SeasonHarvest) -> str:
    days = len(harvest.pickings)
    unit, a_tree = season_unit(block), harvest.result.kg_per_tree
    words = f"{harvest.weight_kg:,.0f} kg on {days} day{'s' * (days > 1)} from {harvest.trees:,} trees"
    words += f", {a_tree:,.1f} kg a tree"
    return words if unit == "kg/tree" else f"{words}, {yield_words(_shown(block, a_tree), unit)} {unit}"


def rates_title(season: Season) -> str:
    """Where the rates come from."""
    if not season.learned_in:
        return "Share that remains, assumed until a harvest here teaches better"
    return f"Share that remains, learned from the harvest of {', '.join(map(str, season.learned_in))}"


def rate_rows(season: Season) -> list[tuple[str, ...]]:
    """What remains from each stage to the next, and the weight of a fruit; after this harvest too, where it taught."""
    told = [season.rates] if season.learned is None else [season.rates, season.learned]
    ends = [*map(stage_words, STAGES[1:]), "harvest"]
    shares = [
        (f"{stage_words(stage)} to {end}", *(f"{rates.steps[stage].median * 100:.0f} %" for rates in told))
        for stage, end in zip(STAGES, ends, strict=True)
    ]
    return [*shares, ("weight of a fruit", *(f"{rates.steps[FRUIT_WEIGHT].median:.0f} g" for rates in told))]


def interval_note() -> str:
    """What the brackets are."""
    return f"in brackets the {CONFIDENCE * 100:.0f} % interval of the harvest"


def season_as_dict(season: Season) -> dict[str, Any]:
    """A season as plain values: what ``pomona season --json`` prints."""
    block, harvest = season.block, season.harvest
    weighed = None
    if harvest is not None:
        weighed = {
            "weight_kg": harvest.weight_kg,
            "trees": harvest.trees,
            "kg_per_tree": harvest.result.kg_per_tree,
            "yield": _shown(block, harvest.result.kg_per_tree),
            "relative_sd": harvest.result.spread,
            "fruit_weight_g": harvest.result.fruit_weight_g,
            "days": [
                {"day": picking.day.isoformat(), "weight_kg": picking.weight_kg, "trees": picking.trees}
                for picking in harvest.pickings
            ],
        }
    return {
        "orchard": block.orchard,
        "block": block.name,
        "season": season.year,
        "trees": block.trees,
        "unit": season_unit(block),
        "confidence": CONFIDENCE,
        "visits": [_foretold_as_dict(block, told) for told in season.foretold],
        "harvest": weighed,
        "rates": season.rates.to_document(),
        "rates_learned_in": list(season.learned_in),
        "rates_after": None if season.learned is None else season.learned.to_document(),
        "notes": list(season.notes),
    }


def _foretold_as_dict(block: Block, told: Foretold) -> dict[str, Any]:
    visit, forecast, score = told.visit, told.forecast, told.score
    return {
        "day": forecast.day.isoformat(),
        "stage": forecast.stage,
        "label": visit.label,
        "trees": visit.trees,
        "counted_per_tree": visit.counted_per_tree,
        "fruit_per_tree": visit.seen.fruit_per_tree,
        "relative_sd": (visit.seen.tree_variance + visit.seen.stage_variance) ** 0.5,
        "sampling_area": visit.seen.sampling_area,
        "forecast": {
            "fruit_per_tree": _interval(forecast.fruit_per_tree),
            "kg_per_tree": _interval(forecast.kg_per_tree),
            "yield": {name: _shown(block, kg) for name, kg in _interval(forecast.kg_per_tree).items()},
            "visit_weights": list(forecast.visit_weights),
        },
        "score": score
        and {
            "error": score.error,
            "held": score.held,
            "interval_score": score.interval_score,
            "surprise": score.surprise,
        },
    }


def _interval(estimate: Estimate) -> dict[str, float]:
    low, high = estimate.positive_interval(CONFIDENCE)
    return {"value": estimate.value, "low": low, "high": high}
