"""Batches of tiles: standardised, augmented, with their points as points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.maps.errors import MapError
from models.yields.pixels.losses import PointLabels, density_weights
from models.yields.pixels.scales import BandScale, YieldScale, point_weights
from models.yields.pixels.scenes import UNLABELLED, Points, Scene


class Batch(NamedTuple):
    """Tiles side by side; see :meth:`models.yields.pixels.network.YieldMapNetwork.forward`.

    Attributes:
        images: (B, T, bands, H, W).
        clear: (B, T, H, W).
        days: (B, T).
        crops: (B, H, W), the network's last class where unlabelled.
        points: of all tiles.
        radar: (B, R, radar bands, H, W), or None.
        radar_days: (B, R), or None.
    """

    images: Tensor
    clear: Tensor
    days: Tensor
    crops: Tensor
    points: PointLabels
    radar: Tensor | None
    radar_days: Tensor | None


@dataclass(frozen=True)
class Augmentation:
    """What is changed in training at random.

    Attributes:
        turn: flips and quarter turns, each with the chance of the paper, a half.
        brightness: deviation of a factor for all bands of a date: haze and sun are not the crop's.
        dates: share of dates that are taken as cloudy.
    """

    turn: bool = True
    brightness: float = 0.0
    dates: float = 0.0


@dataclass(frozen=True, eq=False)
class Encoding:
    """Constants between scenes and a network.

    Attributes:
        bands: scale of the images.
        yields: scale of the yields.
        classes: of the network, unlabelled included.
        radar: scale of the radar images, or None.
    """

    bands: BandScale
    yields: YieldScale
    classes: int
    radar: BandScale | None = None

    def inputs(self, scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
        """Images (T, bands, H, W), clear (T, H, W) and days (T) of a scene, standardised; 0 where not clear."""
        mean, deviation = (values[..., None, None] for values in (self.bands.mean, self.bands.deviation))
        images = np.where(scene.clear[:, None], (scene.images - mean) / deviation, 0).astype(np.float32)
        return torch.from_numpy(images), torch.from_numpy(scene.clear), torch.from_numpy(scene.days)

    def radar_inputs(self, scene: Scene) -> tuple[Tensor, Tensor] | None:
        """Radar images and their days, or None where the network takes none.

        Raises:
            MapError: the scene has none.
        """
        if self.radar is None:
            return None
        if scene.radar is None or scene.radar_days is None:
            raise MapError(f"scene {scene.name} has no radar images and the network was trained with them")
        mean, deviation = (values[..., None, None] for values in (self.radar.mean, self.radar.deviation))
        return torch.from_numpy((scene.radar - mean) / deviation), torch.from_numpy(scene.radar_days)


@dataclass(frozen=True)
class Weighing:
    """How yields are weighed in a fit.

    Attributes:
        unexplained: standard deviation that a good model leaves, in yields' unit; with it, errors of points count.
            None where all points count the same.
        rare: whether rare yields count as much as common ones.
    """

    unexplained: float | None = None
    rare: bool = False


class Tiles:
    """Training tiles with normalised yields and weights.

    Args:
        tiles: of the training.
        encoding: fitted to them.
        weighing: of their points.
    """

    def __init__(self, tiles: Sequence[Scene], encoding: Encoding, weighing: Weighing) -> None:
        self.tiles, self.encoding = list(tiles), encoding
        joined = Points.joined([tile.points for tile in self.tiles])
        yields = torch.tensor(encoding.yields.normalised(joined.yields, joined.crop), dtype=torch.float32)
        weights = torch.ones_like(yields)
        if weighing.unexplained is not None:
            weights *= torch.tensor(point_weights(joined.error, weighing.unexplained), dtype=torch.float32)
        if weighing.rare and len(yields):
            weights *= density_weights(yields)
        sizes = [len(tile.points) for tile in self.tiles]
        self.yields, self.weights = torch.split(yields, sizes), torch.split(weights, sizes)

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, number: int) -> tuple[Scene, Tensor, Tensor]:
        return self.tiles[number], self.yields[number], self.weights[number]


class Collate:
    """Makes a batch of tiles of one size and one number of dates or more; fewer are filled up with unseen dates.

    Args:
        encoding: constants.
        augmentation: what is changed at random; None for nothing.
        seed: of chance.
    """

    def __init__(self, encoding: Encoding, augmentation: Augmentation | None = None, seed: int = 0) -> None:
        self.encoding, self.augmentation = encoding, augmentation
        self.random = np.random.default_rng(seed)

    def __call__(self, rows: Sequence[tuple[Scene, Tensor, Tensor]]) -> Batch:
        """Join tiles."""
        turned = [(self._turned(scene), yields, weights) for scene, yields, weights in rows]
        inputs = [self.encoding.inputs(scene) for scene, _, _ in turned]
        images, clear, days = _together(inputs)
        images, clear = self._disturbed(images, clear)
        crops = np.stack([scene.crops for scene, _, _ in turned]).astype(np.int64)
        crops[crops == UNLABELLED] = self.encoding.classes - 1
        radar = [self.encoding.radar_inputs(scene) for scene, _, _ in turned]
        seen = [one for one in radar if one is not None]
        places = [scene.points for scene, _, _ in turned]
        points = PointLabels(
            torch.cat([torch.full((len(own),), tile) for tile, own in enumerate(places)]),
            torch.from_numpy(np.concatenate([own.row for own in places])),
            torch.from_numpy(np.concatenate([own.column for own in places])),
            torch.cat([yields for _, yields, _ in turned]),
            torch.cat([weights for _, _, weights in turned]),
        )
        return Batch(
            images,
            clear,
            days,
            torch.from_numpy(crops),
            points,
            torch.stack([values for values, _ in seen]) if seen else None,
            torch.stack([days_of for _, days_of in seen]) if seen else None,
        )

    def _turned(self, scene: Scene) -> Scene:
        if self.augmentation is None or not self.augmentation.turn:
            return scene
        down, across, quarter = (self.random.random(3) < 0.5).tolist()
        turns = int(self.random.integers(1, 4)) if quarter else 0
        return turned(scene, down=down, across=across, quarters=turns)

    def _disturbed(self, images: Tensor, clear: Tensor) -> tuple[Tensor, Tensor]:
        if self.augmentation is None:
            return images, clear
        batch, dates = images.shape[:2]
        if self.augmentation.brightness:
            # standardised values are around 0, so a shift of all bands is what a factor of reflectance is
            shift = self.random.normal(0, self.augmentation.brightness, (batch, dates, 1, 1, 1)).astype(np.float32)
            images = images + torch.from_numpy(shift) * clear[:, :, None]
        if self.augmentation.dates:
            kept = self.random.random((batch, dates)) >= self.augmentation.dates
            kept[np.arange(batch), self.random.integers(dates, size=batch)] = True
            clear = clear & torch.from_numpy(kept)[:, :, None, None]
            images = images * clear[:, :, None]
        return images, clear


def turned(scene: Scene, *, down: bool, across: bool, quarters: int) -> Scene:
    """A scene upside down, mirrored, and turned by quarters, with its points.

    Args:
        scene: square where turned.
        down: rows reversed.
        across: columns reversed.
        quarters: turns against the clock, after the mirrors.
    """
    height, width = scene.shape
    row, column = scene.points.row, scene.points.column
    row = height - 1 - row if down else row
    column = width - 1 - column if across else column
    for _ in range(quarters):
        row, column = width - 1 - column, row
        height, width = width, height

    def turn(values: NDArray[Any]) -> NDArray[Any]:
        values = values[..., ::-1, :] if down else values
        values = values[..., ::-1] if across else values
        return np.ascontiguousarray(np.rot90(values, quarters, (-2, -1)))

    changed: dict[str, Any] = {name: turn(getattr(scene, name)) for name in ("images", "clear", "crops", "fields")}
    changed["radar"] = None if scene.radar is None else turn(scene.radar)
    return replace(scene, points=replace(scene.points, row=row, column=column), **changed)


def _together(inputs: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    most = max(len(days) for _, _, days in inputs)

    def filled(values: Tensor) -> Tensor:
        missing = values.new_zeros((most - len(values), *values.shape[1:]))
        return torch.cat([values, missing])

    images, clear, days = zip(*inputs, strict=True)
    return (
        torch.stack([filled(one) for one in images]),
        torch.stack([filled(one) for one in clear]),
        torch.stack([filled(one) for one in days]),
    )
