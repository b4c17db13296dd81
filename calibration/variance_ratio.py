"""By how much two samples of one population can differ in their variance: Fisher's F distribution, without SciPy."""

from __future__ import annotations

from functools import lru_cache
from math import atan2, inf, pi, sqrt, tan

import numpy as np

from calibration.errors import CalibrationError

_GRID = 2001
# from here on a variance is known to six digits
_MANY = 1e8
# the integrand is spent this many multiples of 1/√(first + second) away from its middle
_REACH = 15.0


@lru_cache(maxsize=4096)
def variance_ratio_quantile(probability: float, first: float, second: float) -> float:
    """Quantile of s₁² / s₂² for two independent variances of one normal population.

    With s₁²/s₂² = (ν₂/ν₁)·tan²θ the density of θ is sin^{ν₁-1}θ·cos^{ν₂-1}θ, which is integrated on a grid and read off
    backwards; good to about four digits.

    Args:
        probability: above 0, below 1; 0.9 for the ratio that nine of ten stay below.
        first: degrees of freedom ν₁ of the upper variance, at least 1.
        second: degrees of freedom ν₂ of the lower one, at least 1; infinite where it is known.

    Raises:
        CalibrationError: arguments out of range.
    """
    if not 0 < probability < 1 or not 1 <= first <= inf or not 1 <= second <= inf:
        raise CalibrationError(
            f"no ratio of variances at probability {probability:g} with {first:g} and {second:g} degrees of freedom; "
            "use 0 < p < 1 and at least two trees in each sample"
        )
    upper, lower = min(first, _MANY), min(second, _MANY)
    middle, reach = atan2(sqrt(upper), sqrt(lower)), _REACH / sqrt(upper + lower)
    low, high = max(0.0, middle - reach), min(pi / 2, middle + reach)
    even = np.linspace(0, 1, _GRID)
    theta = low + (high - low) * even**2 * (3 - 2 * even)  # finer towards both ends: below 2 degrees there is a cusp
    with np.errstate(divide="ignore"):
        log_sin, log_cos = np.log(np.sin(theta)), np.log(np.cos(theta).clip(min=0))
    # 0 · log 0 is 0 here: with one degree of freedom the density does not vanish at that end
    parts = [(nu - 1) * log if nu > 1 else np.zeros_like(log) for nu, log in ((upper, log_sin), (lower, log_cos))]
    log_density = parts[0] + parts[1]
    density = np.exp(log_density - log_density.max())
    steps = (density[1:] + density[:-1]) * np.diff(theta) / 2
    share = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
    return lower / upper * tan(float(np.interp(probability, share, theta))) ** 2
