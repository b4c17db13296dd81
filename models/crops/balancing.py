"""Classes made alike in number, which the paper of LSTM-MTL names as what it lacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from imblearn.over_sampling import SMOTE, RandomOverSampler

from models.crops.composing import filled
from models.crops.series import CropError, PixelSeries, joined

WAYS = ("none", "oversample", "smote")
_NEIGHBOURS = 5


def balanced(pixels: PixelSeries, how: str, seed: int) -> PixelSeries:
    """Add pixels of the rarer classes until, in each region, every class has as many as the largest.

    Args:
        pixels: to train on.
        how: ``none``; ``oversample`` repeats pixels; ``smote`` adds series between a pixel and one of its five nearest
            of its class, all steps and bands together (a class with fewer takes as many as it has).
        seed: of the choice.

    Returns:
        The pixels themselves and after them, region by region, what was added.

    Raises:
        CropError: no such way, or series with gaps that cannot be filled for ``smote``.
    """
    if how == "none":
        return pixels
    if how not in WAYS:
        raise CropError(f"there is no balancing {how!r}; take {', '.join(WAYS)}")
    parts = [_region(pixels.take(pixels.region == region), how, seed) for region in np.unique(pixels.region)]
    return parts[0] if len(parts) == 1 else _together(parts)


def _region(pixels: PixelSeries, how: str, seed: int) -> PixelSeries:
    if len(np.unique(pixels.label)) < 2:
        return pixels
    if how == "oversample":
        chosen, _ = RandomOverSampler(random_state=seed).fit_resample(np.arange(len(pixels))[:, None], pixels.label)
        return pixels.take(chosen[:, 0])
    values = filled(pixels.values)
    if not np.isfinite(values).all():
        raise CropError("a pixel has a band that was never seen; leave it out before balancing with smote")
    fewest = pixels.counts()[pixels.counts() > 0].min()
    if fewest < 2:
        return _region(pixels, "oversample", seed)  # one pixel has no neighbour to be between
    smote = SMOTE(random_state=seed, k_neighbors=min(_NEIGHBOURS, int(fewest) - 1))
    made, label = smote.fit_resample(values.reshape(len(pixels), -1), pixels.label)
    more = len(label) - len(pixels)
    grown = pixels.take(np.concatenate([np.arange(len(pixels)), np.zeros(more, np.int64)]))
    new = made[len(pixels) :].reshape(more, *values.shape[1:]).astype(np.float32)
    return replace(grown, values=np.concatenate([pixels.values, new]), label=label.astype(np.int64))


def _together(parts: list[PixelSeries]) -> PixelSeries:
    # joined() keeps blocks of different sets apart; these are parts of one set
    whole = joined(parts)
    return replace(whole, block=np.concatenate([part.block for part in parts]))
