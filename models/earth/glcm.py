"""Grey-level co-occurrence textures as Earth Engine's ``glcmTexture`` defines them.

For each pixel: the window of (2 · size + 1)² pixels round it, the pairs of pixels in it that lie one offset apart,
counted in both orders, and Haralick's and Conners's measures of these counts p(i, j), averaged over the offsets.
Earth Engine names 18 measures and leaves one of them, the maximal correlation coefficient, uncomputed; so do we.

Equal to scikit-image's ``graycomatrix`` and ``graycoprops`` on the same window. Earth Engine's own numbers were not
compared: its quantisation is up to the script that calls it.

Sources: Haralick, Shanmugam and Dinstein 1973 (IEEE SMC 3:610, f1 to f13), Conners, Trivedi and Harlow 1984 (CVGIP
25:273, the last four), Earth Engine's reference of ``ee.Image.glcmTexture``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

from models.earth.blocks import by_blocks, name_of
from models.earth.errors import EarthInputError
from models.earth.glcm_kernel import fill_textures

# Each measure with its formula: natural logarithms, 0 ln 0 = 0, μ the mean level, s = i + j, d = |i − j|
FORMULAS: Mapping[str, str] = MappingProxyType(
    {
        "asm": "Σ p²",
        "contrast": "Σ (i − j)² p",
        "corr": "Σ (i − μ)(j − μ) p / var; 0 where var is 0",
        "var": "Σ (i − μ)² p",
        "idm": "Σ p / (1 + (i − j)²)",
        "savg": "Σ s p",
        "svar": "Σ (s − savg)² p",
        "sent": "−Σ p(s) ln p(s)",
        "ent": "−Σ p ln p",
        "dvar": "Σ (d − diss)² p",
        "dent": "−Σ p(d) ln p(d)",
        "imcorr1": "(ent − 2 HX) / HX, HX = −Σ p(i) ln p(i); 0 where HX is 0",
        "imcorr2": "√(1 − exp(−2 (2 HX − ent)))",
        "diss": "Σ |i − j| p",
        "inertia": "Σ (i − j)² p",
        "shade": "Σ (s − 2μ)³ p",
        "prom": "Σ (s − 2μ)⁴ p",
    }
)
# the paper's: angular second moment, variance, contrast, entropy, correlation, sum average
PAPER_MEASURES = ("asm", "contrast", "corr", "var", "savg", "ent")
_LARGEST_SIZE_PX = 32  # sums of fourth powers stay within 64 bits
_MOST_LEVELS = 256


@dataclass(frozen=True)
class TextureSettings:
    """What a texture depends on; belongs beside every number made with it.

    Attributes:
        size_px: pixels on each side of the middle one; 3 is a window of 7 x 7.
        levels: grey levels that values are quantised to, 2 to 256.
        low: value at which the lowest level begins.
        high: value at which the highest level ends; what lies outside is counted in the outermost levels.
        offsets: (down, right) from a pixel to its partner.
        average: one value a measure, the mean of all offsets, instead of one for each.
        measures: which, of :data:`FORMULAS`.
        least_share: of an offset's pairs in the window; a texture is missing where fewer are known (at the edges, under
            clouds), and where the pixel itself is.
    """

    size_px: int = 3
    levels: int = 64
    low: float = 0.0
    high: float = 0.6
    offsets: tuple[tuple[int, int], ...] = ((0, 1), (1, 1), (1, 0), (1, -1))
    average: bool = True
    measures: tuple[str, ...] = PAPER_MEASURES
    least_share: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.size_px <= _LARGEST_SIZE_PX:
            raise EarthInputError(
                f"size_px is {self.size_px}; a texture's window has 1 to {_LARGEST_SIZE_PX} px a side"
            )
        if not 2 <= self.levels <= _MOST_LEVELS:
            raise EarthInputError(f"levels is {self.levels}; textures have 2 to {_MOST_LEVELS} grey levels")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise EarthInputError(f"low is {self.low} and high is {self.high}; low must be below high")
        if not 0 <= self.least_share <= 1:
            raise EarthInputError(f"least_share is {self.least_share}; a share lies between 0 and 1")
        if not self.measures or not set(self.measures) <= set(FORMULAS):
            named = ", ".join(self.measures) or "none"
            raise EarthInputError(f"measures are {named}; known are {', '.join(FORMULAS)}")
        for offset in self.offsets or [(0, 0)]:
            if offset == (0, 0) or max(map(abs, offset)) > 2 * self.size_px:
                raise EarthInputError(f"offset {offset} has no pairs in a window of {2 * self.size_px + 1} px")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the results: a measure, or with ``average`` off a measure and an offset (``asm_1_-1``)."""
        if self.average:
            return self.measures
        return tuple(f"{name}_{down}_{right}" for name, (down, right) in product(self.measures, self.offsets))


