"""One search for every model: the same number of trials, judged on each training year when it is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import optuna
from numpy.typing import NDArray

from models.yields.candidates import Candidate, Parameters
from models.yields.linear import Predictor
from models.yields.samples import Samples
from models.yields.table import FloatArray, TableError
from models.yields.training import DivergedError

optuna.logging.set_verbosity(optuna.logging.WARNING)

_FITS = 5  # at most, for one training


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a search found.

    Attributes:
        parameters: the best settings.
        left_out: (n,) predictions of each row by fits without its year, with these settings.
        rmse: of them, weighted, kg/ha.
        trials: that were run.
    """

    parameters: Parameters
    left_out: FloatArray
    rmse: float
    trials: int


def tune(candidate: Candidate, rows: Samples, trials: int, seed: int) -> Tuned:
    """Search a model's settings on rows that may be fitted to; see :func:`tune_each`."""
    return tune_each(candidate, [rows], trials, seed)[0]


def tune_each(candidate: Candidate, trainings: Sequence[Samples], trials: int, seed: int) -> list[Tuned]:
    """Search a model's settings for several trainings, each by its own rows alone.

    The settings that are tried are drawn at random, the same for each training. So what several of them have to fit,
    such as two that lack one year each when the other's is left out, is fitted once and together with all else.

    Args:
        candidate: the model.
        trainings: rows that may be fitted to, of two years at least.
        trials: settings to try; the model's default is the first.
        seed: of the search and the fits.

    Raises:
        TableError: rows of one year only.
        DivergedError: no trial of a network trained.
    """
    if not candidate.tunable:
        return _untuned_each(candidate, trainings, candidate.default, seed)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study.enqueue_trial(dict(candidate.default))
    best: list[Tuned] = []
    for _ in range(trials):
        try:
            tried = _untuned_each(candidate, trainings, candidate.suggest(study.ask()), seed)
        except DivergedError:
            continue
        best = [min(pair, key=lambda one: one.rmse) for pair in zip(best or tried, tried, strict=True)]
    if not best:
        raise DivergedError(f"none of {trials} trials of {candidate.name} trained; look at the features' scales")
    return [replace(one, trials=trials) for one in best]


def untuned(candidate: Candidate, rows: Samples, parameters: Parameters, seed: int) -> Tuned:
    """What settings that are given lead to.

    Raises:
        TableError: rows of one year only.
    """
    return _untuned_each(candidate, [rows], parameters, seed)[0]


def _untuned_each(candidate: Candidate, trainings: Sequence[Samples], parameters: Parameters, seed: int) -> list[Tuned]:
    parts: dict[bytes, Samples] = {}
    plans: list[tuple[Samples, NDArray[np.intp], list[bytes]]] = []
    for rows in trainings:
        if len(rows.years) < 2:
            raise TableError(
                f"all rows are of {rows.years[0]}; settings are judged by a second year, which is not there"
            )
        # of many years every fifth go together: each fit leaves out one such group
        fit_of = np.searchsorted(rows.years, rows.year) % _FITS
        left = [rows.take(fit_of != number) for number in range(int(fit_of.max()) + 1)]
        plans.append((rows, fit_of, [_key(part) for part in left]))
        parts |= dict(zip(plans[-1][2], left, strict=True))
    found = dict(zip(parts, candidate.fit_each(list(parts.values()), parameters, [seed] * len(parts)), strict=True))
    return [_judged(candidate, rows, fit_of, [found[key] for key in keys], parameters) for rows, fit_of, keys in plans]


def _judged(
    candidate: Candidate, rows: Samples, fit_of: NDArray[np.intp], fits: Sequence[Predictor], parameters: Parameters
) -> Tuned:
    """What fits that each lack some years say of those."""
    if candidate.settle is not None:
        settled, left_out = candidate.settle(rows, fit_of, fits)
        return Tuned({**parameters, **settled}, left_out, _weighted_rmse(rows, left_out), 1)
    left_out = np.empty(len(rows))
    for number, predict in enumerate(fits):
        left_out[fit_of == number] = predict(rows.take(fit_of == number))
    return Tuned(parameters, left_out, _weighted_rmse(rows, left_out), 1)


def _key(rows: Samples) -> bytes:
    """The same for the same rows."""
    digest = hashlib.sha256()
    for field in fields(rows):
        digest.update(np.ascontiguousarray(getattr(rows, field.name)).tobytes())
    return digest.digest()


def _weighted_rmse(rows: Samples, predicted: FloatArray) -> float:
    return float(np.sqrt(np.average((predicted - rows.yields) ** 2, weights=rows.weight)))
