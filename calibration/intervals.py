"""Quantiles for small samples."""

from __future__ import annotations

from math import pi, sqrt, tan

import numpy as np

from calibration.errors import CalibrationError

_GRID = 20_001


def student_t_quantile(probability: float, degrees_of_freedom: int) -> float:
    """Quantile of Student's t distribution.

    With t = √n·tan θ the distribution function is 1/2 + ∫₀^θ cosⁿ⁻¹ / (2 ∫₀^{π/2} cosⁿ⁻¹), which is integrated on a
    grid and read off backwards; good to about six digits.

    Args:
        probability: at least 0.5, below 1; 0.975 for a two-sided 95 % interval.
        degrees_of_freedom: at least 1.

    Raises:
        CalibrationError: arguments out of range.
    """
    n = degrees_of_freedom
    if not 0.5 <= probability < 1 or n < 1:
        raise CalibrationError(
            f"no t quantile at probability {probability:g} with {n} degrees of freedom; "
            "use 0.5 <= p < 1 and at least two trees"
        )
    # the integrand is spent beyond a few multiples of 1/√n
    theta = np.linspace(0, min(pi / 2, 40 / sqrt(n)), _GRID)
    density = np.cos(theta).clip(min=0) ** (n - 1)
    steps = (density[1:] + density[:-1]) / 2
    share = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
    return sqrt(n) * tan(float(np.interp(2 * (probability - 0.5), share, theta)))
