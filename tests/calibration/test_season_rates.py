"""Rates from stage to stage, and how they learn."""

from __future__ import annotations

import json
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.estimate import Estimate
from calibration.season_rates import (
    DEFAULT_RATES,
    STAGES,
    STEPS,
    Rate,
    SeasonRates,
    rates_from_document,
    steps_after,
)
from cloud_sync.messages import STAGES as WIRE_STAGES

rates = st.builds(Rate, st.floats(0.01, 300), st.floats(0.02, 1), st.floats(1, 30))


def test_the_defaults_keep_what_their_sources_say() -> None:
    """5 to 10 % of the blossoms make a full crop; 1 flower in 6 sets a good fruit in a normal year."""
    logs = [DEFAULT_RATES.steps[stage].log for stage in STAGES]
    kept = Estimate(sum(rate.value for rate in logs), sum(rate.variance for rate in logs), logs[0].degrees_of_freedom)
    low, high = kept.interval(0.9)
    assert (exp(low), exp(high)) == pytest.approx((0.04, 0.24), abs=0.005)
    assert 0.05 < exp(kept.value) < 0.10
    assert exp(low) < 0.05 < 1 / 6 < exp(high)
    assert 0.75 <= DEFAULT_RATES.steps["ripening"].median <= 0.95  # 5 to 25 % fall of varieties that drop


def test_the_stages_are_those_of_the_wire() -> None:
    assert STAGES == WIRE_STAGES


def test_only_what_is_still_to_come_applies() -> None:
    assert list(steps_after("flowering")) == ["flowering", "young_fruit", "fruit_expansion", "ripening"]
    assert list(steps_after("ripening")) == ["ripening"]


@given(rates, st.floats(-1, 1))
def test_a_season_seen_whole_counts_like_those_before(rate: Rate, shift: float) -> None:
    """Normal-inverse-chi-square, by hand."""
    learned = rate.learn(shift, 1.0)
    n = rate.seasons
    assert learned.seasons == n + 1
    assert log(learned.median) == pytest.approx((n * log(rate.median) + log(rate.median) + shift) / (n + 1))
    assert learned.spread**2 == pytest.approx((n * rate.spread**2 + n / (n + 1) * shift**2) / (n + 1))


@given(rates)
def test_a_season_of_which_nothing_was_seen_teaches_nothing(rate: Rate) -> None:
    learned = rate.learn(0.0, 0.0)
    assert learned.median == pytest.approx(rate.median)
    assert learned.spread == pytest.approx(rate.spread)
    assert learned.seasons == rate.seasons


def test_many_seasons_teach_median_and_spread() -> None:
    rng = np.random.default_rng(0)
    rate = Rate(0.3, 0.4, 1)
    for truth in rng.normal(log(0.35), 0.15, 300):
        rate = rate.learn(float(truth) - log(rate.median), 1.0)
    assert rate.median == pytest.approx(0.35, rel=0.03)
    assert rate.spread == pytest.approx(0.15, rel=0.1)


def test_a_rate_known_from_few_seasons_is_less_sure() -> None:
    few, many = Rate(0.2, 0.3, 1).log, Rate(0.2, 0.3, 100).log
    assert few.variance == pytest.approx(0.18)
    assert many.variance == pytest.approx(0.09, rel=0.02)
    assert few.interval(0.9)[1] - few.value > 3 * (many.interval(0.9)[1] - many.value)


@given(st.fixed_dictionaries(dict.fromkeys(STEPS, rates)))
def test_rates_survive_as_a_document(steps: dict[str, Rate]) -> None:
    sent = SeasonRates(steps)
    assert rates_from_document(json.loads(json.dumps(sent.to_document(), allow_nan=False))) == sent


def test_a_varietys_weight_replaces_the_default() -> None:
    gala = DEFAULT_RATES.with_fruit_weight(165, 0.1, 4)
    assert gala.steps["fruit_weight"] == Rate(165, 0.1, 4)
    assert gala.steps["flowering"] == DEFAULT_RATES.steps["flowering"]


WRONG = [
    ((0.0, 0.1, 3), r"median of a rate is 0; .*: give the share of fruit that remains"),
    ((float("nan"), 0.1, 3), r"median of a rate is nan"),
    ((0.5, 0.0, 3), r"spread of a rate is 0; .*: give the standard deviation of its logarithm"),
    ((0.5, 0.1, 0.5), r"seasons of a rate are 0\.5; it must be 1 or more: use 1 for a guess"),
    ((0.5, 0.1, float("inf")), r"seasons of a rate are inf"),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_a_wrong_rate_is_refused(values: tuple[float, float, float], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        Rate(*values)


def test_every_step_needs_its_rate() -> None:
    steps = {step: rate for step, rate in DEFAULT_RATES.steps.items() if step != "ripening"}
    with pytest.raises(CalibrationError, match=r"rates are given for flowering, .*; give one for each of .* ripening"):
        SeasonRates(steps)
    with pytest.raises(CalibrationError, match="rates are given for nothing"):
        rates_from_document({})


def test_a_broken_document_is_refused() -> None:
    document = DEFAULT_RATES.to_document()
    for broken in (document | {"ripening": {"median": 1.0}}, document | {"ripening": 3}, [1, 2]):
        with pytest.raises(CalibrationError, match=r"document of season rates cannot be read \(.*\); fetch it again"):
            rates_from_document(broken)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("stage", ["", "harvest", "Flowering"])
def test_an_unknown_stage_is_refused_with_the_known_ones(stage: str) -> None:
    with pytest.raises(CalibrationError, match=rf"stage '{stage}' is unknown; known are flowering, young_fruit, "):
        steps_after(stage)
