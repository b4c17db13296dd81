"""From digital numbers to surface reflectance.

From processing baseline 04.00 on (25 January 2022, and everything reprocessed since) ESA adds 1000 to the digital
numbers of L2A, so that dark pixels can be below zero; BOA_ADD_OFFSET of the product's metadata is -1000. Some
catalogues take it out again and say so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray

from models.earth.errors import SceneError

QUANTIFICATION = 10_000
_OFFSET = -1000
_FIRST_BASELINE_WITH_OFFSET = 4.0
_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
_BASELINES = ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline")
# after taking an offset out twice nearly all water and half of the vegetation is negative in the visible bands
_MOST_NEGATIVE = 0.25


def offset_of(item: pystac.Item) -> int:
    """What has to be added to a scene's digital numbers, -1000 or 0.

    Raises:
        SceneError: the item does not say by which baseline it was made.
    """
    if any(item.properties.get(name) is True for name in _APPLIED):
        return 0
    baseline = baseline_of(item)
    if baseline is None:
        raise SceneError(
            f"scene {item.id} does not say its processing baseline, so whether its numbers hold an offset is unknown; "
            f"add the property {_BASELINES[0]!r} to the item (05.09 where the product's name has N0509)"
        )
    return _OFFSET if baseline >= _FIRST_BASELINE_WITH_OFFSET else 0


def baseline_of(item: pystac.Item) -> float | None:
    """Processing baseline, such as 5.09; None where the item does not say."""
    told = next((item.properties[name] for name in _BASELINES if item.properties.get(name)), None)
    try:
        return float(str(told))
    except ValueError:
        return None


def to_reflectance(numbers: NDArray[np.uint16], offset: int) -> NDArray[np.float32]:
    """Surface reflectance, NaN where there is no data.

    Args:
        numbers: digital numbers of any shape; 0 is no data.
        offset: see :func:`offset_of`.
    """
    table = _table(offset)
    reflectance: NDArray[np.float32] = table[numbers]
    return reflectance


def check_offset(scene: str, band: str, reflectance: NDArray[np.float32], clear: NDArray[np.bool_]) -> None:
    """Refuse a scene whose numbers show that the offset was taken out before, against what its metadata say.

    Args:
        scene: its name, for the message.
        band: name of the band.
        reflectance: of it, any shape.
        clear: of the same shape.

    Raises:
        SceneError: more than a quarter of its clear pixels are below zero.
    """
    seen = clear & np.isfinite(reflectance)
    if seen.any() and np.mean(reflectance[seen] < 0) > _MOST_NEGATIVE:
        raise SceneError(
            f"scene {scene}: more than a quarter of {band}'s clear pixels are below zero once the offset of its "
            "baseline is taken out; its catalogue has taken it out before. Set earthsearch:boa_offset_applied to true "
            "in the item, or use another catalogue"
        )


def _table(offset: int) -> NDArray[np.float32]:
    """Reflectance by digital number: looking up is faster than computing, and 0 needs no case of its own."""
    values: NDArray[Any] = (np.arange(1 << 16, dtype=np.float64) + offset) / QUANTIFICATION
    values[0] = np.nan
    return values.astype(np.float32)
