"""What ``pomona train apyieldnet`` does: compare models on years left out, choose one, fit it to all years, save it.

What is done is kept in the output folder, a file for each model and year left out, so that a run that was stopped goes
on where it was.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.code_commit import code_commit
from models.progress import Told
from models.yields.augmentation import Protocol
from models.yields.candidates import Candidate, Parameters
from models.yields.comparison import Outcome, run_on_splits
from models.yields.conformal import coverage, half_width
from models.yields.fitted import FittedModel, FittedSeason, fit_season, fitted_model, save_fitted
from models.yields.graphs import NoGraphError, graph_of
from models.yields.lineup import MODELS, Added, lineup
from models.yields.samples import samples_of
from models.yields.scores import mae, mape, r_squared
from models.yields.search import Tuned, tune, untuned
from models.yields.splits import leave_year_out
from models.yields.table import TableError, YieldTable
from models.yields.table_file import read_table

RUN, RESULTS = "run.json", "results.json"
_LEFT_OUT = "left-out"
_LEAST_YEARS, _LEAST_COUNTIES = 3, 2
_SHORTEST = 3  # months of the shortest season that a model is made for


class RunError(ValueError):
    """A training run that cannot be begun or gone on with; names the remedy."""

    exit_code = 2


@dataclass(frozen=True)
class YieldTraining:
    """Everything that decides a run.

    Attributes:
        table: file of the yield table.
        output: folder for what is done and what comes of it.
        model: name in :data:`models.yields.lineup.MODELS`, or "auto" for the lowest error on years left out.
        compare: names of the models to compare.
        trials: settings that each search tries, the same number for every model.
        members: networks whose mean is a network's prediction.
        added: rows that APYieldNet is fitted to besides.
        protocol: see :func:`models.yields.lineup.lineup`.
        in_season: whether to fit models for seasons that have only begun, too.
        hold_out: years that nothing is learned from, so that models can be judged on them later.
        licence: SPDX, of the weights.
        attribution: whom the licences of the data ask to name.
        seed: of everything.
        jobs: processes.
        commit: the code that trains.
    """

    table: Path
    output: Path
    model: str = "auto"
    compare: tuple[str, ...] = tuple(MODELS)
    trials: int = 8
    members: int = 3
    added: Added = "off"
    protocol: Protocol = "strict"
    in_season: bool = False
    hold_out: tuple[int, ...] = ()
    licence: str = "AGPL-3.0-or-later"
    attribution: tuple[str, ...] = ()
    seed: int = 0
    jobs: int = 1
    commit: str = field(default_factory=code_commit)


@dataclass(frozen=True, eq=False)
class YieldRun:
    """What came of a run.

    Attributes:
        table: the rows with a yield.
        outcomes: of every model compared, by its name.
        rmse: likewise, kg/ha, weighted as the rows are.
        chosen: name of the model that was fitted to all years.
        passed_over: models with a lower error that no device can run.
        in_season: by last month of a season that has only begun, what the chosen model says then.
        fitted: the model.
    """

    table: YieldTable
    outcomes: Mapping[str, Outcome]
    rmse: Mapping[str, float]
    chosen: str
    passed_over: tuple[str, ...]
    in_season: Mapping[int, Outcome]
    fitted: FittedModel


def rows_to_train_on(path: Path, hold_out: Collection[int] = ()) -> YieldTable:
    """The rows of a table that have a yield, without those of some years.

    Raises:
        TableError: there is none, it is no yield table, has too few years or counties, or none of a year to hold out.
    """
    table = read_table(path)
    if absent := sorted(set(hold_out) - set(table.years)):
        raise TableError(f"{path} has no year {_list(absent)} to hold out; its years are {_list(table.years)}")
    known = np.isfinite(table.yield_kg_per_ha) & ~np.isin(table.year, sorted(hold_out))
    if not known.any():
        raise TableError(f"{path}: no row to learn from has a yield; fill column yield_kg_per_ha")
    table = table.take(known)
    if len(table.years) < _LEAST_YEARS:
        raise TableError(
            f"{path} has yields of {_list(table.years)} to learn from; a model is judged on a year it has not seen, "
            f"with settings judged on another, so give {_LEAST_YEARS} years or more"
        )
    if len(table.counties) < _LEAST_COUNTIES:
        raise TableError(f"{path} has yields of {table.counties[0]} alone; give {_LEAST_COUNTIES} counties or more")
    return table


def train_yields(training: YieldTraining, told: Told) -> YieldRun:
    """Compare, choose, fit and save; what an earlier run in the folder has done is taken over.

    Args:
        training: see there.
        told: called with the step, how many are done, and how many there are.

    Raises:
        TableError: there is no table, or it cannot be used.
        RunError: the folder holds another run, or a model is not known or cannot run on a device.
    """
    table = rows_to_train_on(training.table, training.hold_out)
    names = _names(training)
    _begin(training)
    splits = [split.name for split in leave_year_out(table)]
    _work(training, [_Step(name, None, split) for name in names for split in splits], told)
    outcomes = {name: _outcome(training, table, name) for name in names}
    rmse = {name: _rmse(table, outcome) for name, outcome in outcomes.items()}
    chosen, passed_over = _choose(training, table, rmse)
    months = early_months(table) if training.in_season else ()
    _work(training, [_Step(chosen, month, split) for month in months for split in splits], told)
    in_season = {month: _outcome(training, table, chosen, month) for month in months}
    told(f"fitting {MODELS[chosen]} to all years", 0, 1)
    fitted = _fit(training, table, chosen, outcomes[chosen], in_season)
    save_fitted(training.output, fitted)
    run = YieldRun(table, outcomes, rmse, chosen, passed_over, in_season, fitted)
    _write(training.output / RESULTS, _results(run))
    told("done", 1, 1)
    return run


def early_months(table: YieldTable) -> tuple[int, ...]:
    """Last months of seasons that have only begun, for which a model can be made."""
    return table.months[_SHORTEST - 1 : -1]


def figures(table: YieldTable, outcome: Outcome) -> dict[str, float]:
    """Figures of a model on years left out, by name."""
    yields, predicted = table.yield_kg_per_ha, outcome.predicted
    return {
        "rmse_kg_per_ha": _rmse(table, outcome),
        "mae_kg_per_ha": float(mae(yields, predicted)),
        "mape_percent": float(mape(yields, predicted)),
        "r_squared": float(r_squared(yields, predicted)),
        "inside_90_percent_interval": coverage(yields, predicted, outcome.half_widths),
    }


@dataclass(frozen=True)
class _Step:
    """One model on one year left out; of a season that has only begun where a month is given."""

    model: str
    month: int | None
    split: str

    def file(self, output: Path) -> Path:
        season = "" if self.month is None else f"-until-{self.month:02d}"
        return output / _LEFT_OUT / f"{self.model}{season}" / f"{self.split}.json"


def _names(training: YieldTraining) -> list[str]:
    asked = {*training.compare} | ({training.model} - {"auto"})
    if unknown := sorted(asked - MODELS.keys()):
        raise RunError(f"there is no model {unknown[0]!r}; the models are {', '.join(MODELS)}")
    return [name for name in MODELS if name in asked]


def _begin(training: YieldTraining) -> None:
    """Make the folder, or see that what was begun there is this run."""
    deciding = ("trials", "members", "added", "protocol", "hold_out", "seed")
    wanted: dict[str, Any] = {name: getattr(training, name) for name in deciding}
    wanted["hold_out"] = sorted(training.hold_out)
    wanted["table_sha256"] = hashlib.sha256(training.table.read_bytes()).hexdigest()
    file = training.output / RUN
    if file.is_file():
        begun = json.loads(file.read_text(encoding="utf-8"))
        if differ := [name for name in wanted if begun.get(name) != wanted[name]]:
            raise RunError(
                f"{training.output} holds a run with another {_list(differ)}; go on with that, or choose another "
                "output folder"
            )
        return
    training.output.mkdir(parents=True, exist_ok=True)
    _write(file, wanted)


def _work(training: YieldTraining, steps: list[_Step], told: Told) -> None:
    """Do what is not done yet."""
    todo = [step for step in steps if not step.file(training.output).is_file()]
    done = len(steps) - len(todo)

    def say(step: _Step) -> None:
        told(f"{MODELS[step.model]} without {step.split}", done, len(steps))

    if training.jobs == 1:
        for step in todo:
            _do(training, step)
            done += 1
            say(step)
        return
    context = multiprocessing.get_context("spawn")  # a forked process may hang on torch's threads
    with ProcessPoolExecutor(training.jobs, mp_context=context) as pool:
        running = {pool.submit(_do, training, step): step for step in todo}
        try:
            for finished in as_completed(running):
                finished.result()
                done += 1
                say(running[finished])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _do(training: YieldTraining, step: _Step) -> None:
    torch.set_num_threads(1)
    table = _table(training.table, training.hold_out)
    if step.month is not None:
        table = table.months_until(step.month)
    candidate = _candidates(training, table)[step.model]
    split = next(split for split in leave_year_out(table) if split.name == step.split)
    # a season that has only begun takes the settings of the whole one: they were chosen without this year
    chosen = None if step.month is None else _read(replace(step, month=None).file(training.output)).parameters
    outcome = run_on_splits(candidate, table, [split], training.trials, training.seed, chosen)
    file = step.file(training.output)
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, outcome.as_dict())


@lru_cache(maxsize=1)
def _table(path: Path, hold_out: tuple[int, ...]) -> YieldTable:
    return rows_to_train_on(path, hold_out)


def _candidates(training: YieldTraining, table: YieldTable) -> dict[str, Candidate]:
    return lineup(table, training.members, training.added, training.protocol)


def _outcome(training: YieldTraining, table: YieldTable, model: str, month: int | None = None) -> Outcome:
    """What the files of all years left out say together."""
    predicted, half_widths = np.full(len(table), np.nan), np.full(len(table), np.nan)
    parameters: dict[str, Parameters] = {}
    for split in leave_year_out(table):
        part = _read(_Step(model, month, split.name).file(training.output))
        predicted[split.test], half_widths[split.test] = part.predicted[split.test], part.half_widths[split.test]
        parameters |= part.parameters
    return Outcome(predicted, half_widths, parameters)


def _choose(training: YieldTraining, table: YieldTable, rmse: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
    """The model to ship, and those that were better but cannot run on a device."""
    candidates = _candidates(training, table)
    passed_over: list[str] = []
    for name in [training.model] if training.model != "auto" else sorted(rmse, key=lambda model: rmse[model]):
        if _runs_on_devices(candidates[name], table):
            return name, tuple(passed_over)
        passed_over.append(name)
    raise RunError(
        f"{_list(passed_over)} cannot run on a device; compare or name another model too, such as county-effects"
    )


def _runs_on_devices(candidate: Candidate, table: YieldTable) -> bool:
    if candidate.members > 1:  # networks do, and to train one takes long
        return True
    try:
        graph_of(candidate.fit(samples_of(table), candidate.default, 0))
    except NoGraphError:
        return False
    return True


def _fit(
    training: YieldTraining, table: YieldTable, name: str, outcome: Outcome, in_season: Mapping[int, Outcome]
) -> FittedModel:
    """The chosen model, its settings searched once more with all years, and the same for seasons that have begun."""
    candidate = _candidates(training, table)[name]
    found = tune(candidate, samples_of(table), training.trials, training.seed)

    def season(until: YieldTable, own: Tuned, judged: Outcome) -> FittedSeason:
        return fit_season(
            _candidates(training, until)[name],
            until,
            own.parameters,
            half_width_kg_per_ha=half_width(own.left_out - until.yield_kg_per_ha, until.year),
            metrics=figures(until, judged),
            seed=training.seed,
        )

    seasons = [season(table, found, outcome)]
    for month, judged in in_season.items():
        until = table.months_until(month)
        own = untuned(_candidates(training, until)[name], samples_of(until), found.parameters, training.seed)
        seasons.append(season(until, own, judged))
    sources = sorted({str(source) for source in table.source})
    return fitted_model(
        table,
        seasons,
        training_data=f"{len(table)} yields of {len(table.counties)} counties, {_spans(table.years)}: {_list(sources)}",
        simulated=sources == ["simulated"],
        licence=training.licence,
        attribution=training.attribution,
        commit=training.commit,
    )


def _rmse(table: YieldTable, outcome: Outcome) -> float:
    return float(np.sqrt(np.average((outcome.predicted - table.yield_kg_per_ha) ** 2, weights=table.weight)))


def _results(run: YieldRun) -> dict[str, Any]:
    return {
        "chosen": run.chosen,
        "passed_over": list(run.passed_over),
        "models": {name: figures(run.table, outcome) for name, outcome in run.outcomes.items()},
        "in_season": {str(month): figures(run.table, outcome) for month, outcome in run.in_season.items()},
        "rows": {
            "county": run.table.county.tolist(),
            "orchard": run.table.orchard.tolist(),
            "year": run.table.year.tolist(),
            "yield_kg_per_ha": run.table.yield_kg_per_ha.tolist(),
            "predicted_kg_per_ha": {name: outcome.predicted.tolist() for name, outcome in run.outcomes.items()},
        },
    }


def _read(file: Path) -> Outcome:
    return Outcome.from_dict(json.loads(file.read_text(encoding="utf-8")))


def _write(file: Path, values: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    partial_file = file.with_suffix(".partial")
    with partial_file.open("w", encoding="utf-8") as out:
        json.dump(values, out, ensure_ascii=False)
        out.flush()
        os.fsync(out.fileno())
    partial_file.replace(file)


def _spans(years: Sequence[int]) -> str:
    """Years in words: 2018 to 2021, 2023."""
    starts = [year for year in years if year - 1 not in years]
    ends = [year for year in years if year + 1 not in years]
    return _list(f"{a} to {b}" if a < b else a for a, b in zip(starts, ends, strict=True))


def _list(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
