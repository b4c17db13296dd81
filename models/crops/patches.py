"""Patches of images through a season, with the mask of a crop."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from models.crops.composing import filled
from models.crops.pixel_networks import Scales
from models.crops.series import CropError, FloatArray, IntArray

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class PatchSeries:
    """Square patches.

    Attributes:
        values: (n, time, bands, side, side) float32, dB, no gaps.
        mask: (n, side, side) 1 where the crop is, 0 where not, -1 where nobody knows.
        bands: names of the bands.
        steps: names of the dates.
        place: (n,) where a patch lies; patches of one place are never on both sides of a split.
    """

    values: FloatArray
    mask: NDArray[np.int8]
    bands: tuple[str, ...]
    steps: tuple[str, ...]
    place: IntArray

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other.

        Raises:
            CropError: shapes that do not fit.
        """
        number, side = len(self.mask), self.mask.shape[-1]
        expected = (number, len(self.steps), len(self.bands), side, side)
        if self.values.shape != expected or self.place.shape != (number,):
            raise CropError(
                f"patches of shape {self.values.shape} do not fit {expected}, patches x dates x bands x side x side"
            )

    def __len__(self) -> int:
        return len(self.mask)

    def take(self, patches: NDArray[Any]) -> PatchSeries:
        """Some of the patches, by position or by a mask of all of them."""
        arrays = {f.name: getattr(self, f.name)[patches] for f in fields(self) if f.name in {"values", "mask", "place"}}
        return replace(self, **arrays)

    def with_bands(self, names: tuple[str, ...]) -> PatchSeries:
        """Some of the bands, in this order.

        Raises:
            CropError: a band that is not there.
        """
        if missing := [name for name in names if name not in self.bands]:
            raise CropError(f"the patches have no band {missing[0]}; they have {', '.join(self.bands)}")
        kept = [self.bands.index(name) for name in names]
        return replace(self, values=self.values[:, :, kept], bands=names)

    def scales(self) -> Scales:
        """Constants of the bands."""
        by_band = self.values.swapaxes(0, 2).reshape(len(self.bands), -1).astype(np.float64)
        return Scales(tuple(by_band.mean(1).tolist()), tuple(by_band.std(1).tolist()))


def cut(
    store: xr.Dataset,
    bands: tuple[str, ...],
    crop: Collection[int],
    thematic: str = "crop",
    side: int = 256,
    unlabelled: int | None = None,
) -> PatchSeries:
    """Patches of a dataset, side by side; what is left at the right and lower edges is left out.

    Args:
        store: with bands as variables (time, y, x) and a thematic map (y, x).
        bands: names of the variables.
        crop: numbers of the thematic map that are the crop.
        thematic: variable of the thematic map.
        side: of a patch in pixels.
        unlabelled: number of the thematic map that says nothing.

    Returns:
        Patches with a label and without gaps; gaps of a pixel are filled in time. Each is a place of its own.

    Raises:
        CropError: a variable that is not there, or no patch.
    """
    for needed in (*bands, thematic):
        if needed not in store:
            raise CropError(f"there is no variable {needed!r}; it has {', '.join(map(str, store))}")
    codes = store[thematic].transpose("y", "x").to_numpy()
    mask = np.where(np.isin(codes, list(crop)), 1, 0).astype(np.int8)
    if unlabelled is not None:
        mask[codes == unlabelled] = UNLABELLED
    along = store[bands[0]].dims[0]
    kept: list[tuple[FloatArray, NDArray[np.int8]]] = []
    for top in range(0, codes.shape[0] - side + 1, side):
        for left in range(0, codes.shape[1] - side + 1, side):
            here = mask[top : top + side, left : left + side]
            window = {"y": slice(top, top + side), "x": slice(left, left + side)}
            image = np.stack([store[b].isel(window).transpose(along, "y", "x").to_numpy() for b in bands], 1)
            pixels = filled(image.reshape(*image.shape[:2], -1).transpose(2, 0, 1).astype(np.float32))
            values = pixels.transpose(1, 2, 0).reshape(image.shape)
            if (here != UNLABELLED).any() and np.isfinite(values).all():
                kept.append((values, here))
    if not kept:
        raise CropError(f"no patch of {side} x {side} px is labelled and seen in every band; take smaller patches")
    steps = tuple(str(value)[:10] for value in store[along].to_numpy())
    values, masks = (np.stack(each) for each in zip(*kept, strict=True))
    return PatchSeries(values, masks, bands, steps, np.arange(len(kept)))


def open_store(path: Path) -> xr.Dataset:
    """A Zarr store of composites.

    Raises:
        CropError: none there.
    """
    try:
        store: xr.Dataset = xr.open_zarr(path)
    except (OSError, ValueError, KeyError) as error:
        raise CropError(f"{path} cannot be read: {error}; give a Zarr store") from error
    return store
