"""Labelled series of pixels: what every crop network learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class CropError(ValueError):
    """Series, labels or settings that no crop map can be made of; the message names them and the remedy."""

    exit_code = 2


@dataclass(frozen=True, eq=False)
class PixelSeries:
    """Pixels with their series and their class.

    Attributes:
        values: (n, time, bands) float32; NaN where a pixel was not seen.
        label: (n,) index of each pixel's class in ``legend``.
        legend: names of the classes.
        bands: names of the bands.
        steps: names of the steps in time.
        block: (n,) the spatial block of each pixel; pixels of one block are never on both sides of a split.
        region: (n,) index of each pixel's region in ``regions``.
        regions: names of the regions.
        zone: (n,) the part of its region a pixel lies in; 0 where regions have no parts.
        weight: (n,) how much a pixel counts in the loss.
    """

    values: FloatArray
    label: IntArray
    legend: tuple[str, ...]
    bands: tuple[str, ...]
    steps: tuple[str, ...]
    block: IntArray
    region: IntArray
    regions: tuple[str, ...]
    zone: IntArray
    weight: FloatArray

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other.

        Raises:
            CropError: shapes or classes that do not fit.
        """
        expected = (len(self), len(self.steps), len(self.bands))
        if self.values.shape != expected:
            raise CropError(f"series of shape {self.values.shape} do not fit {expected}, pixels x steps x bands")
        for name in ("block", "region", "zone", "weight"):
            if getattr(self, name).shape != (len(self),):
                raise CropError(f"{name} has shape {getattr(self, name).shape}; there are {len(self)} pixels")
        for name, names in (("label", self.legend), ("region", self.regions)):
            index = getattr(self, name)
            if len(index) and not (index.min() >= 0 and index.max() < len(names)):
                raise CropError(f"{name} runs from {index.min()} to {index.max()}; there are {len(names)} names")

    def __len__(self) -> int:
        return len(self.label)

    @property
    def classes(self) -> int:
        """How many classes the legend has."""
        return len(self.legend)

    def take(self, pixels: NDArray[Any]) -> PixelSeries:
        """Some of the pixels, by position or by a mask of all of them."""
        arrays = {f.name: getattr(self, f.name)[pixels] for f in fields(self) if _by_pixel(getattr(self, f.name))}
        return replace(self, **arrays)

    def counts(self) -> IntArray:
        """(classes,) pixels of each class."""
        return np.bincount(self.label, minlength=self.classes)

    def first_steps(self, steps: int) -> PixelSeries:
        """The series up to a date: nothing later is in it, not even as missing."""
        return replace(self, values=self.values[:, :steps], steps=self.steps[:steps])

    def with_label(self, label: IntArray, legend: Sequence[str] | None = None) -> PixelSeries:
        """The same pixels with other labels, and another legend where one is given."""
        return replace(self, label=label, legend=self.legend if legend is None else tuple(legend))


def joined(parts: Sequence[PixelSeries]) -> PixelSeries:
    """Pixels of several sets of the same bands, steps and legend; blocks stay apart, regions go by name.

    Raises:
        CropError: sets that differ in bands, steps or legend.
    """
    first = parts[0]
    for part in parts[1:]:
        for name in ("bands", "steps", "legend"):
            if getattr(part, name) != getattr(first, name):
                raise CropError(f"sets differ in their {name}: {getattr(first, name)} and {getattr(part, name)}")
    regions = tuple(dict.fromkeys(region for part in parts for region in part.regions))
    blocks, begin = [], 0
    for part in parts:
        blocks.append(part.block + begin)
        begin += int(part.block.max(initial=-1)) + 1
    arrays: dict[str, Any] = {
        f.name: _stacked(parts, f.name) for f in fields(first) if _by_pixel(getattr(first, f.name))
    }
    arrays["block"] = np.concatenate(blocks)
    arrays["region"] = np.concatenate([_renumbered(part, regions) for part in parts])
    return replace(first, regions=regions, **arrays)


def _stacked(parts: Sequence[PixelSeries], name: str) -> NDArray[Any]:
    return np.concatenate([getattr(part, name) for part in parts])


def _renumbered(part: PixelSeries, regions: tuple[str, ...]) -> IntArray:
    numbers = np.array([regions.index(region) for region in part.regions], np.int64)
    return numbers[part.region]


def _by_pixel(value: object) -> bool:
    return isinstance(value, np.ndarray)