def quantise(values: NDArray[np.floating[Any]], settings: TextureSettings) -> NDArray[np.int16]:
    """Grey levels of equal width between ``low`` and ``high``.

    Args:
        values: of any shape; NaN where missing.
        settings: range and number of levels.

    Returns:
        Levels 0 to ``levels`` − 1; −1 where missing.
    """
    width = (settings.high - settings.low) / settings.levels
    levels = np.clip(np.floor((values - settings.low) / width), 0, settings.levels - 1)
    return np.where(np.isnan(levels), -1, levels).astype(np.int16)


def level_textures(
    levels: NDArray[np.integer[Any]], settings: TextureSettings, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """Textures of an image that is quantised already.

    Args:
        levels: (rows, columns) 0 to ``levels`` − 1; below 0 where missing.
        settings: window, offsets, measures; range and number of levels have been applied.
        dtype: of the result; it is computed in double precision.

    Returns:
        (names, rows, columns), in the order of :attr:`TextureSettings.names`; NaN where missing.

    Raises:
        EarthInputError: a level is too high.
    """
    if levels.size and (highest := int(levels.max())) >= settings.levels:
        raise EarthInputError(f"grey level {highest} is above the highest of {settings.levels} levels; quantise first")
    textures = np.empty((len(settings.names), *levels.shape), dtype=dtype)
    fill_textures(
        np.ascontiguousarray(levels, dtype=np.int16),
        settings.size_px,
        settings.levels,
        # counted in both orders, a pair upwards is the pair downwards; left and right matter only where it goes down
        tuple((-down, -right) if down < 0 else (down, right) for down, right in settings.offsets),
        settings.measures,
        settings.average,
        settings.least_share,
        textures,
    )
    return textures


def textures(band: xr.DataArray, settings: TextureSettings | None = None, dtype: DTypeLike = np.float32) -> xr.Dataset:
    """Textures of a band, lazily where the band is lazy.

    Args:
        band: dimensions (…, y, x), reflectance from 0 to 1; NaN where missing.
        settings: window, levels, offsets, measures.
        dtype: of the result.

    Returns:
        A variable for each measure, named after the band (``B08_asm``), each with the settings it was made with.

    Raises:
        EarthInputError: the band holds whole numbers, or has no dimensions y and x.
    """
    chosen = settings or TextureSettings()
    if band.dtype.kind != "f":
        raise EarthInputError(f"{name_of(band)} holds whole numbers; textures need reflectance from 0 to 1")

    def of_block(block: NDArray[Any]) -> NDArray[Any]:
        images = quantise(block, chosen).reshape(-1, *block.shape[-2:])
        stacked = np.stack([level_textures(image, chosen, dtype) for image in images], axis=1)
        return stacked.reshape(-1, *block.shape)

    layers = by_blocks(of_block, band, chosen.size_px, dtype, layers=len(chosen.names))
    made_with = {"glcm_" + key: str(value) for key, value in asdict(chosen).items()}
    prefix = "" if band.name is None else f"{band.name}_"
    variables = {}
    for place, name in enumerate(chosen.names):
        texture = layers.isel(layer=place)
        texture.attrs = {"formula": FORMULAS[name.split("_")[0]], **made_with}
        variables[prefix + name] = texture
    return xr.Dataset(variables, coords=band.coords)
