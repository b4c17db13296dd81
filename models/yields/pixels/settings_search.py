"""A search of settings that learns from its trials and gives up those that begin badly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import optuna
from optuna import Trial

from models.yields.candidates import Parameters
from models.yields.training import DivergedError

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STARTUP = 4  # trials drawn at random before the search learns from them


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
