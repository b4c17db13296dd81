"""Mode-specific normalisation of one column (Xu et al., NeurIPS 2019): a mixture, and each value's place in a part."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from models.yields.table import FloatArray

_MODES = 10
_LEAST_WEIGHT = 0.005
_CONCENTRATION = 1e-3
_LIMIT = 0.99
_WIDTH = 4.0  # standard deviations of a part that the unit interval stands for


class ModeNormaliser:
    """One column as a part of a mixture and a place within it.

    Args:
        means: (K,) of the parts.
        stds: (K,) of the parts, above 0.
        weights: (K,) of the parts.
    """

    def __init__(self, means: FloatArray, stds: FloatArray, weights: FloatArray) -> None:
        self.means, self.stds, self.weights = means, stds, weights / weights.sum()

    @property
    def modes(self) -> int:
        """Number K of parts."""
        return len(self.means)

    @classmethod
    def fit(cls, values: FloatArray, seed: int) -> ModeNormaliser:
        """A mixture of at most ten normal distributions; light ones are dropped."""
        centre, scale = float(values.mean()), float(values.std())
        if scale == 0:
            return cls(np.array([centre]), np.array([max(1e-9, 1e-6 * abs(centre))]), np.ones(1))
        mixture = BayesianGaussianMixture(
            n_components=min(_MODES, len(values)),
            covariance_type="diag",  # of one column the same as a full one, and three times as quick
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=_CONCENTRATION,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred steps place the parts well enough
            mixture.fit((values[:, None] - centre) / scale)
        kept = mixture.weights_ > _LEAST_WEIGHT
        stds = np.sqrt(mixture.covariances_[kept, 0])
        return cls(centre + scale * mixture.means_[kept, 0], scale * stds, mixture.weights_[kept])

    def encode(self, values: FloatArray, random: np.random.Generator) -> tuple[FloatArray, NDArray[np.intp]]:
        """(n,) place within a part, in −0.99 … 0.99, and (n,) the part, drawn by how well it explains the value."""
        distance = (values[:, None] - self.means) / self.stds
        score = np.log(self.weights) - np.log(self.stds) - distance**2 / 2
        gumbel = -np.log(-np.log(random.uniform(1e-12, 1 - 1e-12, score.shape)))
        part = (score + gumbel).argmax(axis=1)
        place = (values - self.means[part]) / (_WIDTH * self.stds[part])
        return place.clip(-_LIMIT, _LIMIT), part

    def decode(self, place: FloatArray, part: NDArray[np.intp]) -> FloatArray:
        """(n,) the values at these places of these parts."""
        values: FloatArray = self.means[part] + _WIDTH * self.stds[part] * place.clip(-_LIMIT, _LIMIT)
        return values
