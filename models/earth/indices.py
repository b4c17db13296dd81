"""Spectral indices of surface reflectance: a table of formula, bands and source.

Formulas are as their sources give them; a denominator of zero gives no value. Two have a pole inside the range of
real reflectance and are clipped to −1 to 1, so that a mean over pixels says something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from models.earth.errors import EarthInputError

# NumPy array, Dask array or DataArray of reflectance
Array = Any


@dataclass(frozen=True)
class Index:
    """A spectral index.

    Attributes:
        long_name: in words.
        formula: over the bands' Sentinel-2 names.
        bands: the arguments of ``parts``, in order.
        source: who defined it.
        parts: numerator and denominator.
        clipped: whether values are held within −1 to 1.
    """

    long_name: str
    formula: str
    bands: tuple[str, ...]
    source: str
    parts: Callable[..., tuple[Array, Array]]
    clipped: bool = False


def _difference(a: Array, b: Array) -> tuple[Array, Array]:
    return a - b, a + b


INDICES: Mapping[str, Index] = MappingProxyType(
    {
        "NDVI": Index(
            "normalised difference vegetation index",
            "(B08 − B04) / (B08 + B04)",
            ("B08", "B04"),
            "Rouse et al. 1974, NASA SP-351",
            _difference,
        ),
        "EVI": Index(
            "enhanced vegetation index",
            "2.5 (B08 − B04) / (B08 + 6 B04 − 7.5 B02 + 1), clipped to ±1",
            ("B08", "B04", "B02"),
            "Huete et al. 2002, doi:10.1016/S0034-4257(02)00096-2",
            lambda n, r, b: (2.5 * (n - r), n + 6 * r - 7.5 * b + 1),
            clipped=True,
        ),
        "SAVI": Index(
            "soil-adjusted vegetation index",
            "1.5 (B08 − B04) / (B08 + B04 + 0.5)",
            ("B08", "B04"),
            "Huete 1988, doi:10.1016/0034-4257(88)90106-X",
            lambda n, r: (1.5 * (n - r), n + r + 0.5),
        ),
        "VARI": Index(
            "visible atmospherically resistant index",
            "(B03 − B04) / (B03 + B04 − B02), clipped to ±1",
            ("B03", "B04", "B02"),
            "Gitelson et al. 2002, doi:10.1016/S0034-4257(01)00289-9",
            lambda g, r, b: (g - r, g + r - b),
            clipped=True,
        ),
        "BSI": Index(
            "bare soil index",
            "((B11 + B04) − (B08 + B02)) / ((B11 + B04) + (B08 + B02))",
            ("B11", "B04", "B08", "B02"),
            "Rikimaru, Roy and Miyatake 2002, Tropical Ecology 43:39",
            lambda s, r, n, b: _difference(s + r, n + b),
        ),
    }
)


def index(name: str, *bands: Array) -> Array:
    """One index.

    Args:
        name: of :data:`INDICES`.
        bands: surface reflectance from 0 to 1, in the order of :attr:`Index.bands`; arrays of NumPy or Dask, or
            DataArrays.

    Returns:
        What the bands are; NaN where a band is missing or the denominator is zero.

    Raises:
        EarthInputError: the index is unknown, or a band holds whole numbers, which are no reflectance from 0 to 1.
    """
    if name not in INDICES:
        raise EarthInputError(f"the index {name} is unknown; known are {', '.join(INDICES)}")
    chosen = INDICES[name]
    for band, values in zip(chosen.bands, bands, strict=True):
        if np.dtype(getattr(values, "dtype", float)).kind != "f":
            raise EarthInputError(
                f"{band} holds whole numbers; {name} needs reflectance from 0 to 1: apply scale and offset"
            )
    numerator, denominator = chosen.parts(*bands)
    return xr.apply_ufunc(_ratio, numerator, denominator, kwargs={"clipped": chosen.clipped}, dask="allowed")


def _ratio(numerator: Array, denominator: Array, clipped: bool) -> Array:
    ratio = numerator / np.where(denominator == 0, np.nan, denominator)
    return np.clip(ratio, -1, 1) if clipped else ratio


def indices(scene: xr.Dataset, names: Iterable[str] = tuple(INDICES)) -> xr.Dataset:
    """Indices of a scene or a composite, lazily where its bands are lazy.

    Args:
        scene: bands as variables with their Sentinel-2 names, surface reflectance from 0 to 1.
        names: of :data:`INDICES`.

    Returns:
        A variable for each index, with its formula and source.

    Raises:
        EarthInputError: an index is unknown, or the scene lacks a band it needs.
    """
    found = {}
    for name in names:
        needed = INDICES[name].bands if name in INDICES else ()
        if missing := [band for band in needed if band not in scene]:
            raise EarthInputError(f"{name} needs {', '.join(missing)}; the scene has {', '.join(map(str, scene))}")
        found[name] = index(name, *(scene[band] for band in needed)).assign_attrs(
            long_name=INDICES[name].long_name, formula=INDICES[name].formula, source=INDICES[name].source
        )
    return xr.Dataset(found)
