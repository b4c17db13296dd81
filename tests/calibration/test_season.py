"""Harvests foretold from counts at earlier stages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.season import VISIT_SPREAD, StageVisit, forecasts
from calibration.season_rates import DEFAULT_RATES, STAGES, STEPS, Rate, SeasonRates

SPRING = date(2026, 4, 20)
# each rate known for certain, so that what is left is the counts'
SURE = SeasonRates({step: Rate(rate.median, 1e-9, 1e9) for step, rate in DEFAULT_RATES.steps.items()})


def visit(stage: str, count: float, tree_variance: float = 0.01) -> StageVisit:
    return StageVisit(SPRING + timedelta(days=40 * STAGES.index(stage)), stage, count, tree_variance)


visits = st.builds(
    StageVisit,
    day=st.dates(SPRING, date(2026, 10, 1)),
    stage=st.sampled_from(STAGES),
    fruit_per_tree=st.floats(1, 3000),
    tree_variance=st.floats(0, 0.2),
    stage_variance=st.floats(0, 0.05),
    degrees_of_freedom=st.floats(1, 60),
    sampling_area=st.sampled_from(["north", "south"]),
)
seasons = st.lists(visits, min_size=1, max_size=6)


def test_a_count_of_flowers_by_hand() -> None:
    (foretold,) = forecasts([visit("flowering", 1000)], DEFAULT_RATES)
    assert foretold.fruit_per_tree.value == pytest.approx(1000 * 0.22 * 0.50 * 0.95 * 0.92)
    assert foretold.kg_per_tree.value == pytest.approx(foretold.fruit_per_tree.value * 0.2)
    rates = 4 / 3 * (0.26**2 + 0.20**2 + 0.04**2 + 0.05**2)  # each median is itself known from three seasons
    assert foretold.fruit_per_tree.relative_variance == pytest.approx(rates + 0.01 + VISIT_SPREAD**2)
    assert foretold.kg_per_tree.relative_variance == pytest.approx(rates + 0.01 + VISIT_SPREAD**2 + 4 / 3 * 0.12**2)
    variance = foretold.kg_per_tree.relative_variance
    assert foretold.expected_kg_per_tree == pytest.approx(foretold.kg_per_tree.value * exp(variance / 2))
    assert foretold.visit_weights == (1.0,)
    assert (foretold.day, foretold.stage) == (SPRING, "flowering")


def test_two_visits_by_hand() -> None:
    """What both lack cancels; the earlier one's own rate and errors weigh against the later one's."""
    early, late = visit("young_fruit", 240, 0.02), replace(visit("ripening", 100, 0.01), sampling_area="other trees")
    later = forecasts([early, late], DEFAULT_RATES)[1]
    shared = 4 / 3 * 0.05**2
    own_early = 4 / 3 * (0.20**2 + 0.04**2) + 0.02 + VISIT_SPREAD**2
    own_late = 0.01 + VISIT_SPREAD**2
    weight = own_late / (own_early + own_late)
    told = weight * log(240 * 0.50 * 0.95 * 0.92) + (1 - weight) * log(100 * 0.92)
    assert later.visit_weights == pytest.approx((weight, 1 - weight))
    assert log(later.fruit_per_tree.value) == pytest.approx(told)
    together = own_early * own_late / (own_early + own_late) + shared
    assert later.fruit_per_tree.relative_variance == pytest.approx(together)


@given(seasons, visits)
def test_another_visit_never_makes_a_forecast_less_sure(season: list[StageVisit], more: StageVisit) -> None:
    last = replace(more, day=date(2026, 11, 1))
    told = forecasts([*season, last], DEFAULT_RATES)
    variances = [foretold.fruit_per_tree.relative_variance for foretold in told]
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(variances))


@given(seasons, st.floats(0.1, 10))
def test_twice_the_fruit_at_every_visit_is_twice_the_harvest(season: list[StageVisit], factor: float) -> None:
    scaled = [replace(seen, fruit_per_tree=seen.fruit_per_tree * factor) for seen in season]
    for before, after in zip(forecasts(season, DEFAULT_RATES), forecasts(scaled, DEFAULT_RATES), strict=True):
        assert after.kg_per_tree.value == pytest.approx(factor * before.kg_per_tree.value)
        assert after.kg_per_tree.relative_variance == pytest.approx(before.kg_per_tree.relative_variance)


@given(seasons.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
def test_visits_may_be_entered_in_any_order(orders: tuple[list[StageVisit], ...]) -> None:
    first, second = (forecasts(order, DEFAULT_RATES) for order in orders)
    assert [told.day for told in first] == [told.day for told in second] == sorted(seen.day for seen in orders[0])
    assert second[-1].kg_per_tree.value == pytest.approx(first[-1].kg_per_tree.value)
    assert second[-1].kg_per_tree.relative_variance == pytest.approx(first[-1].kg_per_tree.relative_variance)


@given(visits, visits)
def test_two_visits_agree_on_something_between_them(first: StageVisit, second: StageVisit) -> None:
    alone = sorted(forecasts([seen], DEFAULT_RATES)[0].fruit_per_tree.value for seen in (first, second))
    together = forecasts([first, second], DEFAULT_RATES)[1].fruit_per_tree.value
    assert alone[0] * (1 - 1e-9) <= together <= alone[1] * (1 + 1e-9)


@given(seasons)
def test_weights_sum_to_one_and_intervals_enclose_the_median(season: list[StageVisit]) -> None:
    for foretold in forecasts(season, DEFAULT_RATES):
        assert sum(foretold.visit_weights) == pytest.approx(1)
        low, high = foretold.kg_per_tree.positive_interval(0.9)
        assert 0 < low < foretold.kg_per_tree.value < high


def test_more_visits_at_flowering_do_not_make_fruit_set_any_surer() -> None:
    areas = [replace(visit("flowering", 900 + 10 * i), sampling_area=str(i)) for i in range(30)]
    variance = forecasts(areas, DEFAULT_RATES)[-1].fruit_per_tree.relative_variance
    rates = sum(DEFAULT_RATES.steps[stage].log.variance for stage in STAGES)
    assert rates < variance < rates + 0.001


def test_the_same_trees_seen_again_are_still_the_same_trees() -> None:
    again = [visit("ripening", 100, 0.04), replace(visit("ripening", 104, 0.04), day=date(2026, 9, 1))]
    others = [again[0], replace(again[1], sampling_area="other trees")]
    same, more = (forecasts(season, SURE)[1].fruit_per_tree.relative_variance for season in (again, others))
    assert same == pytest.approx(0.04 + VISIT_SPREAD**2 / 2, rel=1e-3)
    assert more == pytest.approx((0.04 + VISIT_SPREAD**2) / 2, rel=1e-3)


def test_what_a_detector_has_wrong_at_a_stage_stays_wrong_there() -> None:
    wrong = [StageVisit(SPRING, "ripening", 100, 0.0, stage_variance=0.03, sampling_area=str(i)) for i in range(20)]
    assert forecasts(wrong, SURE)[-1].fruit_per_tree.relative_variance > 0.03
    mixed = [wrong[0], replace(wrong[1], stage="fruit_expansion")]
    assert forecasts(mixed, SURE)[1].fruit_per_tree.relative_variance < 0.02


def test_a_count_at_ripening_outweighs_all_before_it() -> None:
    season = [visit("flowering", 3000), visit("young_fruit", 500), visit("ripening", 80)]
    told = forecasts(season, DEFAULT_RATES)
    assert told[2].visit_weights[2] > 0.8
    assert told[0].fruit_per_tree.value > 200
    assert told[2].fruit_per_tree.value == pytest.approx(80, rel=0.1)


def test_few_trees_and_few_seasons_widen_the_interval() -> None:
    few = replace(visit("ripening", 100, 0.05), degrees_of_freedom=2)
    many = replace(few, degrees_of_freedom=60)
    widths = [
        np.diff(forecasts([seen], DEFAULT_RATES)[0].fruit_per_tree.positive_interval(0.9)) for seen in (few, many)
    ]
    assert widths[0] > 1.3 * widths[1]


def test_intervals_hold_the_harvest_as_often_as_they_say() -> None:
    """Over simulated orchards whose rates are drawn as the defaults say they may be."""
    rng = np.random.default_rng(5)
    held = np.zeros((1500, 3))
    for row in held:
        season_logs = {}
        for step in STEPS:
            rate = DEFAULT_RATES.steps[step]
            spread = rate.spread * np.sqrt(rate.seasons / rng.chisquare(rate.seasons))
            median = rng.normal(log(rate.median), spread / np.sqrt(rate.seasons))
            season_logs[step] = rng.normal(median, spread)
        harvested = log(100) + rng.normal(0, 0.3)  # log fruit a tree
        at, hanging = {}, harvested
        for stage in reversed(STAGES):
            hanging -= season_logs[stage]
            at[stage] = hanging
        luck = rng.normal(0, 0.15)  # the same trees are sampled all season
        season = []
        for stage in ("flowering", "young_fruit", "ripening"):
            own_variance = 0.15**2 * rng.chisquare(5) / 5
            seen = np.exp(at[stage] + luck + rng.normal(0, VISIT_SPREAD))
            season.append(replace(visit(stage, float(seen), own_variance), degrees_of_freedom=5))
        truth = np.exp(harvested + season_logs["fruit_weight"]) / 1000
        for i, foretold in enumerate(forecasts(season, DEFAULT_RATES)):
            low, high = foretold.kg_per_tree.positive_interval(0.9)
            row[i] = low <= truth <= high
    assert (held.mean(axis=0) > 0.87).all()
    assert (held.mean(axis=0) < 0.94).all()


WRONG = [
    ({"stage": "blossom"}, r"stage 'blossom' is unknown; known are flowering"),
    ({"fruit_per_tree": 0.0}, r"fruit_per_tree at flowering is 0; .*: review the counts; a block without flowers"),
    ({"fruit_per_tree": -3.0}, r"fruit_per_tree at flowering is -3"),
    ({"fruit_per_tree": float("nan")}, r"fruit_per_tree at flowering is nan"),
    ({"tree_variance": -0.1}, r"tree_variance is -0\.1; .*: give the variance over the squared mean"),
    ({"stage_variance": float("nan")}, r"stage_variance is nan"),
    ({"degrees_of_freedom": 0.0}, r"degrees_of_freedom is 0; it must be 1 or more: sample at least two trees"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_a_wrong_visit_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        replace(visit("flowering", 100), **changes)  # type: ignore[arg-type]  # wrong on purpose


def test_nothing_is_foretold_from_no_visit() -> None:
    with pytest.raises(CalibrationError, match="visits is empty; count flowers or fruit once to foretell a harvest"):
        forecasts([], DEFAULT_RATES)
