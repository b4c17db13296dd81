"""Quantiles for small samples."""

from __future__ import annotations

from functools import lru_cache
from math import atan, cos, exp, inf, lgamma, pi, sqrt, tan
from statistics import NormalDist

import numpy as np

from calibration.errors import CalibrationError

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
# from here on Student's distribution is the normal one to six digits
_MANY = 1e7
_STEPS = 50
_CLOSE = 1e-12


@lru_cache(maxsize=4096)
def student_t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Quantile of Student's t distribution.

    With t = √n·tan θ the distribution function is 1/2 + ∫₀^θ cosⁿ⁻¹ / (2 ∫₀^{π/2} cosⁿ⁻¹). The integrals are Gauss's
    rule and a ratio of gamma functions; Newton's method inverts it, from the left, where it cannot overshoot. Good to
    five digits up to 0.9995, and beyond it from two degrees of freedom on.

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
    normal = NormalDist().inv_cdf(probability)
    if n > _MANY or not normal:
        return normal
    whole = sqrt(pi) / 2 * exp(lgamma(n / 2) - lgamma((n + 1) / 2))
    wanted = 2 * (probability - 0.5) * whole
    theta = atan((normal + (normal**3 + normal) / (4 * n)) / sqrt(n))
    for _ in range(_STEPS):
        integral = theta / 2 * float(_WEIGHTS @ np.cos(theta / 2 * (_NODES + 1)) ** (n - 1))
        step = (wanted - integral) / cos(theta) ** (n - 1)
        theta += step
        if abs(step) < _CLOSE * theta:
            break
    return sqrt(n) * tan(theta)
