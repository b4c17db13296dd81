"""What can be wrong with a number."""

from __future__ import annotations

import math


class CalibrationError(ValueError):
    """A value that yield cannot be computed from; the message names the field and the remedy."""

    exit_code = 2


def require_positive(value: float, field: str, remedy: str) -> float:
    """The value itself, if it is finite and above zero.

    Raises:
        CalibrationError: it is not; the message names field and remedy.
    """
    if not math.isfinite(value) or value <= 0:
        raise CalibrationError(f"{field} is {value:g}; it must be a number above 0: {remedy}")
    return value
