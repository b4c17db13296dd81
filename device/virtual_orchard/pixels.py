"""Array types and the small arithmetic on pixel values that every drawing module uses."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

# float32 wherever there is one a pixel
Floats: TypeAlias = NDArray[np.floating[Any]]
Bytes: TypeAlias = NDArray[np.uint8]


def to_bytes(values: Floats) -> Bytes:
    """Round values of 0 to 255 to uint8, cutting off what lies outside."""
    rounded: Bytes = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    return rounded


def smoothstep(low: float, high: float, values: Floats) -> Floats:
    """0 below ``low``, 1 above ``high``, an S-curve between; ``low`` may be the larger one."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    curve: Floats = t * t * (3 - 2 * t)
    return curve


def mix(first: ArrayLike, second: ArrayLike, share: Floats) -> Floats:
    """Colours between two colours.

    Args:
        first: (3,) or (..., 3) colour where ``share`` is 0.
        second: (3,) or (..., 3) colour where ``share`` is 1.
        share: (...) share of the second colour.

    Returns:
        (..., 3) float32.
    """
    start = np.asarray(first, np.float32)
    mixed: Floats = start + (np.asarray(second, np.float32) - start) * share[..., None]
    return mixed
