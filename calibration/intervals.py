"""Quantiles for small samples."""

from __future__ import annotations

from functools import lru_cache
from math import inf, pi, sqrt, tan
from statistics import NormalDist

import numpy as np

from calibration.errors import CalibrationError

_GRID = 20_001
# from here on Student's distribution is the normal one to six digits
_MANY = 1e7


@lru_cache(maxsize=4096)
def student_t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Quantile of Student's t distribution.

    With t = √n·tan θ the distribution function is 1/2 + ∫₀^θ cosⁿ⁻¹ / (2 ∫₀^{π/2} cosⁿ⁻¹), which is integrated on a
    grid and read off backwards; good to about five digits.

    Args:
        probability: at least 0.5, below 1; 0.975 for a two-sided 95 % interval.
        degrees_of_freedom: at least 1, not necessarily whole; infinite for the normal distribution.

    Raises:
        CalibrationError: arguments out of range.
    """
    n = degrees_of_freedom
    if not 0.5 <= probability < 1 or not 1 <= n <= inf:
        raise CalibrationError(
            f"no t quantile at probability {probability:g} with {n:g} degrees of freedom; "
            "use 0.5 <= p < 1 and at least two trees"
        )
    if n > _MANY:
        return NormalDist().inv_cdf(probability)
    # the integrand is spent beyond a few multiples of 1/√n; towards π/2 it has a cusp where n is below 2
    theta = min(pi / 2, 40 / sqrt(n)) * (1 - np.linspace(1, 0, _GRID) ** 2)
    density = np.cos(theta).clip(min=0) ** (n - 1)
    steps = (density[1:] + density[:-1]) * np.diff(theta) / 2
    share = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
    return sqrt(n) * tan(float(np.interp(2 * (probability - 0.5), share, theta)))
