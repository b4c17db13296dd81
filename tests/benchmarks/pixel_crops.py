"""Crops of pixels: agrifieldnet by tile, and joint training with yields that are drawn, named so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from models.maps.accuracy import confusion
from models.yields.pixels.folds import Fold, at_random
from models.yields.pixels.losses import LossSettings
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.predicting import predict
from models.yields.pixels.scenes import UNLABELLED, Points, Scene, tiles
from models.yields.pixels.training import TrainingSettings, train
from tests.benchmarks.pixel_yield_sets import AGRIFIELDNET_CROPS, agrifieldnet

FOLDS = 5
TILE_PX = 64
EPOCHS = 12
_CLASSES = len(AGRIFIELDNET_CROPS)
_YIELD_EVERY = 40  # labelled pixels to one drawn yield
Run = tuple[str, str, Callable[[Path], dict[str, Any]]]
_SMALL = NetworkSettings(encoder="small", bands=12, classes=_CLASSES + 1, width=16)
_TRAINING = TrainingSettings(
    epochs=EPOCHS,
    batch=16,
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.01,
    warm_up=20,
    loss=LossSettings(entropy=1.0),
)


def with_drawn_yields(scenes: Sequence[Scene]) -> list[Scene]:
    """Scenes with yields that are made up: greenness times the crop's own level, with noise, at a few pixels.

    They are no measurement; they only say whether learning both tasks together helps either.
    """
    random = np.random.default_rng(0)
    level = np.linspace(2.0, 8.0, _CLASSES)
    drawn = []
    for scene in scenes:
        row, column = np.nonzero(scene.crops != UNLABELLED)
        kept = random.random(len(row)) < 1 / _YIELD_EVERY
        row, column = row[kept], column[kept]
        red, infrared = scene.images[0, 3, row, column], scene.images[0, 7, row, column]
        green = (infrared - red) / np.maximum(infrared + red, 1e-6)
        crop = scene.crops[row, column].astype(np.int64)
        yields = level[crop] * (0.5 + green) + random.normal(0, 0.3, len(row))
        field = scene.fields[row, column].astype(np.int64)
        drawn.append(replace(scene, points=Points(row, column, yields, np.full(len(row), 0.3), crop, field)))
    return drawn


def _folds(scenes: Sequence[Scene]) -> list[Fold]:
    """Whole tiles of 256 px, which do not overlap; what is trained on is cut into smaller ones with labels."""
    return [
        replace(fold, train=[part for scene in fold.train for part in tiles(scene, TILE_PX, 0.0) if part.labelled])
        for fold in at_random(scenes, FOLDS, 0)
    ]


def _network(form: str, drawn: bool, fold: int, seed: int, data: Path) -> dict[str, Any]:
    began = time.process_time()
    scenes = agrifieldnet(data)
    if drawn or form in {"mt-cyp-net", "mt-cyp-net-hard", "cy-unet"}:
        scenes = with_drawn_yields(scenes)
    division = _folds(scenes)[fold]
    network = NetworkSettings(**_SMALL.as_dict() | {"form": form})
    trained = train(division.train, AGRIFIELDNET_CROPS, network, _TRAINING, seed)
    matrix = np.zeros((_CLASSES, _CLASSES), np.int64)
    squares, points = 0.0, 0
    for scene in division.test:
        said = predict([trained], scene, known=scene.crops if form == "cy-unet" else None)
        if len(said.shares):
            matrix += _matrix(scene, said.shares.argmax(0))
        if network.yields:
            at = scene.points.row, scene.points.column
            squares += float(((said.yields[at] - scene.points.yields) ** 2).sum())
            points += len(scene.points)
    return {
        "matrix": matrix.tolist(),
        "squares": squares,
        "points": points,
        "cpu_s": round(time.process_time() - began, 1),
    }


def _matrix(scene: Scene, said: NDArray[np.integer]) -> NDArray[np.int64]:
    labelled = scene.crops != UNLABELLED
    return confusion(scene.crops[labelled], said[labelled], _CLASSES)


def _forest(fold: int, data: Path) -> dict[str, Any]:
    """A random forest on the bands of labelled pixels."""
    began = time.process_time()
    division = _folds(agrifieldnet(data))[fold]
    rows, crops = [], []
    for tile in division.train:
        labelled = tile.crops != UNLABELLED
        rows.append(tile.images[0][:, labelled].T)
        crops.append(tile.crops[labelled])
    forest = RandomForestClassifier(200, min_samples_leaf=3, class_weight="balanced", n_jobs=1, random_state=0)
    forest.fit(np.concatenate(rows), np.concatenate(crops))
    matrix = np.zeros((_CLASSES, _CLASSES), np.int64)
    for scene in division.test:
        labelled = scene.crops != UNLABELLED
        said = forest.predict(scene.images[0][:, labelled].T)
        matrix += confusion(scene.crops[labelled], said.astype(np.int64), _CLASSES)
    return {"matrix": matrix.tolist(), "squares": 0.0, "points": 0, "cpu_s": round(time.process_time() - began, 1)}


def _agrifieldnet() -> Iterator[Run]:
    for fold in range(FOLDS):
        yield "Random forest", str(fold), partial(_forest, fold)
        yield "CC-Unet (small)", str(fold), partial(_network, "cc-unet", False, fold, 0)
        yield "MT-CYP-Net (small), drawn yields", str(fold), partial(_network, "mt-cyp-net", True, fold, 0)


def _joint() -> Iterator[Run]:
    for fold in range(FOLDS):
        for name, form in (
            ("CC-Unet (small)", "cc-unet"),
            ("CY-Unet (small)", "cy-unet"),
            ("MT-CYP-Net-hard (small)", "mt-cyp-net-hard"),
            ("MT-CYP-Net (small)", "mt-cyp-net"),
        ):
            yield name, str(fold), partial(_network, form, True, fold, 0)


CROP_RUNS: Mapping[str, Callable[[], Iterator[Run]]] = {"agrifieldnet": _agrifieldnet, "joint": _joint}
