"""Everything that maps yields from the same labels, each with the settings a search may try."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Trial

from models.yields.candidates import Parameters
from models.yields.pixels.folds import by_field
from models.yields.pixels.losses import LossSettings
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.predicting import predict
from models.yields.pixels.scenes import OVERLAP, Scene
from models.yields.pixels.settings_search import best_settings
from models.yields.pixels.shares import SHARE_FOLDS, settle_share, with_share
from models.yields.pixels.training import Trained, TrainingSettings, train

FloatArray = NDArray[np.float64]
# (H, W) yields of a scene in the unit of the points; crops that the scene knows may be used, yields may not
Mapper = Callable[[Scene], FloatArray]


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison.

    Attributes:
        name: as tables show it.
        suggest: settings of a trial.
        default: settings that are tried first.
        fit: makes a mapper from tiles, settings and a seed.
        members: fits whose mean maps in the end; each trial makes one.
        settle: settings that follow from the best ones and from fields left out; from tiles, settings and a seed.
    """

    name: str
    suggest: Callable[[Trial], Parameters]
    default: Parameters
    fit: Callable[[Sequence[Scene], Parameters, int], Mapper]
    members: int = 1
    settle: Callable[[Sequence[Scene], Parameters, int], Parameters] | None = None

    def fit_members(self, tiles: Sequence[Scene], parameters: Parameters, seed: int) -> Mapper:
        """The mean of as many fits as the model has members."""
        mappers = [self.fit(tiles, parameters, seed + member) for member in range(self.members)]
        return lambda scene: np.asarray(np.mean([mapper(scene) for mapper in mappers], axis=0))


def tune(candidate: Candidate, tiles: Sequence[Scene], trials: int, folds: int, seed: int) -> Parameters:
    """Search a model's settings on training tiles, judged on whole fields of them that are left out in turn.

    Args:
        candidate: the model.
        tiles: that may be fitted to.
        trials: settings to try; the model's default is the first.
        folds: of the fields.
        seed: of the search, the folds and the fits.

    Raises:
        DivergedError: no trial trained.
    """
    best = candidate.default if trials < 2 else _searched(candidate, tiles, trials, folds, seed)
    return best if candidate.settle is None else candidate.settle(tiles, best, seed)


def _searched(candidate: Candidate, tiles: Sequence[Scene], trials: int, folds: int, seed: int) -> Parameters:

    def judged(parameters: Parameters) -> Iterator[float]:
        squares: list[FloatArray] = []
        for fold in by_field(tiles, folds, seed):
            mapper = candidate.fit(fold.train, parameters, seed)
            for tile in fold.test:
                if len(tile.points):
                    said = mapper(tile)[tile.points.row, tile.points.column]
                    squares.append((said - tile.points.yields) ** 2)
            yield float(np.sqrt(np.concatenate(squares).mean()))

    return best_settings(candidate.name, candidate.suggest, candidate.default, judged, trials, seed).parameters


def network_candidate(
    name: str, crops: Sequence[str], network: NetworkSettings, training: TrainingSettings, members: int
) -> Candidate:
    """A network whose search is over the course of the training and the size of the small encoder.

    Of one that begins at a straight line, as much is taken as fields left out bear out.

    Args:
        name: as tables show it.
        crops: names by index.
        network: its form.
        training: what the search leaves as it is.
        members: networks in the end.
    """
    return Candidate(
        name,
        _suggested,
        {"epochs": training.epochs, "learning_rate": training.learning_rate, "width": network.width},
        partial(_fit, tuple(crops), network, training),
        members,
        partial(_settled, tuple(crops), network, training) if network.straight else None,
    )


def _suggested(trial: Trial) -> Parameters:
    return {
        "epochs": trial.suggest_int("epochs", 4, 24),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 6e-3, log=True),
        "width": trial.suggest_categorical("width", [8, 16]),
    }


def _trained(
    crops: tuple[str, ...],
    network: NetworkSettings,
    training: TrainingSettings,
    tiles: Sequence[Scene],
    parameters: Parameters,
    seed: int,
) -> Trained:
    own: dict[str, Any] = dict(parameters)
    form = replace(network, width=own.pop("width"))
    return train(tiles, crops, form, replace(training, **own), seed)


def _fit(
    crops: tuple[str, ...],
    network: NetworkSettings,
    training: TrainingSettings,
    tiles: Sequence[Scene],
    parameters: Parameters,
    seed: int,
) -> Mapper:
    own: dict[str, Any] = dict(parameters)
    share = own.pop("share", None)
    trained = _trained(crops, network, training, tiles, own, seed)
    if share is not None:
        trained = with_share(trained, share)

    def mapped(scene: Scene) -> FloatArray:
        side = max(scene.shape)
        return predict([trained], scene, side=side, overlap=OVERLAP, known=scene.crops).yields

    return mapped


def _settled(
    crops: tuple[str, ...],
    network: NetworkSettings,
    training: TrainingSettings,
    tiles: Sequence[Scene],
    parameters: Parameters,
    seed: int,
) -> Parameters:
    def fit(parts: Sequence[Scene], _fold: str) -> Trained:
        return _trained(crops, network, training, parts, parameters, seed)

    return {**parameters, "share": settle_share(tiles, fit, SHARE_FOLDS, seed)}


# what the small network is trained with where nothing else is said: yields count for more than the paper lets them,
# since a season's fields are of few crops that are easily told apart
SMALL_TRAINING = TrainingSettings(
    epochs=10,
    batch=8,
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=0.05,
    warm_up=10,
    loss=LossSettings(yields=50.0),
)
