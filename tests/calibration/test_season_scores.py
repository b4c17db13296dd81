"""The harvest closes the loop: forecasts are scored, rates learn."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.season import StageVisit, forecasts
from calibration.season_rates import DEFAULT_RATES, STAGES, STEPS, Rate, SeasonRates
from calibration.season_scores import Harvest, learn_rates, score_forecasts

DAYS = dict(zip(STAGES, (date(2026, 4, 20), date(2026, 5, 25), date(2026, 7, 20), date(2026, 9, 20)), strict=True))
visits = st.builds(
    StageVisit,
    day=st.dates(date(2026, 4, 1), date(2026, 10, 1)),
    stage=st.sampled_from(STAGES),
    fruit_per_tree=st.floats(5, 2000),
    tree_variance=st.floats(0, 0.2),
    sampling_area=st.sampled_from(["north", "south"]),
)
seasons = st.lists(visits, min_size=1, max_size=5)
harvests = st.builds(Harvest, st.floats(1, 200), fruit_weight_g=st.none() | st.floats(100, 350))


def season(counts: dict[str, float], tree_variance: float = 0.0) -> list[StageVisit]:
    return [StageVisit(DAYS[stage], stage, count, tree_variance) for stage, count in counts.items()]


def test_every_forecast_is_scored() -> None:
    told = forecasts(season({"flowering": 1000, "young_fruit": 260, "ripening": 110}), DEFAULT_RATES)
    scores = score_forecasts(told, Harvest(24.0))
    assert [score.stage for score in scores] == ["flowering", "young_fruit", "ripening"]
    for foretold, score in zip(told, scores, strict=True):
        assert score.day == foretold.day
        assert score.error == pytest.approx(foretold.kg_per_tree.value / 24 - 1)
        assert score.interval == foretold.kg_per_tree.positive_interval(0.9)
        assert score.held
        assert score.interval_score == pytest.approx(log(score.interval[1] / score.interval[0]))
    assert scores[2].interval_score < scores[0].interval_score


def test_a_miss_is_told_and_costs() -> None:
    told = forecasts(season({"ripening": 110}), DEFAULT_RATES)
    low, high = told[0].kg_per_tree.positive_interval(0.8)
    below, within, above = (score_forecasts(told, Harvest(kg), 0.8)[0] for kg in (low / 1.1, low * 1.1, high * 1.1))
    assert [below.held, within.held, above.held] == [False, True, False]
    assert below.interval_score - within.interval_score == pytest.approx(2 / 0.2 * log(1.1))
    assert above.interval_score == pytest.approx(below.interval_score)
    assert above.error < 0 < below.error
    assert above.surprise < -1 < 1 < below.surprise
    sure = replace(told[0], kg_per_tree=replace(told[0].kg_per_tree, variance=0.0))
    assert score_forecasts([sure], Harvest(told[0].kg_per_tree.value * exp(0.04), 0.02))[0].surprise == pytest.approx(
        -2
    )


def test_a_season_seen_whole_teaches_what_happened_in_it() -> None:
    """Counts without error at each stage, harvest and fruit weighed: each rate is simply what it was."""
    counts = {"flowering": 1000.0, "young_fruit": 300.0, "fruit_expansion": 120.0, "ripening": 100.0}
    harvest = Harvest(0.23 * 90, 1e-6, 230.0, 1e-6)
    patient = SeasonRates({step: Rate(rate.median, 10 * rate.spread, 4) for step, rate in DEFAULT_RATES.steps.items()})
    learned = learn_rates(patient, season(counts), harvest)
    was = {"flowering": 0.3, "young_fruit": 0.4, "fruit_expansion": 100 / 120, "ripening": 0.9, "fruit_weight": 230}
    for step in ("flowering", "young_fruit", "fruit_weight"):  # spread far above the visits' own 5 %
        expected = patient.steps[step].learn(log(was[step] / patient.steps[step].median), 1.0)
        assert learned.steps[step].median == pytest.approx(expected.median, rel=2e-3)
        assert learned.steps[step].spread == pytest.approx(expected.spread, rel=2e-3)
        assert learned.steps[step].seasons == pytest.approx(5, abs=0.01)


def test_a_harvest_alone_cannot_tell_rates_apart() -> None:
    """Flowers and a harvest: the surprise is divided among the rates as their variances are."""
    told = forecasts(season({"flowering": 1000}), DEFAULT_RATES)[0]
    learned = learn_rates(DEFAULT_RATES, season({"flowering": 1000}), Harvest(told.kg_per_tree.value * 2))
    shifts = {
        step: log(learned.steps[step].median / DEFAULT_RATES.steps[step].median) * learned.steps[step].seasons
        for step in STEPS
    }
    assert shifts["flowering"] / shifts["fruit_weight"] == pytest.approx(0.26**2 / 0.12**2)
    assert 0 < sum(shifts.values()) < log(2)
    assert all(3 < learned.steps[step].seasons < 3.7 for step in STEPS)


def test_counts_of_few_trees_teach_less() -> None:
    counts = {"flowering": 1000.0, "young_fruit": 300.0}
    few, many = (learn_rates(DEFAULT_RATES, season(counts, variance), Harvest(20.0)) for variance in (0.2, 0.0))
    assert few.steps["young_fruit"].seasons < many.steps["young_fruit"].seasons - 0.1
    # the same trees at both visits: their luck cancels in what became of the flowers
    assert few.steps["flowering"].seasons == pytest.approx(many.steps["flowering"].seasons, abs=0.05)


@given(seasons, harvests)
def test_a_season_is_worth_one_at_most(seen: list[StageVisit], harvest: Harvest) -> None:
    learned = learn_rates(DEFAULT_RATES, seen, harvest)
    for step in STEPS:
        assert 3 <= learned.steps[step].seasons <= 4


@given(seasons, st.floats(1, 100), st.floats(1.05, 3))
def test_a_better_harvest_from_the_same_counts_raises_the_rates(seen: list[StageVisit], kg: float, more: float) -> None:
    poor, good = (learn_rates(DEFAULT_RATES, seen, Harvest(harvest)) for harvest in (kg, kg * more))
    assert good.steps["ripening"].median > poor.steps["ripening"].median
    assert good.steps["fruit_weight"].median > poor.steps["fruit_weight"].median


@given(seasons, harvests, st.floats(0.2, 5))
def test_a_larger_orchard_teaches_the_same(seen: list[StageVisit], harvest: Harvest, factor: float) -> None:
    larger = [replace(visit, fruit_per_tree=visit.fruit_per_tree * factor) for visit in seen]
    base = learn_rates(DEFAULT_RATES, seen, harvest)
    scaled = learn_rates(DEFAULT_RATES, larger, replace(harvest, kg_per_tree=harvest.kg_per_tree * factor))
    for step in STEPS:
        assert scaled.steps[step].median == pytest.approx(base.steps[step].median, rel=1e-6)
        assert scaled.steps[step].spread == pytest.approx(base.steps[step].spread, rel=1e-6)


def test_seasons_teach_an_orchard_its_own_rates() -> None:
    """An orchard unlike the defaults: forecasts from flowers become better and narrower, and stay honest."""
    rng = np.random.default_rng(11)
    own = {"flowering": (0.12, 0.15), "young_fruit": (0.4, 0.1), "fruit_expansion": (0.97, 0.02)}
    own |= {"ripening": (0.9, 0.04), "fruit_weight": (260.0, 0.08)}
    scores = []
    for _ in range(30):
        rates = DEFAULT_RATES
        for year in range(12):
            logs = {step: rng.normal(log(median), spread) for step, (median, spread) in own.items()}
            hanging, counts = log(rng.uniform(600, 1500)), {}
            for stage in STAGES:
                counts[stage] = exp(hanging + rng.normal(0, 0.08))
                hanging += logs[stage]
            harvest = Harvest(exp(hanging + logs["fruit_weight"]) / 1000, 0.02, exp(logs["fruit_weight"]))
            seen = season({stage: counts[stage] for stage in ("flowering", "young_fruit", "ripening")}, 0.05**2)
            score = score_forecasts(forecasts(seen, rates), harvest)[0]
            scores.append((year, abs(score.error), score.interval_score, score.held))
            rates = learn_rates(rates, seen, harvest)
    years, errors, interval_scores, held = np.array(scores).T
    assert errors[years == 0].mean() > 2 * errors[years >= 8].mean()
    assert interval_scores[years == 0].mean() > 1.2 * interval_scores[years >= 8].mean()
    assert held[years >= 8].mean() > 0.9
    assert rates.steps["fruit_weight"].median == pytest.approx(245, rel=0.05)  # 3 seasons' worth of 200 still in it


WRONG = [
    ({"kg_per_tree": 0.0}, r"kg_per_tree of the harvest is 0; .*: weigh the harvest, or leave the season unscored"),
    ({"kg_per_tree": float("nan")}, r"kg_per_tree of the harvest is nan"),
    ({"spread": 0.0}, r"spread of the harvest is 0; .*: give the error of its weight"),
    ({"fruit_weight_g": -1.0}, r"fruit_weight_g of the harvest is -1; .*: weigh a few fruit, or leave it out"),
    ({"fruit_weight_spread": 0.0}, r"fruit_weight_spread is 0; .*: give the error of the mean"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_a_wrong_harvest_is_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        replace(Harvest(20.0), **changes)


def test_a_harvest_without_a_visit_teaches_nothing() -> None:
    with pytest.raises(CalibrationError, match="visits is empty; without a count a harvest teaches nothing"):
        learn_rates(DEFAULT_RATES, [], Harvest(20.0))
    assert score_forecasts([], Harvest(20.0)) == []


def test_an_impossible_confidence_is_refused() -> None:
    told = forecasts(season({"ripening": 100}), DEFAULT_RATES)
    with pytest.raises(CalibrationError, match=r"confidence of 1.5 cannot be; use one between 0 and 1"):
        score_forecasts(told, Harvest(20.0), 1.5)
