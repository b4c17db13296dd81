"""How good crop maps are, and whether one is better than another, by resamples of whole blocks and of seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.crops.series import IntArray
from models.maps.accuracy import scores
from models.maps.resampling import Interval, Matrix, limits, resampled

Figure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_RESAMPLES = 1000
_LEVEL = 0.95


def overall(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overall accuracy of matrices (..., k, k)."""
    return scores(matrix)["overall"]


def kappa(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa of matrices (..., k, k)."""
    return scores(matrix)["kappa"]


def mean_f1(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean F1 of the classes that are there or mapped."""
    return np.asarray(np.nanmean(scores(matrix)["f1"], -1))


def worst_f1(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of the class that comes off worst."""
    return np.asarray(np.nanmin(scores(matrix)["f1"], -1))


def f1_of(index: int) -> Figure:
    """F1 of one class, as a figure of its own."""
    return lambda matrix: scores(matrix)["f1"][..., index]


@dataclass(frozen=True, eq=False)
class Judged:
    """What trainings with several seeds said of the same pixels.

    Attributes:
        reference: (n,) classes that are there.
        mapped: (seeds, n) classes that each training says; -1 where that training was not tested.
        blocks: (n,) the spatial block of each pixel.
        classes: how many there are.
    """

    reference: IntArray
    mapped: IntArray
    blocks: IntArray
    classes: int

    def matrices(self) -> Matrix:
        """(seeds, blocks, k, k) error matrices, map in rows."""
        _, block = np.unique(self.blocks, return_inverse=True)
        made = np.zeros((len(self.mapped), int(block.max()) + 1, self.classes, self.classes), np.int64)
        for seed, mapped in enumerate(self.mapped):
            tested = mapped >= 0
            np.add.at(made[seed], (block[tested], mapped[tested], self.reference[tested]), 1)
        return made


def with_interval(judged: Judged, figure: Figure, *, resamples: int = _RESAMPLES, seed: int = 0) -> Interval:
    """A figure, the mean over trainings, with its interval of 95 %.

    Each resample draws blocks with replacement, and as many trainings with replacement as there are.

    Args:
        judged: what trainings said.
        figure: of error matrices (..., k, k).
        resamples: how many.
        seed: of the draws.
    """
    value, drawn = _figures(judged, figure, resamples, seed)
    return Interval(value, *limits(drawn, _LEVEL))


def paired_difference(
    ours: Judged, theirs: Judged, figure: Figure, *, resamples: int = _RESAMPLES, seed: int = 0
) -> Interval:
    """A figure of ours less that of theirs on the same resamples of blocks and seeds, with its interval of 95 %.

    Trainings are paired by their place: the same seed drew the same samples for both. Where one side was trained
    once, its training is held against each of the other's.

    Args:
        ours: one side.
        theirs: the other, of the same pixels.
        figure: of error matrices.
        resamples: how many.
        seed: of the draws; both sides draw the same.
    """
    trainings = max(len(ours.mapped), len(theirs.mapped))
    of_ours = _figures(_repeated(ours, trainings), figure, resamples, seed)
    of_theirs = _figures(_repeated(theirs, trainings), figure, resamples, seed)
    return Interval(of_ours[0] - of_theirs[0], *limits(of_ours[1] - of_theirs[1], _LEVEL))


def _repeated(judged: Judged, trainings: int) -> Judged:
    if len(judged.mapped) == 1:
        return Judged(judged.reference, np.repeat(judged.mapped, trainings, 0), judged.blocks, judged.classes)
    return judged


def _figures(judged: Judged, figure: Figure, resamples: int, seed: int) -> tuple[float, NDArray[np.float64]]:
    matrices = judged.matrices()
    by_block = np.moveaxis(matrices, 1, 0)  # (blocks, seeds, k, k)
    of_seeds = figure(resampled(by_block, resamples, seed).astype(np.float64))  # (resamples, seeds)
    number = len(judged.mapped)
    times = np.random.default_rng((seed, 1)).multinomial(number, np.full(number, 1 / number), size=resamples)
    drawn = (of_seeds * times).sum(1) / number
    return float(figure(matrices.sum(1).astype(np.float64)).mean()), drawn
