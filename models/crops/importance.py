"""What moves the network at each step: gradients of the true class's probability by the input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.crops.lstm_mtl import LstmMtl
from models.crops.seasons import so_far
from models.crops.series import FloatArray, PixelSeries

_CHUNK = 1024


def gradients(network: LstmMtl, pixels: PixelSeries, instead: FloatArray) -> FloatArray:
    """Gradient of the probability of each pixel's true class by its standardised series.

    Positive: a higher value at that step would make the network surer of what is there.

    Args:
        network: trained; asked as it maps, without dropout.
        pixels: seasons from planting, with their labels; NaN where a step was not seen.
        instead: (bands,) for a band that was never seen: the means of the training pixels.

    Returns:
        (n, time, bands).
    """
    network.eval()
    found = np.empty_like(pixels.values)
    spread = network.shared.bands.std.numpy()
    # cuDNN has no backward pass of a recurrent network in evaluation mode
    with torch.backends.cudnn.flags(enabled=False), torch.enable_grad():
        for begin in range(0, len(pixels), _CHUNK):
            here = slice(begin, begin + _CHUNK)
            values = so_far(pixels.values[here], np.full(len(pixels.values[here]), len(pixels.steps)), instead)
            series = torch.as_tensor(values).requires_grad_()
            logits = network(series, torch.as_tensor(pixels.region[here]))
            own = torch.softmax(logits, 1).gather(1, torch.as_tensor(pixels.label[here])[:, None])
            (gradient,) = torch.autograd.grad(own.sum(), series)
            found[here] = gradient.numpy() * spread
    return found


def importance(network: LstmMtl, pixels: PixelSeries, instead: FloatArray) -> NDArray[np.float64]:
    """Mean gradients of each region's classes, with their signs.

    Returns:
        (regions, classes, time, bands); NaN where a region has no pixel of a class.
    """
    of_pixels = gradients(network, pixels, instead)
    shape = (len(pixels.regions), pixels.classes)
    means = np.full((*shape, *of_pixels.shape[1:]), np.nan)
    for region, label in np.ndindex(shape):
        here = (pixels.region == region) & (pixels.label == label)
        if here.any():
            means[region, label] = of_pixels[here].mean(0, dtype=np.float64)
    return means
