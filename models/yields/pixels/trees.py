"""The paper's classical peers on single pixels: random forest, XGBoost, LightGBM, and ridge regression beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Trial
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from models.maps.errors import MapError
from models.yields.candidates import Parameters
from models.yields.pixels.candidates import Candidate, Mapper
from models.yields.pixels.scales import point_weights
from models.yields.pixels.scenes import UNLABELLED, Scene

FloatArray = NDArray[np.float64]


def tree_candidates(unexplained: float | None = None) -> list[Candidate]:
    """All of them.

    Args:
        unexplained: what a good model leaves, so that errors of points count; None where all count the same.
    """
    fit = partial(_fit, unexplained=unexplained)
    return [
        Candidate(
            "Random forest",
            lambda trial: {
                "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 50, log=True),
                "max_features": trial.suggest_float("max_features", 0.03, 0.5, log=True),
            },
            {"min_samples_leaf": 5, "max_features": 0.15},
            partial(fit, _forest),
        ),
        Candidate(
            "XGBoost",
            lambda trial: _boosting(trial) | {"max_depth": trial.suggest_int("max_depth", 2, 8)},
            {"n_estimators": 150, "learning_rate": 0.05, "colsample_bytree": 0.3, "subsample": 0.7, "max_depth": 4},
            partial(fit, _xgboost),
        ),
        Candidate(
            "LightGBM",
            lambda trial: _boosting(trial) | {"num_leaves": trial.suggest_int("num_leaves", 4, 64, log=True)},
            {"n_estimators": 150, "learning_rate": 0.05, "colsample_bytree": 0.3, "subsample": 0.7, "num_leaves": 15},
            partial(fit, _lightgbm),
        ),
        Candidate(
            "Ridge",
            lambda trial: {"alpha": trial.suggest_float("alpha", 30, 1e5, log=True)},
            {"alpha": 1000.0},
            partial(fit, lambda parameters, _seed: Ridge(**parameters)),
        ),
    ]


def pixel_features(scene: Scene, row: NDArray[np.integer], column: NDArray[np.integer]) -> NDArray[np.float32]:
    """(n, dates·bands + 1) what a scene's pixels are told by: all bands of all dates, and the crop.

    Args:
        scene: all of whose dates other scenes have too.
        row: (n,).
        column: (n,).
    """
    dates, bands = scene.images.shape[:2]
    images = scene.images[:, :, row, column].reshape(dates * bands, len(row)).T
    crop = scene.crops[row, column].astype(np.float32)
    return np.concatenate([images, crop[:, None]], 1, dtype=np.float32)


def _boosting(trial: Trial) -> dict[str, Any]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 400, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.05, 1.0),
        "subsample": trial.suggest_float("subsample", 0.4, 1.0),
    }


def _fit(
    make: Callable[[Parameters, int], Any],
    tiles: Sequence[Scene],
    parameters: Parameters,
    seed: int,
    unexplained: float | None = None,
) -> Mapper:
    shapes = {tile.images.shape[:2] for tile in tiles}
    if len(shapes) != 1:
        raise MapError("trees need the same dates and bands in every tile; choose common dates")
    features = np.concatenate([pixel_features(tile, tile.points.row, tile.points.column) for tile in tiles])
    yields = np.concatenate([tile.points.yields for tile in tiles])
    error = np.concatenate([tile.points.error for tile in tiles])
    weights = np.ones(len(yields)) if unexplained is None else point_weights(error, unexplained)
    scaler = StandardScaler().fit(features)
    model = make(parameters, seed).fit(scaler.transform(features), yields, sample_weight=weights)

    def mapped(scene: Scene) -> FloatArray:
        known = scene.clear.all(0) & (scene.crops != UNLABELLED)
        row, column = np.nonzero(known)
        said = np.full(scene.shape, np.nan)
        if len(row):
            said[row, column] = model.predict(scaler.transform(pixel_features(scene, row, column)))
        return said

    return mapped


def _forest(parameters: Parameters, seed: int) -> Any:
    return RandomForestRegressor(100, n_jobs=1, random_state=seed, **parameters)


def _xgboost(parameters: Parameters, seed: int) -> Any:
    return _import("xgboost").XGBRegressor(n_jobs=1, random_state=seed, **parameters)


def _lightgbm(parameters: Parameters, seed: int) -> Any:
    more = {"subsample_freq": 1, "verbose": -1, "deterministic": True}
    return _import("lightgbm").LGBMRegressor(n_jobs=1, random_state=seed, **more, **parameters)


def _import(name: str) -> Any:
    import importlib  # noqa: PLC0415

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MapError(f"{name} is not installed; pip install '.[bench]' in Pomona's folder") from error
