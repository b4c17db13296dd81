"""How much trees of a block differ, when few of them were seen: each block's variance drawn towards that of all blocks.

Three trees tell their mean far better than their spread. Across blocks the spread is much alike, so the variance of a
single tree is taken as σ_b² = d₀ s₀² / χ²(d₀) and a block's own estimate s_b² with d_b degrees of freedom becomes
(d₀ s₀² + d_b s_b²) / (d₀ + d_b), with d₀ + d_b degrees of freedom. Source: Smyth, Statistical Applications in Genetics
and Molecular Biology 2004, 3(1), article 3, equations for s₀² and d₀ by moments of log s².
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isinf

import numpy as np

from calibration.errors import CalibrationError, FloatArray, require_positive

# Apple trees within blocks of neighbours differ by a coefficient of variation of 0.20 (Strickland 1935, trees of one
# age), 0.32 (Archbold 1987, stocks and spacings mixed) and 0.39 (Batchelor and Reed 1918); see docs/results/pooling.md.
DEFAULT_TREE_VARIANCE = 0.3**2
DEFAULT_DEGREES_OF_FREEDOM = 4.0
_FLOOR = 0.001  # share of the mean variance that a log variance is taken from at least; equal trees would give -inf


@dataclass(frozen=True)
class TreeSpread:
    """What is known of the spread between trees before a block's own trees are looked at.

    Attributes:
        variance: relative variance of one tree's yield (squared coefficient of variation).
        degrees_of_freedom: how many degrees of freedom of a block's own variance that is worth.
    """

    variance: float = DEFAULT_TREE_VARIANCE
    degrees_of_freedom: float = DEFAULT_DEGREES_OF_FREEDOM

    def __post_init__(self) -> None:
        require_positive(self.variance, "variance between trees", "fit it to blocks, or leave it at its default")
        if not self.degrees_of_freedom >= 1:
            raise CalibrationError(
                f"degrees of freedom of the variance between trees are {self.degrees_of_freedom:g}; use 1 or more"
            )

    def moderate(self, variance: float, degrees_of_freedom: float) -> tuple[float, float]:
        """A block's own relative variance of one tree, drawn towards this one.

        Args:
            variance: relative variance of one tree's yield, as the block's sampled trees show it.
            degrees_of_freedom: of that variance; 0 where one tree says nothing, infinite where it is known.

        Returns:
            The moderated variance and its degrees of freedom.
        """
        if isinf(degrees_of_freedom):
            return variance, inf
        known = self.degrees_of_freedom + degrees_of_freedom
        return (self.degrees_of_freedom * self.variance + degrees_of_freedom * variance) / known, known


def learn_tree_spread(variances: FloatArray, degrees_of_freedom: FloatArray) -> TreeSpread:
    """What blocks say together about the spread between trees; the default counts as one block more.

    Args:
        variances: relative variance of one tree's yield in each block, shape (blocks,).
        degrees_of_freedom: of each variance, shape (blocks,); blocks with 0, or with a variance that is known rather
            than estimated (infinite), teach nothing.

    Raises:
        CalibrationError: a negative variance or degree of freedom, or one that is no number.
    """
    if not (np.isfinite(variances) & (variances >= 0) & (degrees_of_freedom >= 0)).all():
        raise CalibrationError(
            "variance between trees or its degrees of freedom is negative or no number; give the variance of the "
            "sampled trees of each block and one degree of freedom less than trees"
        )
    told = (degrees_of_freedom > 0) & np.isfinite(degrees_of_freedom)
    s2 = np.append(variances[told], DEFAULT_TREE_VARIANCE)
    d = np.append(degrees_of_freedom[told], DEFAULT_DEGREES_OF_FREEDOM)
    if len(s2) == 1:
        return TreeSpread()
    logs = np.log(np.maximum(s2, _FLOOR * s2.mean())) - digamma(d / 2) + np.log(d / 2)
    beyond_chance = float(logs.var(ddof=1) - trigamma(d / 2).mean())
    # s₀² is itself known no better than by all trees together
    d0, all_trees = 2 * inverse_trigamma(beyond_chance) if beyond_chance > 0 else inf, float(d.sum())
    d0 = min(max(d0, 1.0), all_trees)
    half = np.array([d0 / 2])
    return TreeSpread(float(np.exp(logs.mean() + digamma(half) - np.log(half))[0]), d0)


def digamma(x: FloatArray) -> FloatArray:
    """Derivative of log Γ for x > 0: recurrence up to 8, then the asymptotic series (Abramowitz and Stegun 6.3)."""
    shifts = np.arange(8)
    z = x + len(shifts)
    tail = np.log(z) - 1 / (2 * z) - 1 / (12 * z**2) + 1 / (120 * z**4) - 1 / (252 * z**6)
    return np.asarray(tail - (1 / (x[:, None] + shifts)).sum(axis=1))


def trigamma(x: FloatArray) -> FloatArray:
    """Second derivative of log Γ for x > 0, in the same way (Abramowitz and Stegun 6.4)."""
    shifts = np.arange(8)
    z = x + len(shifts)
    tail = 1 / z + 1 / (2 * z**2) + 1 / (6 * z**3) - 1 / (30 * z**5) + 1 / (42 * z**7)
    return np.asarray(tail + (1 / (x[:, None] + shifts) ** 2).sum(axis=1))


def inverse_trigamma(value: float) -> float:
    """The x > 0 whose trigamma is a value above 0, by Newton's steps on 1 / trigamma, which is nearly linear."""
    x = 0.5 + 1 / value
    for _ in range(30):
        at = float(trigamma(np.array([x]))[0])
        step = at * (1 - at / value) / _tetragamma(x)
        x += step
        if -step < 1e-10 * x:
            break
    return x


def _tetragamma(x: float) -> float:
    shifted = x + np.arange(8)
    z = x + 8
    return float(-(2 / shifted**3).sum() - 1 / z**2 - 1 / z**3 - 1 / (2 * z**4) + 1 / (6 * z**6))
