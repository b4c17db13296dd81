"""What weighed harvests tell of sampling areas, and estimates that use it."""

from __future__ import annotations

from datetime import date
from math import log, sqrt

import pytest

from calibration.season_scores import SCALE_SPREAD
from calibration.siting import learn_between_areas, learn_hand_picked
from cloud_sync.messages import Stage
from device.estimates import Choices, VisitEstimate, estimate
from device.orchards import Block, BlockSettings, find_block, register_block
from device.predictions import TablePredictions
from device.sampled_visits import find_visit
from device.seasons.areas import learn_areas
from device.seasons.harvests import Picking, record_picking
from device.store import Store
from tests.device.planning.counted import count

PREDICTIONS = TablePredictions("p.csv", {"orchard": 20_000.0, "sampling_area": 25_000.0})
KG_PER_HA = 0.2 * 825  # of one fruit a tree
TREES = {"T1": 90, "T2": 100, "T3": 110}


def farm(store: Store, orchard: str, *blocks: str) -> list[Block]:
    """Blocks of 2 ha with 1650 trees."""
    settings = BlockSettings(area_m2=20_000, trees=1650, fruit_weight_g=200)
    return [register_block(store, name, orchard, settings, "kg/ha") for name in blocks]


def visited(
    store: Store, block: Block, day: str = "2024-09-10", siting: str = "area", stage: Stage = "ripening"
) -> VisitEstimate:
    """A visit that saw 100 fruit a tree: 16.5 t/ha, 0.66 of what is predicted there."""
    count(store, block, day, TREES, stage)
    visit = find_visit(store, block, date.fromisoformat(day), stage)
    return estimate(store, block, visit, PREDICTIONS, Choices(siting=siting))


def weighed(store: Store, block: Block, kg_per_tree: float, day: str = "2024-09-20") -> None:
    record_picking(store, block, Picking(date.fromisoformat(day), kg_per_tree * 1650))


def measuring(found: VisitEstimate) -> float:
    """Relative variance of the observed yield and of a scale."""
    return found.orchard.observed_kg_per_ha.relative_variance + SCALE_SPREAD**2


def between_areas(found: VisitEstimate) -> tuple[float, str]:
    (part,) = (part for part in found.orchard.components if part.name == "satellite error between areas")
    return sqrt(part.relative_variance), part.choice


def test_areas_are_held_against_the_orchard_where_all_of_it_was_weighed(store: Store) -> None:
    """B1 bears 16 and B2 12 kg a tree, so the orchard 14 kg x 825 / 20 t/ha; both areas showed 0.66."""
    blocks = farm(store, "North farm", "B1", "B2")
    found = [visited(store, block) for block in blocks]
    for block, kg in zip(blocks, (16.0, 12.0), strict=True):
        weighed(store, block, kg)
    learned = learn_areas(store, "one area", 2025)
    assert learned is not None
    assert learned.areas == 2
    ratio = log(0.66 / (14 * 825 / 20_000))
    scale = SCALE_SPREAD**2 * (16**2 + 12**2) / 28**2
    variances = [estimated.orchard.observed_kg_per_ha.relative_variance + scale for estimated in found]
    assert learned.error.variance == pytest.approx(learn_between_areas([ratio] * 2, variances).variance)


def test_an_area_is_held_against_its_block_where_only_that_was_weighed(store: Store) -> None:
    """As estimates of blocks do, the prediction of the area is taken for the block's."""
    first, _, second, _ = (*farm(store, "North farm", "B1", "B2"), *farm(store, "South farm", "S1", "S2"))
    found = [visited(store, block) for block in (first, second)]
    weighed(store, first, 40.0)
    weighed(store, second, 10.0)
    learned = learn_areas(store, "one area", 2025)
    assert learned is not None
    ratios = [log(20 / 40), log(20 / 10)]
    assert learned.error == learn_between_areas(ratios, list(map(measuring, found)))


def test_blocks_are_areas_of_an_orchard_of_several_and_the_whole_of_one(store: Store) -> None:
    several = farm(store, "North farm", "B1", "B2")
    for block in (*several, *farm(store, "South farm", "S1"), *farm(store, "West farm", "W1")):
        visited(store, block, siting="block")
        weighed(store, block, 14.0)
    learned = learn_areas(store, "one area", 2025)
    assert learned is not None
    assert learned.areas == 2


def test_hand_picked_areas_teach_how_much_more_they_bear_and_only_of_their_kind(store: Store) -> None:
    blocks = [block for number in range(3) for block in farm(store, f"Farm {number}", f"B{number}")]
    found = [visited(store, block, siting="hand-picked") for block in blocks]
    for block, kg in zip(blocks, (10.0, 12.0, 14.0), strict=True):
        weighed(store, block, kg)
    assert learn_areas(store, "one area", 2025) is None
    learned = learn_areas(store, "hand-picked", 2025)
    assert learned is not None
    ratios = [log(0.66 / (kg * 825 / 20_000)) for kg in (10, 12, 14)]
    expected = learn_hand_picked(ratios, list(map(measuring, found)))
    assert (learned.error.value, learned.error.variance) == pytest.approx((expected.value, expected.variance))


def test_estimates_take_what_was_learned_and_tell_from_how_many_areas(store: Store) -> None:
    blocks = [block for number in range(3) for block in farm(store, f"Farm {number}", f"B{number}")]
    for block in blocks:
        size, choice = between_areas(visited(store, block))
        assert size == pytest.approx(0.15)
        assert choice == "one area of the orchard, default"
        weighed(store, block, 5.0)
    size, choice = between_areas(visited(store, blocks[0], "2025-09-10"))
    learned = learn_areas(store, "one area", 2025)
    assert learned is not None
    assert size == pytest.approx(learned.error.standard_error)
    assert size > 0.5
    assert choice == "one area of the orchard, learned from 3 earlier areas"


def test_the_season_itself_and_later_ones_teach_nothing(store: Store) -> None:
    blocks = [block for number in range(3) for block in farm(store, f"Farm {number}", f"B{number}")]
    for block in blocks:
        visited(store, block)
        weighed(store, block, 5.0)
    assert learn_areas(store, "one area", 2024) is None
    assert learn_areas(store, "one area", 2023) is None
    assert between_areas(visited(store, blocks[0], "2024-09-11"))[1] == "one area of the orchard, default"


def test_visits_that_cannot_tell_are_left_out(store: Store) -> None:
    """Fruit that still drops, fruit that was picked already, another season, trees of the whole orchard."""
    early, late, before, whole, silent = (
        block for number in range(5) for block in farm(store, f"Farm {number}", f"B{number}")
    )
    visited(store, early, "2024-06-20", stage="young_fruit")
    visited(store, late, "2024-09-25")
    visited(store, before, "2023-09-10")
    visited(store, whole, siting="orchard")
    visited(store, silent)
    for block in (early, late, before, whole, silent):
        weighed(store, block, 5.0)
    assert learn_areas(store, "one area", 2025) is None  # one is too few
    assert learn_areas(store, "scattered", 2025) is None


def test_a_block_of_unknown_ground_keeps_its_orchard_out(store: Store) -> None:
    blocks = farm(store, "North farm", "B1", "B2")
    register_block(store, "B3", "North farm", BlockSettings(trees=100))
    for block in (*blocks, find_block(store, "B3")):
        if block.area_m2 is not None:
            visited(store, block, siting="block")
        weighed(store, block, 1.0)
    assert learn_areas(store, "one area", 2025) is None
