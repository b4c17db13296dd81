"""Maps of whole scenes: overlapping windows, blended so that no seam shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.yields.pixels.encoders import stride
from models.yields.pixels.scenes import OVERLAP, TILE_PX, UNLABELLED, Scene, starts
from models.yields.pixels.training import Trained

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What networks say of a scene.

    Attributes:
        normalised: (H, W) yields on the scale of the training; NaN where no yields are predicted.
        variance: (H, W) of them: what the networks themselves expect, and what they differ by; NaN where unknown.
        shares: (crops, H, W) probability of each crop; empty where no crops are predicted.
        yields: (H, W) in the unit of the points, for the crop that is known, else for the likeliest one.
        deviation: (H, W) standard deviation in the same unit.
        crop: (H, W) index of that crop.
    """

    normalised: FloatArray
    variance: FloatArray
    shares: FloatArray
    yields: FloatArray
    deviation: FloatArray
    crop: NDArray[np.uint8]


@dataclass(frozen=True)
class Area:
    """A part of a scene, and the windows that say something of it.

    Windows lie where they would lie for the whole scene, so that a pixel is the same in whatever part it is mapped.

    Attributes:
        row: first one.
        column: first one.
        height: rows.
        width: columns.
        rows: where windows begin.
        columns: where windows begin.
        side: of a window.
    """

    row: int
    column: int
    height: int
    width: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    side: int

    @classmethod
    def of(cls, shape: tuple[int, int], part: tuple[int, int, int, int], side: int, overlap: float, step: int) -> Area:
        """Windows of a part (row, column, height, width) of a scene of a shape.

        Args:
            shape: rows and columns of the scene.
            part: of it.
            side: of a window, at most; a window larger than the scene would be mostly nothing.
            overlap: share of a window that neighbours share.
            step: what a side has to be a multiple of.
        """
        side = min(-(-side // step) * step, -(-max(shape) // step) * step)
        row, column, height, width = part
        rows = tuple(at for at in starts(shape[0], side, overlap) if at < row + height and at + side > row)
        columns = tuple(at for at in starts(shape[1], side, overlap) if at < column + width and at + side > column)
        return cls(row, column, height, width, rows, columns, side)


def predict(
    members: Sequence[Trained],
    scene: Scene,
    *,
    side: int = TILE_PX,
    overlap: float = OVERLAP,
    known: NDArray[np.uint8] | None = None,
) -> Prediction:
    """Map a scene by one network or by the mean of several.

    Args:
        members: networks of one training's settings.
        scene: its labels are not looked at.
        side: of a window in px.
        overlap: share of a window that neighbours share.
        known: (H, W) crops that are known, :data:`UNLABELLED` where not; yields are mapped back with them.
    """
    step = stride(members[0].network.settings.encoder)
    area = Area.of(scene.shape, (0, 0, *scene.shape), side, overlap, step)
    return predict_area(members, scene.window, area, known)


def predict_area(
    members: Sequence[Trained],
    window: Callable[[int, int, int], Scene],
    area: Area,
    known: NDArray[np.uint8] | None = None,
    *,
    threads: int = 1,
) -> Prediction:
    """Map a part of a scene.

    Args:
        members: networks of one training's settings.
        window: gives the part of the scene from a row and a column on, with a side.
        area: what to map.
        known: (H, W) crops of the area that are known.
        threads: among which windows are shared; the map does not depend on them.
    """
    said = _blended(members, window, area, threads)
    shape = area.height, area.width
    shares = np.mean([layers[2:] for layers in said], axis=0)
    crop = _crop(shares, shape, known)
    place = np.where(crop == UNLABELLED, 0, crop)
    # members may have scales of their own; what they say is joined in yields
    scales = [member.encoding.yields for member in members]
    yields = np.stack([scale.restored(layers[0], place) for scale, layers in zip(scales, said, strict=True)])
    own = np.stack([layers[1] * scale.widths(place) ** 2 for scale, layers in zip(scales, said, strict=True)])
    variance = own.mean(0)
    if len(members) > 1:
        variance = np.nan_to_num(variance) + yields.var(0)
    mean = yields.mean(0)
    normalised = np.asarray(scales[0].normalised(mean, place))
    return Prediction(normalised, variance / scales[0].widths(place) ** 2, shares, mean, np.sqrt(variance), crop)


def _crop(shares: FloatArray, shape: tuple[int, int], known: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    likeliest = shares.argmax(0).astype(np.uint8) if len(shares) else np.full(shape, UNLABELLED, np.uint8)
    return likeliest if known is None else np.where(known == UNLABELLED, likeliest, known).astype(np.uint8)


def blending(side: int) -> FloatArray:
    """(side, side) weights of a window's pixels: 1 in its middle, falling to its edges, nowhere 0."""
    ramp = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)) / ((side + 1) // 2)
    return np.outer(ramp, ramp)


def _blended(
    members: Sequence[Trained], window: Callable[[int, int, int], Scene], area: Area, threads: int
) -> list[FloatArray]:
    """What each member says of an area: (2 + crops, height, width) normalised yields, their variance, shares."""
    settings = members[0].network.settings
    layers = 2 + (settings.classes - 1 if settings.crops else 0)
    sums = [np.zeros((layers, area.height, area.width)) for _ in members]
    weights, window_weights = np.zeros((area.height, area.width)), blending(area.side)
    places = [(row, column) for row in area.rows for column in area.columns]

    def say(place: tuple[int, int]) -> list[FloatArray]:
        seen = window(*place, area.side)
        return [_window(member, seen) for member in members]

    with ThreadPoolExecutor(threads) as pool:
        # summed in one order, whichever is done first
        for (row, column), said in zip(places, pool.map(say, places), strict=True):
            down = _meeting(row, area.row, area.height, area.side)
            across = _meeting(column, area.column, area.width, area.side)
            (rows, rows_here), (columns, columns_here) = down, across
            weights[rows_here, columns_here] += window_weights[rows, columns]
            for own, summed in zip(said, sums, strict=True):
                summed[:, rows_here, columns_here] += (own * window_weights)[:, rows, columns]
    return [summed / weights for summed in sums]


def _meeting(start: int, first: int, length: int, side: int) -> tuple[slice, slice]:
    """Where a window and an area meet along an axis: in the window, and in the area."""
    low, high = max(start, first), min(start + side, first + length)
    return slice(low - start, high - start), slice(low - first, high - first)


def _window(trained: Trained, window: Scene) -> FloatArray:
    """(2 + crops, side, side) yields, variance and shares of one window."""
    radar = trained.encoding.radar_inputs(window)
    inputs = [values[None] for values in trained.encoding.inputs(window)]
    more = [] if radar is None else [values[None] for values in radar]
    with torch.no_grad():
        maps = trained.network(*inputs, *more)
    side = window.shape
    nothing = np.full((1, *side), np.nan)
    yields = nothing if maps.yields is None else maps.yields.double().numpy()
    variance = nothing if maps.log_variance is None else maps.log_variance.double().exp().numpy()
    shares = np.empty((0, *side)) if maps.crops is None else maps.crops[0, :-1].double().softmax(0).numpy()
    return np.concatenate([yields, variance, shares])
