"""Several networks as one, and posteriors moved from the shares of a training set to those of the map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.crops.series import IntArray


class Committee(nn.Module):
    """The logarithm of the mean of the members' probabilities, which softmax turns into that mean again.

    Args:
        members: networks that give logits of the same classes.
        shift: (classes,) added to it, see :func:`towards`; nothing where None.
    """

    shift: Tensor

    def __init__(self, members: Sequence[nn.Module], shift: NDArray[np.float32] | None = None) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("shift", torch.zeros(1) if shift is None else torch.as_tensor(shift))

    def forward(self, series: Tensor) -> Tensor:
        """(B, classes) logits."""
        each = torch.stack([member(series).log_softmax(-1) for member in self.members])
        together: Tensor = each.logsumexp(0) - math.log(len(self.members)) + self.shift
        return together


def towards(shares: NDArray[np.float64], trained_on: IntArray) -> NDArray[np.float32]:
    """What to add to a network's logits so that it decides for a place with other shares of the classes.

    By Bayes' rule a posterior is a likelihood times the share of the class in what was trained on; where only the
    shares differ, their ratio puts it right (Saerens, Latinne, Decaestecker, Neural Computation 14, 2002).

    Args:
        shares: (classes,) of the place, in proportion; 0 for a class that is not there.
        trained_on: (classes,) pixels of the training set, of a loss without class weights.

    Returns:
        (classes,) logarithms of the ratios; -30 for a class that one of both lacks.
    """
    of_place, of_training = shares / shares.sum(), trained_on / trained_on.sum()
    known = (of_place > 0) & (of_training > 0)
    ratio = np.divide(of_place, of_training, out=np.full(len(shares), np.exp(-30.0)), where=known)
    shift: NDArray[np.float32] = np.log(ratio).astype(np.float32)
    return shift
