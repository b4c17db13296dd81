"""Kernel logistic regression: what a pixel most resembles, beside a network it is averaged with.

A network of a few hundred pixels a class and a machine that compares pixels are wrong about different ones.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from models.crops.sampling import stratified
from models.crops.series import PixelSeries
from models.standardise import Standardise

CENTRES = 2000
_SMOOTHNESS = 30.0  # C: the inverse of the ridge; this and the width were chosen by folds inside training draws
_ABSENT = -30.0  # logit of a class that was not trained on


class KernelLogistic(nn.Module):
    """Softmax of weighted Gaussian kernels about training pixels; a module, so that it goes into the ONNX file.

    Args:
        mean: (steps, bands) of the training pixels.
        std: (steps, bands) likewise.
        centres: (m, steps · bands) training pixels, standardised.
        weight: (m, classes) of the kernels.
        bias: (classes,).
    """

    centres: Tensor

    def __init__(
        self,
        mean: NDArray[np.float64],
        std: NDArray[np.float64],
        centres: NDArray[np.float32],
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> None:
        super().__init__()
        self.bands = Standardise(mean.reshape(-1).tolist(), std.reshape(-1).tolist())
        self.register_buffer("centres", torch.as_tensor(centres))
        self.weight, self.bias = nn.Parameter(torch.as_tensor(weight)), nn.Parameter(torch.as_tensor(bias))

    def forward(self, series: Tensor) -> Tensor:
        """(B, classes) logits of (B, steps, bands)."""
        flat = self.bands(series.flatten(1))
        # |x - c|² by one product of matrices, which takes a tenth of the memory of all differences
        apart = (flat**2).sum(1, keepdim=True) + (self.centres**2).sum(1) - 2 * flat @ self.centres.T
        logits: Tensor = torch.exp(-apart.clamp(min=0) / self.centres.shape[1]) @ self.weight + self.bias
        return logits


def fit_kernel(pixels: PixelSeries, seed: int, most: int = CENTRES) -> KernelLogistic:
    """Fit to pixels with the plain loss and a ridge.

    Args:
        pixels: without gaps, of two classes or more.
        seed: of the choice of centres.
        most: centres; where there are more pixels, each class gives its share.
    """
    wanted = np.ceil(pixels.counts() * min(1.0, most / len(pixels))).astype(np.int64)
    centres = stratified(pixels.label, wanted, seed)
    mean, std = pixels.values.mean(0, dtype=np.float64), pixels.values.std(0, dtype=np.float64)
    std = np.where(std > 0, std, 1.0)
    flat = ((pixels.values - mean) / std).reshape(len(pixels), -1)
    # basis of all centres: the ridge is then the norm of the function itself
    mapped = Nystroem(gamma=1 / flat.shape[1], n_components=len(centres), random_state=seed).fit(flat[centres])
    found = LogisticRegression(C=_SMOOTHNESS, max_iter=1000).fit(mapped.transform(flat), pixels.label)
    weight = mapped.normalization_.T @ found.coef_.T
    here = found.classes_
    if len(here) == 2:  # then there is one logit, of the second against the first
        weight, bias = np.concatenate([0 * weight, weight], 1), np.array([0.0, found.intercept_[0]])
    else:
        bias = found.intercept_
    by_class = np.zeros((len(weight), pixels.classes))
    by_class[:, here] = weight
    of_none = np.full(pixels.classes, _ABSENT)
    of_none[here] = bias
    return KernelLogistic(mean, std, *(part.astype(np.float32) for part in (mapped.components_, by_class, of_none)))
