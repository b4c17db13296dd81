"""Which pixels the sun lit and no cloud hid, by the quality layers that come with a scene."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Sentinel-2 scene classification (Sen2Cor): vegetation, bare soil, water, unclassified. Dark areas (2) are mostly
# terrain's shadows, and snow (11) says nothing of what lies beneath
CLEAR_CLASSES = (4, 5, 6, 7)
_OPAQUE_CLOUD, _CIRRUS = 1 << 10, 1 << 11


def clear_of_scl(classes: NDArray[np.integer[Any]], keep: Collection[int] = CLEAR_CLASSES) -> NDArray[np.bool_]:
    """Whether each pixel is clear by the scene classification.

    Args:
        classes: any shape, 0 (no data) to 11 (snow).
        keep: classes that count as clear.
    """
    table = np.zeros(256, dtype=np.bool_)
    table[list(keep)] = True
    kept: NDArray[np.bool_] = table[np.minimum(classes, 255)]
    return kept


def clear_of_qa60(bits: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether each pixel is clear by bits like those of QA60: 10 opaque cloud, 11 cirrus."""
    clear: NDArray[np.bool_] = (bits & (_OPAQUE_CLOUD | _CIRRUS)) == 0
    return clear
