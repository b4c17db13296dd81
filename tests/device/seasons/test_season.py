"""The season of a block, from its visits to its harvest and the next one."""

from __future__ import annotations

from datetime import date

import pytest

from calibration.fruit_weight import FROM_EXPERIENCE
from calibration.season import forecasts
from calibration.season_rates import DEFAULT_RATES, FRUIT_WEIGHT
from calibration.season_scores import learn_rates, score_forecasts
from device.errors import InputError
from device.orchards import Block, BlockSettings, register_block
from device.seasons.harvests import Picking, record_picking, season_harvest
from device.seasons.season import follow_season
from device.seasons.stage_visits import season_visits
from device.store import Store
from tests.device.planning.counted import count

PICKED = date(2025, 9, 27)


def test_flowers_foretell_the_harvest_and_later_visits_make_it_surer(store: Store, followed: Block) -> None:
    season = follow_season(store, followed)
    assert (season.year, season.harvest, season.learned, season.learned_in) == (2025, None, None, ())
    assert [told.forecast.stage for told in season.foretold] == [
        *("flowering", "young_fruit", "fruit_expansion", "ripening"),
    ]
    first, *_, last = season.foretold
    assert first.forecast.fruit_per_tree.value == pytest.approx(1000 * 0.22 * 0.50 * 0.95 * 0.92)
    assert first.forecast.kg_per_tree.value == pytest.approx(first.forecast.fruit_per_tree.value * 0.2)
    assert last.forecast.kg_per_tree.value == pytest.approx(100 * 0.92 * 0.2, rel=0.05)
    spread = [told.forecast.kg_per_tree.relative_variance for told in season.foretold]
    assert spread == sorted(spread, reverse=True)
    assert all(told.score is None for told in season.foretold)


def test_a_harvest_scores_every_forecast_with_what_was_known_before_it(store: Store, followed: Block) -> None:
    before = follow_season(store, followed)
    record_picking(store, followed, Picking(PICKED, 1650 * 18.0))
    season = follow_season(store, followed)
    assert [told.forecast for told in season.foretold] == [told.forecast for told in before.foretold]
    assert season.harvest is not None
    assert [told.score for told in season.foretold] == score_forecasts(
        [told.forecast for told in before.foretold], season.harvest.result
    )
    first, *_, last = [told.score for told in season.foretold if told.score]
    assert last.error == pytest.approx(season.foretold[-1].forecast.kg_per_tree.value / 18 - 1)
    assert last.held
    assert last.interval_score < first.interval_score


def test_what_a_harvest_taught_foretells_the_next_season(store: Store, followed: Block) -> None:
    record_picking(store, followed, Picking(PICKED, 1650 * 30.0, None, 240.0))
    taught = follow_season(store, followed)
    assert taught.learned is not None
    assert taught.learned.steps["flowering"].median > DEFAULT_RATES.steps["flowering"].median
    assert taught.learned.steps[FRUIT_WEIGHT].median > 205
    count(store, followed, "2026-05-02", {"T1": 900, "T2": 1100}, "flowering")
    following = follow_season(store, followed)
    assert (following.year, following.learned_in, following.rates) == (2026, (2025,), taught.learned)
    assert following.foretold[0].forecast == forecasts(season_visits(store, followed, 2026).seen, taught.learned)[0]
    assert follow_season(store, followed, 2025).rates == taught.rates


def test_each_earlier_harvest_has_taught_in_turn(store: Store, block: Block) -> None:
    expected = DEFAULT_RATES.with_fruit_weight(200, FROM_EXPERIENCE, DEFAULT_RATES.steps[FRUIT_WEIGHT].seasons)
    for year, kg in ((2023, 12.0), (2024, 25.0)):
        count(store, block, f"{year}-06-20", {"T1": 200, "T2": 260, "T3": 240}, "young_fruit")
        record_picking(store, block, Picking(date(year, 9, 20), 1650 * kg))
        harvest = season_harvest(store, block, year)
        assert harvest is not None
        expected = learn_rates(expected, season_visits(store, block, year).seen, harvest.result)
    record_picking(store, block, Picking(date(2022, 9, 20), 30_000.0))  # nobody counted
    count(store, block, "2025-06-20", {"T1": 200, "T2": 260, "T3": 240}, "young_fruit")
    season = follow_season(store, block)
    assert season.learned_in == (2023, 2024)
    assert season.rates == expected


def test_a_count_reviewed_after_the_harvest_is_in_all_that_follows(store: Store, followed: Block) -> None:
    record_picking(store, followed, Picking(PICKED, 1650 * 18.0))
    before = follow_season(store, followed)
    store.db.execute("UPDATE tree_count SET reviewed = 2 * machine WHERE label = 'apple_flower'")
    after = follow_season(store, followed)
    assert before.learned is not None
    assert after.learned is not None
    assert after.learned.steps["flowering"].median < before.learned.steps["flowering"].median


def test_a_fruit_weighs_what_is_known_of_the_block(store: Store, followed: Block) -> None:
    assert follow_season(store, followed).rates.steps[FRUIT_WEIGHT].spread == FROM_EXPERIENCE
    unknown = register_block(store, "B2", "North farm", BlockSettings(trees=10))
    count(store, unknown, "2025-09-20", {"T1": 5, "T2": 6})
    season = follow_season(store, unknown)
    assert season.rates == DEFAULT_RATES
    assert any("no fruit weight is known: 200 g was assumed" in note for note in season.notes)
    register_block(store, "B2", "North farm", BlockSettings(fruit_weight_g=300))
    season = follow_season(store, register_block(store, "B2", "North farm", BlockSettings()))
    assert season.rates.steps[FRUIT_WEIGHT].median == 300
    assert not any("no fruit weight" in note for note in season.notes)


def test_a_visit_between_two_pickings_is_left_out(store: Store, followed: Block) -> None:
    record_picking(store, followed, Picking(date(2025, 9, 15), 10_000.0))
    season = follow_season(store, followed)
    assert [told.forecast.stage for told in season.foretold] == ["flowering", "young_fruit", "fruit_expansion"]
    assert any("came after the first picking on 2025-09-15" in note for note in season.notes)


def test_a_harvest_nobody_counted_for_is_shown_and_teaches_nothing(store: Store, block: Block) -> None:
    record_picking(store, block, Picking(PICKED, 33_000.0))
    season = follow_season(store, block)
    assert (season.year, season.foretold, season.learned) == (2025, (), None)
    assert season.harvest is not None
    assert season.harvest.result.kg_per_tree == 20


def test_a_season_of_nothing_is_refused_with_those_there_are(store: Store, block: Block) -> None:
    with pytest.raises(InputError, match="block B1 has no visit; count flowers or fruit: pomona visit import FOLDER"):
        follow_season(store, block)
    count(store, block, "2024-09-20", {"T1": 5, "T2": 6})
    count(store, block, "2025-09-20", {"T1": 5, "T2": 6})
    assert follow_season(store, block).year == 2025
    with pytest.raises(InputError, match="block B1 has no visit in season 2020; choose --season of 2024, 2025"):
        follow_season(store, block, 2020)
