"""APYieldNet trained as the paper has it: rows are added first, and near-copies of what is fitted to say when to stop.

Here to compare. The rows of a test year are outside in either protocol.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from optuna import Trial

from models.yields.apyieldnet import APYieldNet, NetworkSettings
from models.yields.augmentation import AugmentationSettings, augmented_parts
from models.yields.candidates import Candidate, Parameters
from models.yields.encoding import Encoding
from models.yields.linear import Predictor
from models.yields.samples import Samples, together
from models.yields.table import YieldTable
from models.yields.training import PAPER, TrainingSettings, train_network

_SHARE = 0.2  # of the rows, to validate on
_DEFAULT: Parameters = {"width": 32, "dropout": 0.1, "learning_rate": PAPER.learning_rate}


def apyieldnet_by_paper(
    table: YieldTable,
    members: int,
    name: str,
    augmentation: AugmentationSettings,
    training: TrainingSettings = PAPER,
) -> Candidate:
    """The paper's network under the paper's protocol.

    Args:
        table: its features and months.
        members: networks in the end.
        name: as tables show it.
        augmentation: how rows are added.
        training: the paper's unless told otherwise.
    """
    graph = NetworkSettings(group_sizes=table.group_sizes, steps=len(table.months))

    def fit(rows: Samples, parameters: Parameters, seed: int) -> Predictor:
        random = np.random.default_rng(seed)
        fitted, validation = augmented_parts(rows, _SHARE, augmentation, random, "paper")
        # a county that chance has put into the validation alone would not be known
        stray = ~np.isin(validation.county, fitted.county)
        fitted, validation = together([fitted, validation.take(stray)]), validation.take(~stray)
        build = partial(_network, graph, parameters)
        settings = replace(training, learning_rate=parameters["learning_rate"])
        return train_network(build, fitted, settings, seed, validation)

    return Candidate(name, _suggest, _DEFAULT, fit, members=members)


def _suggest(trial: Trial) -> dict[str, Any]:
    return {
        "width": trial.suggest_categorical("width", [16, 32]),
        "dropout": trial.suggest_float("dropout", 0, 0.5),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
    }


def _network(graph: NetworkSettings, parameters: Parameters, encoding: Encoding) -> APYieldNet:
    own = {"width": parameters["width"], "dropout": parameters["dropout"], "counties": len(encoding.counties)}
    return APYieldNet(replace(graph, **own), encoding.scales)
