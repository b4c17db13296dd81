"""The visits of a season, as forecasts need them: fruit a tree as it hangs, with what errs in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import cast

from calibration.errors import CalibrationError
from calibration.estimate import product
from calibration.sampling import SimpleRandom, mean_per_tree
from calibration.season import StageVisit
from calibration.season_rates import STAGES
from calibration.shared_factors import once_each
from cloud_sync.messages import Stage
from device.errors import InputError
from device.estimate_factors import counts_and_factors
from device.orchards import Block
from device.sampled_visits import SampledVisit, find_visit
from device.seasons.years import season_of
from device.store import Store
from device.wording import stage_words

# Visits see the same trees where at least this share of the smaller one's trees was in the other too.
_SAME_TREES = 0.5


@dataclass(frozen=True)
class SeasonVisit:
    """A visit of a season.

    Attributes:
        label: what was counted.
        trees: trees counted.
        counted_per_tree: their mean, as counted.
        seen: the same as it hangs, with its variances.
    """

    label: str
    trees: int
    counted_per_tree: float
    seen: StageVisit


@dataclass(frozen=True)
class SeasonVisits:
    """The visits of a season.

    Attributes:
        visits: by day and stage.
        notes: what was left out and why, and what to know of the others.
    """

    visits: tuple[SeasonVisit, ...]
    notes: tuple[str, ...]

    @property
    def seen(self) -> list[StageVisit]:
        """The visits as forecasts take them."""
        return [visit.seen for visit in self.visits]


def seasons_visited(store: Store, block: Block) -> list[int]:
    """The seasons of a block with a visit, earliest first."""
    return sorted({season_of(day, stage) for day, stage in _days(store, block)})


def season_visits(
    store: Store, block: Block, year: int, first_picking: date | None = None, bundle: Path | None = None
) -> SeasonVisits:
    """The visits of a block in a season; its trees are taken as a random sample of the block.

    A visit that cannot tell of the harvest is left out with a note and does not stop the others: one of a single tree,
    one without fruit, one that came when some of the fruit was picked already.

    Args:
        store: the device's records.
        block: the block.
        year: the season.
        first_picking: the first day on which something was picked, None before.
        bundle: folder of the bundle that counted, where it did not come with Pomona.

    Raises:
        BundleError: a manifest cannot be read.
    """
    sampled: list[tuple[SampledVisit, str]] = []
    visits, notes = [], []
    warnings: dict[str, list[str]] = {}
    for day, stage in _days(store, block):
        if season_of(day, stage) != year:
            continue
        what = f"the visit of {day}, {stage_words(stage)}"
        if first_picking is not None and day > first_picking:
            notes.append(f"{what}, came after the first picking on {first_picking} and is left out")
            continue
        try:
            visit = find_visit(store, block, day, stage)
            area = _sampling_area(visit, sampled)
            made, said = _season_visit(store, block, visit, area, bundle)
        except (InputError, CalibrationError) as error:
            notes.append(f"{what}, is left out: {error}")
            continue
        sampled.append((visit, area))
        visits.append(made)
        for warning in said:
            warnings.setdefault(warning, []).append(stage_words(stage))
    for warning, stages in warnings.items():
        where = "all visits" if len(stages) == len(visits) else ", ".join(dict.fromkeys(stages))
        notes.append(f"{where}: {warning}")
    return SeasonVisits(tuple(visits), tuple(notes))


def _days(store: Store, block: Block) -> list[tuple[date, Stage]]:
    rows = store.db.query("SELECT day, stage FROM visit WHERE block = ?", [block.id])
    days = ((date.fromisoformat(row["day"]), cast("Stage", row["stage"])) for row in rows)
    return sorted(days, key=lambda told: (told[0], STAGES.index(told[1])))


def _season_visit(
    store: Store, block: Block, visit: SampledVisit, area: str, bundle: Path | None
) -> tuple[SeasonVisit, tuple[str, ...]]:
    """The visit, and what to know of it."""
    counts, factors = counts_and_factors(store, block, visit, bundle)
    applied = once_each(factors)
    shared = product([factor.factor for factor in applied])
    mean = mean_per_tree(counts, SimpleRandom(block.trees))
    seen = StageVisit(
        day=visit.day,
        stage=visit.stage,
        fruit_per_tree=mean.value * shared.value,
        tree_variance=mean.relative_variance,
        stage_variance=shared.relative_variance,
        degrees_of_freedom=mean.degrees_of_freedom,
        sampling_area=area,
    )
    counted = sum(tree.fruit for tree in visit.trees) / len(visit.trees)
    warnings = tuple(warning for factor in applied for warning in factor.warnings)
    return SeasonVisit(visit.label, len(visit.trees), counted, seen), warnings


def _sampling_area(visit: SampledVisit, earlier: Sequence[tuple[SampledVisit, str]]) -> str:
    """Name of its sampling area: that of the first visit which saw most of the same trees, or a new one."""
    trees = {tree.code for tree in visit.trees}
    for before, area in earlier:
        others = {tree.code for tree in before.trees}
        if len(trees & others) >= _SAME_TREES * min(len(trees), len(others)):
            return area
    return f"{visit.day} {visit.stage}"
