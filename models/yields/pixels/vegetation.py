"""Vegetation indices that yields are told by, put behind the bands as further ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.maps.errors import MapError

# normalised differences (a − b) / (a + b)
YIELD_INDICES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "NDVI": ("B08", "B04"),  # Rouse et al. 1974, NASA SP-351
        "NDRE": ("B08", "B05"),  # Gitelson and Merzlyak 1994, doi:10.1016/S0176-1617(11)81633-0
        "NDMI": ("B8A", "B11"),  # Gao 1996, doi:10.1016/S0034-4257(96)00067-3
        "GNDVI": ("B08", "B03"),  # Gitelson et al. 1996, doi:10.1016/S0034-4257(96)00072-7
    }
)


def with_indices(images: NDArray[np.float32], bands: Sequence[str]) -> NDArray[np.float32]:
    """Images with the indices behind their bands.

    Args:
        images: (..., bands, H, W) reflectance.
        bands: their Sentinel-2 names.

    Returns:
        (..., bands + 4, H, W); an index is 0 where both its bands are.

    Raises:
        MapError: a band is missing.
    """
    at = {name: number for number, name in enumerate(bands)}
    missing = sorted({band for pair in YIELD_INDICES.values() for band in pair} - set(at))
    if missing:
        raise MapError(f"vegetation indices need {', '.join(missing)}; the images have {', '.join(bands)}")
    found = []
    for first, second in YIELD_INDICES.values():
        a, b = images[..., at[first], :, :], images[..., at[second], :, :]
        total = a + b
        found.append(np.divide(a - b, total, out=np.zeros_like(total), where=total != 0))
    return np.concatenate([images, np.stack(found, -3)], -3)
