"""The gate: who may take the champion's place."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from models.gate import Decision, Errors, Gain, decide

ROWS = [f"county {number % 30} {2010 + number // 30}" for number in range(300)]
YEARS = [2010 + number // 30 for number in range(300)]
NOISE = np.random.default_rng(1).normal(0, 100, 300)
FASTER = Gain("ms a prediction", 2.0, 9.0)


def judged(ours: NDArray[np.float64], theirs: NDArray[np.float64] = NOISE, **options: object) -> Decision:
    return decide(Errors("new", ROWS, ours), Errors("old", ROWS, theirs), YEARS, **options)  # type: ignore[arg-type]


def test_one_that_is_better_in_every_year_passes() -> None:
    decision = judged(0.7 * NOISE)
    assert decision.released
    assert decision.is_better
    assert decision.high < 0
    assert decision.challenger_value == pytest.approx(0.7 * decision.champion_value)
    assert decision.reason.startswith("better: RMSE")
    assert (decision.rows, decision.groups) == (300, 10)


def test_the_same_model_does_not_pass() -> None:
    decision = judged(NOISE)
    assert (decision.low, decision.high) == (0, 0)
    assert not decision.released
    assert "nothing is named in which it is better" in decision.reason


def test_no_worse_and_better_in_something_that_is_named_passes() -> None:
    slightly = NOISE * np.random.default_rng(2).normal(1, 0.01, 300)
    assert not judged(slightly, margin=5.0).released
    decision = judged(slightly, margin=5.0, gain=FASTER)
    assert decision.released
    assert not decision.is_better
    assert "better in ms a prediction" in decision.reason


@pytest.mark.parametrize(
    ("factor", "margin", "gain"),
    [
        (1.5, 5.0, FASTER),  # worse by more than the margin
        (1.01, 0.0, FASTER),  # no margin was declared
        (1.01, 5.0, Gain("ms a prediction", 9.0, 2.0)),  # what is named is worse
        (1.01, 5.0, Gain("covered", 0.8, 0.9, lower_is_better=False)),
    ],
)
def test_one_that_is_worse_does_not_pass_whatever_is_named(factor: float, margin: float, gain: Gain) -> None:
    assert not judged(factor * NOISE, margin=margin, gain=gain).released


def test_a_year_is_one_surprise_not_thirty() -> None:
    """Better in one year of two and as good in the other: rows drawn one by one would call that sure."""
    rows, years = ROWS[:60], YEARS[:60]
    ours = np.where(np.array(years) == 2010, 0.5, 1.02) * NOISE[:60]
    champion = Errors("old", rows, NOISE[:60])
    assert decide(Errors("new", rows, ours), champion, list(range(60))).released
    assert not decide(Errors("new", rows, ours), champion, years).released


def test_the_record_comes_back_and_a_changed_one_does_not() -> None:
    decision = judged(1.5 * NOISE, gain=FASTER)
    record = json.loads(json.dumps(decision.as_dict()))
    assert Decision.from_dict(record) == decision
    with pytest.raises(ValueError, match="contradicts itself"):
        Decision.from_dict({**record, "released": True})
    with pytest.raises(ValueError, match="contradicts itself"):
        Decision.from_dict({**record, "high": float("nan")})
    with pytest.raises(ValueError, match="no record of a decision"):
        Decision.from_dict({"released": True})


@pytest.mark.parametrize(
    ("challenger", "said"),
    [
        (Errors("new", ROWS[::-1], NOISE), "not judged on the same rows"),
        (Errors("new", ROWS[:-1], NOISE[:-1]), "not judged on the same rows"),
        (Errors("new", ROWS, NOISE[:-1]), "as many errors of both"),
        (Errors("new", ROWS, np.where(NOISE > 0, np.nan, NOISE)), "is no number"),
    ],
)
def test_what_cannot_be_compared_is_said(challenger: Errors, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decide(challenger, Errors("old", ROWS, NOISE), YEARS)


def test_rows_have_names_of_their_own() -> None:
    same = Errors("new", ["one"] * 3, np.zeros(3))
    with pytest.raises(ValueError, match="each once"):
        decide(same, same, [1, 2, 3])
