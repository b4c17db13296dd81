"""One search for every model: the same number of trials, judged on each training year when it is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import optuna
from optuna import Trial

from models.yields.candidates import Candidate, Parameters
from models.yields.samples import Samples
from models.yields.table import FloatArray, TableError
from models.yields.training import DivergedError

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STARTUP = 4  # trials drawn at random before the search learns from them


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

    A trial whose first years are worse than most is given up.

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
    said: dict[int, FloatArray] = {}

    def judged(parameters: Parameters) -> Iterator[float]:
        for predicted in _year_by_year(candidate, rows, parameters, seed):
            said[id(parameters)] = predicted
            yield _weighted_rmse(rows, predicted)

    found = best_settings(candidate.name, candidate.suggest, candidate.default, judged, trials, seed)
    return Tuned(found.parameters, said[id(found.parameters)], found.score, found.trials)


@dataclass(frozen=True, eq=False)
class Found:
    """The best of a search.

    Attributes:
        parameters: settings, the very object that was judged.
        score: what it was judged by in the end, lower is better.
        trials: that were run.
    """

    parameters: Parameters
    score: float
    trials: int


def best_settings(
    name: str,
    suggest: Callable[[Trial], Parameters],
    default: Parameters,
    judged: Callable[[Parameters], Iterator[float]],
    trials: int,
    seed: int,
) -> Found:
    """Search settings; a trial whose first parts are worse than most is given up.

    Args:
        name: of the model, for messages.
        suggest: settings of a trial.
        default: settings that are tried first.
        judged: scores of settings over one part of the data, two, and so on; the last one counts. Lower is better.
        trials: how many to try.
        seed: of the search.

    Raises:
        DivergedError: no trial trained.
    """
    found: dict[int, Parameters] = {}

    def objective(trial: Trial) -> float:
        parameters = suggest(trial)
        score = math.inf
        for step, score in enumerate(judged(parameters)):
            trial.report(score, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        found[trial.number] = parameters
        return score

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=0),
    )
    study.enqueue_trial(dict(default))
    study.optimize(objective, n_trials=trials, catch=(DivergedError,))
    if not found:
        raise DivergedError(f"none of {trials} trials of {name} trained; look at the features' scales")
    return Found(found[study.best_trial.number], study.best_value, len(study.trials))


def untuned(candidate: Candidate, rows: Samples, parameters: Parameters, seed: int) -> Tuned:
    """What settings that are given lead to.

    Raises:
        TableError: rows of one year only.
    """
    *_, left_out = _year_by_year(candidate, rows, parameters, seed)
    return Tuned(parameters, left_out, _weighted_rmse(rows, left_out), 1)


def _year_by_year(candidate: Candidate, rows: Samples, parameters: Parameters, seed: int) -> Iterator[FloatArray]:
    """Predictions of each row by a fit without its year; of a first year, of two, and so on; the others NaN."""
    if len(rows.years) < 2:
        raise TableError(f"all rows are of {rows.years[0]}; settings are judged by a second year, which is not there")
    predicted = np.full(len(rows), np.nan)
    for year in rows.years:
        held_out = rows.year == year
        predict = candidate.fit(rows.take(~held_out), parameters, seed)
        predicted[held_out] = predict(rows.take(held_out))
        yield predicted


def _weighted_rmse(rows: Samples, predicted: FloatArray) -> float:
    """Of the rows that have been predicted."""
    known = np.isfinite(predicted)
    squared = (predicted[known] - rows.yields[known]) ** 2
    return float(np.sqrt(np.average(squared, weights=rows.weight[known])))
