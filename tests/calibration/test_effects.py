"""Random effects and their variances, against the same model written out in full."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.effects import Effects, fit_effects

PRIOR = np.array([[0.02, 1.0], [0.01, 2.0], [0.03, 1.5]])  # two groupings, then the rows' own


@dataclass(frozen=True)
class Rows:
    values: NDArray[np.float64]
    error_variances: NDArray[np.float64]
    members: NDArray[np.bool_]
    grouping: NDArray[np.intp]

    def fit(self) -> Effects:
        return fit_effects(self.values, self.error_variances, self.members, self.grouping, PRIOR)


def rows(count: int = 40, levels: tuple[int, int] = (5, 3), sds: tuple[float, ...] = (0.3, 0.2, 0.2)) -> Rows:
    rng = np.random.default_rng(count)
    first, second = (rng.integers(0, n, count) for n in levels)
    errors = rng.uniform(0.01, 0.06, count)
    values = 0.2 + rng.normal(0, sds[0], levels[0])[first] + rng.normal(0, sds[1], levels[1])[second]
    values += rng.normal(0, sds[2], count) + rng.normal(0, np.sqrt(errors))
    members = np.column_stack([first[:, None] == np.arange(levels[0]), second[:, None] == np.arange(levels[1])])
    return Rows(values, errors, members, np.repeat(np.arange(2), levels))


def total_covariance(data: Rows, variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the values, the mean apart."""
    effects = data.members * variances[data.grouping]
    return np.asarray(effects @ data.members.T + np.diag(data.error_variances + variances[-1]))


def log_posterior(data: Rows, logs: NDArray[np.float64]) -> float:
    """Restricted likelihood of the variances, times the prior's."""
    variances = np.exp(logs)
    inverse = np.linalg.inv(total_covariance(data, variances))
    ones = np.ones(len(data.values))
    mean = ones @ inverse @ data.values / (ones @ inverse @ ones)
    left = data.values - mean
    restricted = np.linalg.slogdet(inverse)[1] - np.log(ones @ inverse @ ones) - left @ inverse @ left
    prior = -PRIOR[:, 1] * (logs + PRIOR[:, 0] / variances)
    return float(restricted + prior.sum()) / 2


def test_the_variances_are_where_restricted_likelihood_and_prior_are_highest() -> None:
    data = rows()
    logs = np.log(data.fit().variances)
    best = log_posterior(data, logs)
    for i in range(3):
        step = np.eye(3)[i] * 1e-4
        slope = (log_posterior(data, logs + step) - log_posterior(data, logs - step)) / 2e-4
        assert slope == pytest.approx(0, abs=1e-4)
        assert best > max(log_posterior(data, logs + 2000 * step), log_posterior(data, logs - 2000 * step))


def test_the_effects_are_what_is_expected_given_the_values() -> None:
    data = rows()
    fitted = data.fit()
    inverse = np.linalg.inv(total_covariance(data, fitted.variances))
    ones = np.ones(len(data.values))
    mean = ones @ inverse @ data.values / (ones @ inverse @ ones)
    between = data.members * fitted.variances[data.grouping]  # of values and effects
    assert fitted.values[0] == pytest.approx(mean)
    assert fitted.values[1:] == pytest.approx(between.T @ inverse @ (data.values - mean))
    assert fitted.covariance[0, 0] == pytest.approx(1 / (ones @ inverse @ ones))


def test_the_covariance_is_that_of_the_effects_errors() -> None:
    rng = np.random.default_rng(7)
    base = rows(30)
    variances = base.fit().variances
    covariance = base.fit().covariance
    # errors of the best linear prediction, drawn; the weights do not change with the values
    weights = []
    for i in range(30):
        unit = Rows(np.eye(30)[i], base.error_variances, base.members, base.grouping)
        inverse = np.linalg.inv(total_covariance(unit, variances))
        ones = np.ones(30)
        mean = ones @ inverse @ unit.values / (ones @ inverse @ ones)
        between = unit.members * variances[unit.grouping]
        weights.append(np.append(mean, between.T @ inverse @ (unit.values - mean)))
    linear = np.array(weights).T  # (effects, rows)
    true = rng.normal(0, np.sqrt(variances[base.grouping]), (20_000, 8))
    noise = rng.normal(0, np.sqrt(base.error_variances + variances[-1]), (20_000, 30))
    predicted = (0.5 + true @ base.members.T + noise) @ linear.T
    errors = predicted - np.column_stack([np.full(len(true), 0.5), true])
    assert np.cov(errors.T) == pytest.approx(covariance, abs=0.04 * np.abs(covariance).max())


def test_many_levels_give_back_the_variances_they_were_drawn_with() -> None:
    found = np.sqrt(rows(1500, (150, 120)).fit().variances)
    assert found == pytest.approx([0.3, 0.2, 0.2], rel=0.15)


def test_one_level_leaves_its_variance_to_the_prior() -> None:
    fitted = rows(30, (1, 3)).fit()
    assert fitted.variances[0] == pytest.approx(PRIOR[0, 0], rel=0.01)
    assert fitted.degrees_of_freedom[0] == pytest.approx(PRIOR[0, 1], abs=0.01)


def test_more_rows_know_their_own_variance_better() -> None:
    few, many = rows(10).fit(), rows(80).fit()
    assert PRIOR[2, 1] < few.degrees_of_freedom[2] < 10 + PRIOR[2, 1]
    assert many.degrees_of_freedom[2] > 3 * few.degrees_of_freedom[2]
