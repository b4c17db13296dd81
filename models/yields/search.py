"""One search for every model: the same number of trials, judged on each training year when it is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna import Trial

from models.yields.candidates import Candidate, Parameters
from models.yields.samples import Samples
from models.yields.table import FloatArray, TableError
from models.yields.training import DivergedError

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STARTUP = 4  # trials drawn at random before the search learns from them
_FITS = 5


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
    """Search a model's settings on rows that may be fitted to.

    Args:
        candidate: the model.
        rows: of two years at least.
        trials: settings to try; the model's default is the first.
        seed: of the search and the fits.

    Raises:
        TableError: rows of one year only.
        DivergedError: no trial of a network trained.
    """
    if not candidate.tunable:
        return untuned(candidate, rows, candidate.default, seed)
    found: dict[int, Tuned] = {}

    def objective(trial: Trial) -> float:
        parameters = candidate.suggest(trial)
        found[trial.number] = tried = untuned(candidate, rows, parameters, seed)
        return tried.rmse

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP))
    study.enqueue_trial(dict(candidate.default))
    study.optimize(objective, n_trials=trials, catch=(DivergedError,))
    if not found:
        raise DivergedError(f"none of {trials} trials of {candidate.name} trained; look at the features' scales")
    return replace(found[study.best_trial.number], trials=len(study.trials))


def untuned(candidate: Candidate, rows: Samples, parameters: Parameters, seed: int) -> Tuned:
    """What settings that are given lead to.

    Raises:
        TableError: rows of one year only.
    """
    if len(rows.years) < 2:
        raise TableError(f"all rows are of {rows.years[0]}; settings are judged by a second year, which is not there")
    # with many years some go together, every fifth: each fit leaves out one such group
    fit_of = np.searchsorted(rows.years, rows.year) % _FITS
    numbers = range(int(fit_of.max()) + 1)
    fits = candidate.fit_each([rows.take(fit_of != number) for number in numbers], parameters, [seed] * len(numbers))
    if candidate.settle is not None:
        settled, left_out = candidate.settle(rows, fit_of, fits)
        return Tuned({**parameters, **settled}, left_out, _weighted_rmse(rows, left_out), 1)
    left_out = np.empty(len(rows))
    for number, predict in zip(numbers, fits, strict=True):
        left_out[fit_of == number] = predict(rows.take(fit_of == number))
    return Tuned(parameters, left_out, _weighted_rmse(rows, left_out), 1)


def _weighted_rmse(rows: Samples, predicted: FloatArray) -> float:
    return float(np.sqrt(np.average((predicted - rows.yields) ** 2, weights=rows.weight)))
