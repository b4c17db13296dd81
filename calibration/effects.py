"""Random effects of several crossed groupings on a measured value, with their variances.

    value_i = μ + Σ_k effect_k[group of i] + own_i + error_i

with normal effects of one variance a grouping, an own deviation of each row with a variance too, and errors of known
variance. Effects solve Henderson's mixed-model equations (Biometrics 1975, 31, 423). The variances are the fixed point
of Fellner (Technometrics 1986, 28, 51) and Schall (Biometrika 1991, 78, 719), which is REML, with a scaled inverse
chi-square prior that acts as levels seen before, so that one region or one year does not make a variance of zero (why
such a prior: Chung et al., Psychometrika 2013, 78, 685).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.errors import FloatArray

_STEPS = 1000
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Effects:
    """Fitted effects.

    Attributes:
        values: μ, then each level's effect; shape (1 + levels,).
        covariance: of their errors; shape (1 + levels, 1 + levels).
        variances: of each grouping's effects, last the rows' own; shape (groupings + 1,).
        degrees_of_freedom: of these variances, what the prior is worth included; shape (groupings + 1,).
    """

    values: FloatArray
    covariance: FloatArray
    variances: FloatArray
    degrees_of_freedom: FloatArray


def fit_effects(
    values: FloatArray,
    error_variances: FloatArray,
    members: NDArray[np.bool_],
    grouping: NDArray[np.intp],
    prior: FloatArray,
) -> Effects:
    """Fit the effects and their variances.

    Args:
        values: measured values, shape (rows,).
        error_variances: their known variances, shape (rows,).
        members: which row belongs to which level, shape (rows, levels).
        grouping: the grouping that each level belongs to, counted from 0, shape (levels,).
        prior: variance and degrees of freedom expected of each grouping, last of the rows' own deviation; shape
            (groupings + 1, 2), all above 0.
    """
    design = np.column_stack([np.ones(len(values)), members.astype(np.float64)])
    belongs = np.arange(len(prior) - 1)[:, None] == grouping  # (groupings, levels)
    levels = belongs.sum(axis=1)
    expected, weight = prior.T
    variances = expected.copy()
    for _ in range(_STEPS):
        solution, covariance, left = _solve(values, error_variances, design, variances, grouping)
        squares, degrees = np.empty_like(variances), np.empty_like(variances)
        squares[:-1] = belongs @ solution[1:] ** 2
        degrees[:-1] = levels - belongs @ np.diag(covariance)[1:] / variances[:-1]
        total = variances[-1] + error_variances
        share = variances[-1] / total  # of a row's deviation that is its own
        explained = ((design @ covariance) * design).sum(axis=1)
        squares[-1] = ((share * left) ** 2).sum()
        degrees[-1] = (share * (1 - explained / total)).sum()
        before, degrees = variances, degrees.clip(min=0) + weight
        variances = (squares + weight * expected) / degrees
        if np.abs(np.log(variances / before)).max() < _TOLERANCE:
            break
    solution, covariance, _ = _solve(values, error_variances, design, variances, grouping)
    return Effects(solution, covariance, variances, degrees)


def _solve(
    values: FloatArray,
    error_variances: FloatArray,
    design: FloatArray,
    variances: FloatArray,
    grouping: NDArray[np.intp],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Effects, their covariance, and what they leave of the values, for given variances."""
    weights = 1 / (variances[-1] + error_variances)
    equations = (design * weights[:, None]).T @ design
    equations[np.arange(1, len(equations)), np.arange(1, len(equations))] += 1 / variances[grouping]
    covariance = np.linalg.inv(equations)
    solution = covariance @ (design.T @ (weights * values))
    return solution, covariance, values - design @ solution
