"""What can be wrong with a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Numbers = Sequence[float] | Sequence[int] | FloatArray | NDArray[np.integer[Any]]


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


def require_not_negative(value: float, field: str, remedy: str) -> float:
    """The value itself, if it is finite and not below zero.

    Raises:
        CalibrationError: it is not; the message names field and remedy.
    """
    if not math.isfinite(value) or value < 0:
        raise CalibrationError(f"{field} is {value:g}; it must be a number not below 0: {remedy}")
    return value


def require_share(value: float, field: str, remedy: str) -> float:
    """The value itself, if it lies between 0 and 1, ends included.

    Raises:
        CalibrationError: it does not; the message names field and remedy.
    """
    if not 0 <= value <= 1:
        raise CalibrationError(f"{field} is {value:g}; it must be a share between 0 and 1: {remedy}")
    return value


def require_numbers(
    values: Numbers, field: str, remedy: str, *, least: int = 1, above_zero: bool = False
) -> FloatArray:
    """The values as (N,) float64, if there are enough of them, all finite and none negative.

    Args:
        values: one a tree, fruit or block.
        field: what they are, for the message.
        remedy: what to do where they are wrong.
        least: number there must be at least.
        above_zero: whether zeros are wrong too.

    Raises:
        CalibrationError: too few, or one that is negative or no number; the message names field, place and remedy.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < least:
        raise CalibrationError(f"{field}: {numbers.size} given, at least {least} needed: {remedy}")
    wrong = ~np.isfinite(numbers) | (numbers <= 0 if above_zero else numbers < 0)
    if wrong.any():
        first = int(np.argmax(wrong))
        bound = "above 0" if above_zero else "not below 0"
        raise CalibrationError(
            f"{field} number {first + 1} is {numbers[first]:g}; it must be a number {bound}: {remedy}"
        )
    return numbers
