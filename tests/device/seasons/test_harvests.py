"""Weighed harvests, day by day and over a season."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from math import inf, nan, sqrt
from typing import Any

import pytest

from calibration.season_scores import SCALE_SPREAD
from calibration.spread import TreeSpread
from cloud_sync import clock
from cloud_sync.messages import HarvestBody, decode_body, decode_envelope
from device.errors import InputError
from device.orchards import Block, BlockSettings, register_block
from device.seasons.harvests import Picking, record_picking, season_harvest, seasons_harvested
from device.store import Store
from tests.device.planning.counted import count
from tests.device.visiting import table

FIRST, SECOND = date(2025, 9, 20), date(2025, 9, 27)


def test_the_days_of_a_season_are_added_up_over_the_trees_of_the_block(store: Store, block: Block) -> None:
    for picking in (Picking(SECOND, 23_000.0), Picking(FIRST, 10_000.0), Picking(date(2024, 9, 20), 999.0)):
        record_picking(store, block, picking)
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    assert [picking.day for picking in harvest.pickings] == [FIRST, SECOND]
    assert (harvest.weight_kg, harvest.trees) == (33_000, 1650)
    assert harvest.result.kg_per_tree == 20
    assert harvest.result.spread == SCALE_SPREAD
    assert harvest.result.fruit_weight_g is None
    assert seasons_harvested(store, block) == [2024, 2025]
    assert season_harvest(store, block, 2023) is None


def test_entering_a_day_again_replaces_it_and_nothing_takes_it_back(store: Store, block: Block) -> None:
    for weight_kg in (10_000.0, 10_000.0, 16_500.0):
        record_picking(store, block, Picking(FIRST, weight_kg))
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    assert harvest.weight_kg == 16_500
    record_picking(store, block, Picking(FIRST, 0.0))
    assert season_harvest(store, block, 2025) is None
    assert seasons_harvested(store, block) == []
    (row,) = table(store, "harvest")
    assert (row["weight_kg"], row["revision"]) == (0, 3)


def test_each_day_is_sent_and_again_where_it_was_changed(store: Store, block: Block) -> None:
    for picking in (
        Picking(FIRST, 10_000.0, fruit_weight_g=187.0),
        Picking(FIRST, 10_000.0, fruit_weight_g=187.0),
        Picking(SECOND, 900.0),
        Picking(FIRST, 0.0),
    ):
        record_picking(store, block, picking)
    envelopes = [decode_envelope(waiting.payload) for waiting in store.outbox.waiting("jetson-1", 0, 1000)]
    sent = [(envelope.revision, decode_body(envelope)) for envelope in envelopes if envelope.type == "harvest"]
    named: dict[str, Any] = {"orchard": "North farm", "block": "B1"}
    assert sent == [
        (1, HarvestBody(**named, day=FIRST, weight_kg=10_000.0, fruit_weight_g=187.0)),
        (1, HarvestBody(**named, day=SECOND, weight_kg=900.0)),
        (2, HarvestBody(**named, day=FIRST, weight_kg=0.0)),
    ]
    assert sent[0][1].natural_key() == "harvest/North%20farm/B1/2025-09-20"


def test_of_each_block_its_own(store: Store, block: Block) -> None:
    other = register_block(store, "B2", "North farm", BlockSettings(trees=10))
    record_picking(store, block, Picking(FIRST, 16_500.0))
    record_picking(store, other, Picking(FIRST, 50.0))
    told = [season_harvest(store, each, 2025) for each in (block, other)]
    assert [harvest.result.kg_per_tree for harvest in told if harvest] == [10, 5]


def test_trees_that_were_not_picked_may_bear_otherwise(store: Store, block: Block) -> None:
    record_picking(store, block, Picking(FIRST, 1000.0, trees=50))
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    assert (harvest.trees, harvest.result.kg_per_tree) == (50, 20)
    assert harvest.result.spread**2 == pytest.approx(SCALE_SPREAD**2 + TreeSpread().variance * (1 / 50 - 1 / 1650))


def test_how_far_they_may_is_what_counts_of_the_block_showed(store: Store, block: Block) -> None:
    count(store, block, "2025-09-01", {f"T{number}": fruit for number, fruit in enumerate([90, 100, 110] * 4)})
    record_picking(store, block, Picking(FIRST, 1000.0, trees=50))
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    between = 12 * 200 / 3 / 11 / 100**2
    assert harvest.result.spread == pytest.approx(sqrt(SCALE_SPREAD**2 + between * (1 / 50 - 1 / 1650)))


def test_the_weight_of_a_fruit_is_that_of_all_fruit_of_the_days_it_was_weighed(store: Store, block: Block) -> None:
    for picking in (Picking(FIRST, 300.0, None, 200.0), Picking(SECOND, 100.0, None, 100.0)):
        record_picking(store, block, picking)
    record_picking(store, block, Picking(SECOND + timedelta(days=7), 5000.0))
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    assert harvest.result.fruit_weight_g == pytest.approx(400_000 / 2500)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"weight_kg": -1.0}, "weight of the harvest is -1 kg; it must be a number from 0 .* correct --weight-kg"),
        ({"weight_kg": nan}, "weight of the harvest is nan kg"),
        ({"weight_kg": inf}, "weight of the harvest is inf kg"),
        ({"weight_kg": 1e9}, r"weight of the harvest is 1e\+09 kg"),
        ({"trees": 0}, "number of picked trees is 0 and block B1 has 1,650; correct --trees, or leave it out"),
        ({"trees": 1651}, "number of picked trees is 1,651 and block B1 has 1,650"),
        ({"fruit_weight_g": 0.0}, "fruit weight at harvest is 0 g; it must be above 0 and at most 10,000: weigh a few"),
        ({"fruit_weight_g": nan}, "fruit weight at harvest is nan g"),
    ],
)
def test_numbers_that_cannot_be_are_named_and_not_recorded(
    store: Store, block: Block, wrong: dict[str, float], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        record_picking(store, block, replace(Picking(FIRST, 1000.0), **wrong))  # type: ignore[arg-type]
    assert table(store, "harvest") == []


def test_a_block_of_unknown_trees_needs_their_number(store: Store) -> None:
    block = register_block(store, "B3", "North farm", BlockSettings())
    with pytest.raises(InputError, match="how many trees block B3 has is not known; give the number"):
        record_picking(store, block, Picking(FIRST, 1000.0))
    record_picking(store, block, Picking(FIRST, 1000.0, trees=40))
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    assert (harvest.result.kg_per_tree, harvest.result.spread) == (25, SCALE_SPREAD)


def test_days_of_different_trees_cannot_be_added_up(store: Store, block: Block) -> None:
    record_picking(store, block, Picking(FIRST, 1000.0, trees=500))
    said = "the harvest of block B1 on 2025-09-20 was of 500 trees and this one is of the whole block; .* --weight-kg 0"
    with pytest.raises(InputError, match=said):
        record_picking(store, block, Picking(SECOND, 2000.0))
    record_picking(store, block, Picking(date(2024, 9, 20), 2000.0))  # of another season
    record_picking(store, block, Picking(FIRST, 0.0))
    record_picking(store, block, Picking(SECOND, 2000.0))
    record_picking(store, block, Picking(FIRST, 1000.0))
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    assert (harvest.weight_kg, harvest.trees) == (3000, 1650)


def test_a_day_is_taken_back_without_saying_its_trees(store: Store, block: Block) -> None:
    for day in (FIRST, SECOND):
        record_picking(store, block, Picking(day, 1000.0, trees=50))
    record_picking(store, block, Picking(SECOND, 0.0))
    harvest = season_harvest(store, block, 2025)
    assert harvest is not None
    assert [picking.day for picking in harvest.pickings] == [FIRST]


@pytest.mark.parametrize("knows", [True, False])
def test_a_day_to_come_is_refused_by_a_clock_that_is_right(
    store: Store, block: Block, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    monkeypatch.setattr(clock, "kernel_state", lambda: 0 if knows else 5)
    coming = clock.now().date() + timedelta(days=3)
    if knows:
        with pytest.raises(InputError, match=f"day of the harvest is {coming}, which is still to come; correct --day"):
            record_picking(store, block, Picking(coming, 1000.0))
    else:
        record_picking(store, block, Picking(coming, 1000.0))
    record_picking(store, block, Picking(clock.now().date() + timedelta(days=1), 1000.0))  # it may be tomorrow there
