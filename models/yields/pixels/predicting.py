"""Maps of whole scenes: overlapping windows, blended so that no seam shows."""

from __future__ import annotations

from collections.abc import Sequence
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
    said = [_of_member(member, scene, side, overlap) for member in members]
    first = members[0]
    # members may have scales of their own; what they say is joined in yields where all know the crop
    shares = np.mean([shares for _, _, shares in said], axis=0)
    crop = _crop(shares, scene.shape, known)
    place = np.where(crop == UNLABELLED, 0, crop)
    yields = np.stack(
        [
            member.encoding.yields.restored(normalised, place)
            for member, (normalised, _, _) in zip(members, said, strict=True)
        ]
    )
    own = np.stack(
        [
            variance * member.encoding.yields.widths(place) ** 2
            for member, (_, variance, _) in zip(members, said, strict=True)
        ]
    )
    between = yields.var(0) if len(members) > 1 else np.zeros(scene.shape)
    expected = np.where(np.isnan(own).all(0), np.nan if len(members) == 1 else 0.0, np.nan_to_num(own).mean(0))
    mean = yields.mean(0)
    normalised = np.asarray(first.encoding.yields.normalised(mean, place))
    variance = (expected + between) / first.encoding.yields.widths(place) ** 2
    return Prediction(normalised, variance, shares, mean, np.sqrt(expected + between), crop)


def _crop(shares: FloatArray, shape: tuple[int, int], known: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    likeliest = shares.argmax(0).astype(np.uint8) if len(shares) else np.full(shape, UNLABELLED, np.uint8)
    return likeliest if known is None else np.where(known == UNLABELLED, likeliest, known).astype(np.uint8)


def blending(side: int) -> FloatArray:
    """(side, side) weights of a window's pixels: 1 in its middle, falling to its edges, nowhere 0."""
    ramp = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)) / ((side + 1) // 2)
    return np.outer(ramp, ramp)


def _of_member(trained: Trained, scene: Scene, side: int, overlap: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Normalised yields, their variance and shares of the crops, blended over windows."""
    height, width = scene.shape
    step = stride(trained.network.settings.encoder)
    # a window larger than the scene would be mostly nothing
    fits = -(-max(height, width) // step) * step
    side = min(-(-side // step) * step, fits)
    settings = trained.network.settings
    layers = 2 + (settings.classes - 1 if settings.crops else 0)
    sums, weights = np.zeros((layers, height, width)), np.zeros((height, width))
    window_weights = blending(side)
    for row in starts(height, side, overlap):
        for column in starts(width, side, overlap):
            layered = _window(trained, scene.window(row, column, side))
            rows, columns = slice(row, min(row + side, height)), slice(column, min(column + side, width))
            inside = slice(0, rows.stop - row), slice(0, columns.stop - column)
            sums[:, rows, columns] += (layered * window_weights)[:, inside[0], inside[1]]
            weights[rows, columns] += window_weights[inside]
    blended = sums / weights
    return blended[0], blended[1], blended[2:]


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
