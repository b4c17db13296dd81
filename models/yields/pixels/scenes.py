"""Scenes and tiles of one kind: a series of images on one grid, with the crops and yields that are known there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.maps.errors import MapError

_Number = TypeVar("_Number", bound=np.generic)
UNLABELLED = 255
NO_FIELD = -1
TILE_PX = 256
OVERLAP = 0.1


@dataclass(frozen=True, eq=False)
class Points:
    """Yields at places of a scene; two points may lie in one pixel.

    Attributes:
        row: (n,) of the scene.
        column: (n,) of the scene.
        yields: (n,) in the unit of the map.
        error: (n,) standard error of each, in the same unit; 0 where it is not known.
        crop: (n,) index of the crop that was weighed.
        field: (n,) that it stands in, :data:`NO_FIELD` where that is not known.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    yields: NDArray[np.float64]
    error: NDArray[np.float64]
    crop: NDArray[np.int64]
    field: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.yields)

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Points:
        """Some of them."""
        return Points(
            self.row[which],
            self.column[which],
            self.yields[which],
            self.error[which],
            self.crop[which],
            self.field[which],
        )

    def moved(self, rows: int, columns: int) -> Points:
        """The same on a grid whose first pixel lies elsewhere."""
        return replace(self, row=self.row - rows, column=self.column - columns)

    @classmethod
    def none(cls) -> Points:
        """No points."""
        whole = np.zeros(0, np.int64)
        return cls(whole, whole, np.zeros(0), np.zeros(0), whole, whole)

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        """Those of several scenes, for their yields."""
        return cls(
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.column for part in parts]),
            np.concatenate([part.yields for part in parts]),
            np.concatenate([part.error for part in parts]),
            np.concatenate([part.crop for part in parts]),
            np.concatenate([part.field for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Scene:
    """Images on one grid of 10 m, and what is known there.

    Attributes:
        name: to tell it by.
        images: (T, bands, H, W) reflectance, 0 to 1; any number where it was not clear.
        clear: (T, H, W) whether a pixel was seen.
        days: (T,) of the year.
        crops: (H, W) index of the crop, :data:`UNLABELLED` elsewhere.
        fields: (H, W) number of the field, :data:`NO_FIELD` elsewhere; a number is one field, whatever the scene.
        points: yields.
        radar: (R, radar bands, H, W) backscatter in dB, or None.
        radar_days: (R,) of the year.
    """

    name: str
    images: NDArray[np.float32]
    clear: NDArray[np.bool_]
    days: NDArray[np.float32]
    crops: NDArray[np.uint8]
    fields: NDArray[np.int32]
    points: Points
    radar: NDArray[np.float32] | None = None
    radar_days: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        dates, _, height, width = self.images.shape
        expected = {"clear": (dates, height, width), "days": (dates,), "crops": (height, width)}
        for name, shape in {**expected, "fields": (height, width)}.items():
            found = getattr(self, name).shape
            if found != shape:
                raise MapError(f"scene {self.name}: {name} is {found} and has to be {shape} for its images")
        if len(self.points) and not (
            (self.points.row >= 0).all()
            and (self.points.row < height).all()
            and (self.points.column >= 0).all()
            and (self.points.column < width).all()
        ):
            raise MapError(f"scene {self.name}: a yield lies outside of it; leave such points out")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.crops.shape[0], self.crops.shape[1]

    def window(self, row: int, column: int, side: int) -> Scene:
        """A square part; what lies beyond the scene was not seen and has no label.

        Args:
            row: of its first pixel.
            column: of its first pixel.
            side: in px.
        """
        height, width = self.shape
        rows, columns = slice(row, min(row + side, height)), slice(column, min(column + side, width))
        missing = side - (rows.stop - row), side - (columns.stop - column)

        def cut(values: NDArray[_Number], fill: float) -> NDArray[_Number]:
            around = [(0, 0)] * (values.ndim - 2) + [(0, missing[0]), (0, missing[1])]
            return np.pad(values[..., rows, columns], around, constant_values=fill)

        inside = (
            (self.points.row >= row)
            & (self.points.row < rows.stop)
            & (self.points.column >= column)
            & (self.points.column < columns.stop)
        )
        return replace(
            self,
            name=f"{self.name}@{row},{column}",
            images=cut(self.images, 0),
            clear=cut(self.clear, False),
            crops=cut(self.crops, UNLABELLED),
            fields=cut(self.fields, NO_FIELD),
            points=self.points.take(inside).moved(row, column),
            radar=None if self.radar is None else cut(self.radar, 0),
        )

    def without(self, hidden: NDArray[np.int64]) -> Scene:
        """The scene as if some fields were not there: not seen, without crop, without yields.

        Args:
            hidden: their numbers.
        """
        gone = np.isin(self.fields, hidden)
        radar = self.radar
        if radar is not None:
            radar = np.where(gone, np.float32(0), radar)
        return replace(
            self,
            images=np.where(gone, np.float32(0), self.images),
            clear=self.clear & ~gone,
            crops=np.where(gone, np.uint8(UNLABELLED), self.crops),
            fields=np.where(gone, np.int32(NO_FIELD), self.fields),
            points=self.points.take(~np.isin(self.points.field, hidden)),
            radar=radar,
        )

    @property
    def labelled(self) -> bool:
        """Whether there is anything to learn from."""
        return bool(len(self.points)) or bool((self.crops != UNLABELLED).any())


def step_of(side: int, overlap: float) -> int:
    """How far tiles lie apart.

    Args:
        side: of a tile in px.
        overlap: share of a side that neighbours share.

    Raises:
        MapError: an overlap that leaves nothing to step by.
    """
    step = int(side * (1 - overlap))
    if not 0 <= overlap < 1 or step < 1:
        raise MapError(f"tiles of {side} px cannot overlap by {overlap:g}; take a share of 0 to below 1")
    return step


def starts(length: int, side: int, overlap: float) -> list[int]:
    """Where windows begin along an axis so that none reaches beyond it, where it is longer than a window.

    Args:
        length: of the axis in px.
        side: of a window.
        overlap: share of a side that neighbours share at least.
    """
    last = max(0, length - side)
    return sorted({*range(0, last, step_of(side, overlap)), last})


def tiles(scene: Scene, side: int = TILE_PX, overlap: float = OVERLAP) -> Iterator[Scene]:
    """Cut a scene to learn from; neighbours share just the overlap, so that no label counts for more than others.

    The last tile of a row reaches beyond the scene rather than back over its neighbour.
    """
    height, width = scene.shape
    step = step_of(side, overlap)
    shared = side - step
    for row in range(0, max(1, height - shared), step):
        for column in range(0, max(1, width - shared), step):
            yield scene.window(row, column, side)
