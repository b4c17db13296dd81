"""Scores, bootstrap intervals and conformal intervals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, r2_score, root_mean_squared_error

from models.yields.conformal import coverage, half_width
from models.yields.scores import bootstrap, paired_difference, paired_skill
from models.yields.table import TableError


def _rows(n: int, error: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    yields = random.normal(1500, 300, n)
    return yields, yields + random.normal(0, error, n)


def test_scores_are_the_usual_ones() -> None:
    yields, predicted = _rows(50, 100)
    found = {name: interval.value for name, interval in bootstrap(yields, predicted).items()}
    assert found["MAE"] == pytest.approx(mean_absolute_error(yields, predicted))
    assert found["RMSE"] == pytest.approx(root_mean_squared_error(yields, predicted))
    assert found["MAPE"] == pytest.approx(100 * mean_absolute_percentage_error(yields, predicted))
    assert found["R²"] == pytest.approx(r2_score(yields, predicted))


def test_interval_has_the_width_of_the_sampling_error() -> None:
    widths = [bootstrap(*_rows(100, 100, seed))["RMSE"].half_width for seed in range(5)]
    assert np.mean(widths) == pytest.approx(1.96 * 100 / np.sqrt(2 * 100), rel=0.15)


def test_a_resample_of_equal_yields_is_no_trouble() -> None:
    interval = bootstrap(np.array([1.0, 1.0, 1.0, 2.0]), np.array([1.0, 1.1, 0.9, 1.9]))["R²"]
    assert np.isfinite([interval.low, interval.high]).all()


def test_pairs_tell_apart_what_intervals_of_each_do_not() -> None:
    yields, ours = _rows(100, 100)
    theirs = yields + 1.2 * (ours - yields)
    one, other = bootstrap(yields, ours)["RMSE"], bootstrap(yields, theirs)["RMSE"]
    assert one.high > other.low
    assert paired_difference(yields, ours, theirs).high < 0
    assert paired_difference(yields, ours, ours).value == 0


def test_half_the_error_is_three_quarters_of_skill() -> None:
    yields, theirs = _rows(100, 100)
    skill = paired_skill(yields, yields + 0.5 * (theirs - yields), theirs)
    assert (skill.value, skill.low, skill.high) == pytest.approx((75, 75, 75))
    assert paired_skill(yields, theirs, _rows(100, 50)[1]).high < 0


# --- conformal intervals --------------------------------------------------------------------------------------------


def test_intervals_cover_what_they_promise_when_years_differ_in_bias() -> None:
    random = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        bias = random.normal(0, 1, 11)
        errors = np.repeat(bias[:10], 40) + random.normal(0, 1, 400)
        width = half_width(errors, np.repeat(np.arange(10), 40))
        covered.append(coverage(np.zeros(40), bias[10] + random.normal(0, 1, 40), np.full(40, width)))
    assert 0.85 < np.mean(covered) < 0.95


def test_each_year_counts_the_same() -> None:
    errors = np.concatenate([np.full(1000, 1.0), np.full(10, 5.0)])
    assert half_width(errors, np.repeat([2020, 2021], [1000, 10])) == 5


def test_exact_quantile_with_the_new_row_counted() -> None:
    errors = np.arange(1.0, 20.0)  # 19 rows: with the new one the 18th of 20 is the 90th per cent
    assert half_width(errors, np.arange(19)) == 18
    assert half_width(-errors, np.arange(19)) == 18
    assert half_width(errors, np.arange(19), 0.999) == 19


def test_intervals_are_refused_where_they_would_mean_nothing() -> None:
    with pytest.raises(TableError, match="leave out two years"):
        half_width(np.ones(5), np.full(5, 2020))
    with pytest.raises(TableError, match="between 0 and 1"):
        half_width(np.ones(5), np.arange(5), 90)
    with pytest.raises(TableError, match="no numbers"):
        half_width(np.array([1.0, np.nan]), np.arange(2))
