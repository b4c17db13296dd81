"""One model on one table: searched, fitted and tested on each year in turn, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.yields.candidates import Candidate, Parameters
from models.yields.conformal import half_width
from models.yields.samples import samples_of
from models.yields.search import tune_each, untuned
from models.yields.splits import Split
from models.yields.table import FloatArray, TableError, YieldTable


@dataclass(frozen=True, eq=False)
class Outcome:
    """Predictions of rows that nothing was fitted to.

    Attributes:
        predicted: (n,) kg/ha; NaN where a row was in no test.
        half_widths: (n,) of their 90 % intervals, kg/ha.
        parameters: that the search chose, for each split.
    """

    predicted: FloatArray
    half_widths: FloatArray
    parameters: Mapping[str, Parameters]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "predicted": self.predicted.tolist(),
            "half_widths": self.half_widths.tolist(),
            "parameters": {name: dict(values) for name, values in self.parameters.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """What :meth:`as_dict` gave."""
        return cls(np.array(values["predicted"]), np.array(values["half_widths"]), values["parameters"])


def run_on_splits(
    candidate: Candidate,
    table: YieldTable,
    splits: Iterable[Split],
    trials: int,
    seed: int = 0,
    chosen: Mapping[str, Parameters] | None = None,
    *,
    intervals: bool = True,
) -> Outcome:
    """Search on the training rows of each split, fit to them, predict its test rows.

    The interval of a test row comes from the errors of training years that were left out of the fit in turn.

    Args:
        candidate: the model.
        table: all rows.
        splits: which are tested on; a row is in the test of one at most.
        trials: of each search.
        seed: of searches and fits.
        chosen: settings for each split by its name, instead of a search.
        intervals: whether to leave out each training year once more for them where no search has done so.

    Raises:
        TableError: a row is in two tests.
    """
    rows = samples_of(table)
    predicted, half_widths = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    parameters: dict[str, Parameters] = {}
    splits = list(splits)
    tested = np.concatenate([split.test for split in splits])
    if len(np.unique(tested)) < len(tested):
        raise TableError("a row of one test is in another test too; give splits that share none")
    trainings = [rows.take(split.train) for split in splits]
    searched = tune_each(candidate, trainings, trials, seed) if chosen is None else []
    for number, (split, train) in enumerate(zip(splits, trainings, strict=True)):
        if chosen is not None:
            parameters[split.name] = chosen[split.name]
        if chosen is None or intervals:
            found = searched[number] if chosen is None else untuned(candidate, train, chosen[split.name], seed)
            parameters[split.name] = found.parameters
            half_widths[split.test] = half_width(found.left_out - train.yields, train.year)
        predict = candidate.fit_members(train, parameters[split.name], seed)
        predicted[split.test] = predict(rows.take(split.test))
    return Outcome(predicted, half_widths, parameters)
