"""Weighed harvests: recorded and sent day by day, added up over a season."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from math import hypot, sqrt

from calibration.season_scores import SCALE_SPREAD, Harvest
from cloud_sync import clock
from cloud_sync.messages import HarvestBody
from device.errors import InputError
from device.orchards import Block
from device.planning.past import find_spread, past_visits
from device.store import Store

# far above any block; what is larger is a slip of the keyboard
_MOST_KG = 10**8
_MOST_G = 10**4


@dataclass(frozen=True)
class Picking:
    """What was weighed on one day.

    Attributes:
        day: the day.
        weight_kg: weight picked; 0 takes back what was entered of the day.
        trees: number of trees it came from, where only part of the block was picked and weighed; None for the block.
        fruit_weight_g: mean weight of a fruit, where some were weighed one by one.
    """

    day: date
    weight_kg: float
    trees: int | None = None
    fruit_weight_g: float | None = None


@dataclass(frozen=True)
class SeasonHarvest:
    """What was weighed in a season.

    Attributes:
        pickings: day by day.
        trees: number of trees it came from.
        result: the weight a tree, as forecasts are held against it.
    """

    pickings: tuple[Picking, ...]
    trees: int
    result: Harvest

    @property
    def weight_kg(self) -> float:
        """Weight of all days."""
        return sum(picking.weight_kg for picking in self.pickings)


def record_picking(store: Store, block: Block, picking: Picking) -> None:
    """Record what was weighed on a day; entering the day again replaces it.

    Raises:
        InputError: a number that cannot be, a day to come, more trees than the block has or a block of unknown trees,
            other days of the season that were of other trees, or a day to take back that was never entered.
    """
    _check_numbers(block, picking)
    if clock.is_synchronised() and picking.day > clock.now().date() + timedelta(days=1):  # it may be tomorrow here
        raise InputError(f"day of the harvest is {picking.day}, which is still to come; correct --day")
    _trees(block, picking.trees)
    with store.change():
        season = _pickings(store, block, picking.day.year)
        if not picking.weight_kg and picking.day not in (other.day for other in season):
            raise InputError(_nothing_to_take_back(block, picking, season))
        for other in season:
            if picking.weight_kg and other.day != picking.day and other.trees != picking.trees:
                raise InputError(
                    f"the harvest of block {block.name} on {other.day} was of {_trees_words(other)} and this one is of "
                    f"{_trees_words(picking)}; the days of a season are added up, so they must be of the same trees: "
                    "leave --trees out where they pick the whole block together, or take the other day back with "
                    "--weight-kg 0"
                )
        values = asdict(picking)
        body = HarvestBody(orchard=block.orchard, block=block.name, **values)
        key = {"block": block.id, "day": values.pop("day").isoformat()}
        store.record("harvest", key, values, body)


def _nothing_to_take_back(block: Block, picking: Picking, season: Sequence[Picking]) -> str:
    days = ", ".join(other.day.isoformat() for other in season)
    known = f"in {picking.day.year} these days are: {days}" if days else f"nor is any other day of {picking.day.year}"
    return f"nothing is entered of block {block.name} on {picking.day}, so that there is nothing to take back; {known}"


def _check_numbers(block: Block, picking: Picking) -> None:
    if not 0 <= picking.weight_kg <= _MOST_KG:
        raise InputError(
            f"weight of the harvest is {picking.weight_kg:g} kg; it must be a number from 0 to {_MOST_KG:,}: "
            "correct --weight-kg"
        )
    if picking.trees is not None and not 1 <= picking.trees <= (block.trees or picking.trees):
        raise InputError(
            f"number of picked trees is {picking.trees:,} and block {block.name} has {block.trees or 0:,}; correct "
            "--trees, or leave it out where the whole block was picked"
        )
    weight_g = picking.fruit_weight_g
    if weight_g is not None and not 0 < weight_g <= _MOST_G:
        raise InputError(
            f"fruit weight at harvest is {weight_g:g} g; it must be above 0 and at most {_MOST_G:,}: weigh a few "
            "fruit, or leave --fruit-weight out"
        )


def season_harvest(store: Store, block: Block, year: int) -> SeasonHarvest | None:
    """What was weighed of a block in a season, None where nothing was.

    Where only part of the trees were picked and weighed, the others may bear more or less: that is in its spread.

    Raises:
        InputError: the number of trees is not known.
    """
    pickings = _pickings(store, block, year)
    if not pickings:
        return None
    trees = _trees(block, pickings[0].trees)
    spread = SCALE_SPREAD
    if block.trees is not None and trees < block.trees:
        between = find_spread(past_visits(store, block, "apple")).variance
        spread = hypot(spread, sqrt(between * (1 / trees - 1 / block.trees)))
    weight_kg = sum(picking.weight_kg for picking in pickings)
    return SeasonHarvest(
        pickings, trees, Harvest(weight_kg / trees, spread=spread, fruit_weight_g=_fruit_weight_g(pickings))
    )


def seasons_harvested(store: Store, block: Block) -> list[int]:
    """The seasons of a block of which something was weighed, earliest first."""
    rows = store.db.query("SELECT day FROM harvest WHERE block = ? AND weight_kg > 0", [block.id])
    return sorted({date.fromisoformat(row["day"]).year for row in rows})


def _pickings(store: Store, block: Block, year: int) -> tuple[Picking, ...]:
    rows = store.db.query(
        "SELECT day, weight_kg, trees, fruit_weight_g FROM harvest WHERE block = ? AND weight_kg > 0 ORDER BY day",
        [block.id],
    )
    pickings = (Picking(**{**row, "day": date.fromisoformat(row["day"])}) for row in rows)
    return tuple(picking for picking in pickings if picking.day.year == year)


def _trees(block: Block, picked: int | None) -> int:
    trees = picked or block.trees
    if trees is None:
        raise InputError(
            f"how many trees block {block.name} has is not known; give the number that was picked with --trees, or "
            f"that of the block: pomona block add {block.name} --orchard '{block.orchard}' --trees N"
        )
    return trees


def _trees_words(picking: Picking) -> str:
    return "the whole block" if picking.trees is None else f"{picking.trees:,} trees"


def _fruit_weight_g(pickings: Sequence[Picking]) -> float | None:
    """Weight over number of fruit, of the days on which fruit were weighed."""
    told = [(picking.weight_kg, picking.fruit_weight_g) for picking in pickings if picking.fruit_weight_g is not None]
    return sum(kg for kg, _ in told) / sum(kg / grams for kg, grams in told) if told else None
