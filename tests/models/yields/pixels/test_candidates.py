"""Models of one comparison: the same labels, a search on training fields alone, scores by field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.yields.candidates import Parameters
from models.yields.pixels.candidates import SMALL_TRAINING, Candidate, Mapper, network_candidate, tune
from models.yields.pixels.folds import numbers_of
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.scenes import Scene, tiles
from models.yields.pixels.scores import crop_scores, yield_scores
from models.yields.pixels.trees import tree_candidates
from tests.models.yields.pixels.drawn import CROPS, scene


def _cut() -> list[Scene]:
    return [tile for seed in (0, 1) for tile in tiles(scene(f"s{seed}", seed=seed), 24, 0.0)]


@pytest.mark.parametrize("candidate", tree_candidates(), ids=lambda candidate: str(candidate.name))
def test_trees_learn_pixels(candidate: Candidate) -> None:
    new = scene("new", seed=7)
    mapper = candidate.fit(_cut(), candidate.default, 0)
    said = mapper(new)
    assert np.isnan(said[new.crops == 255]).all()
    at = new.points.row, new.points.column
    assert np.sqrt(((said[at] - new.points.yields) ** 2).mean()) < 0.7 * new.points.yields.std()


def test_a_network_is_a_candidate_whose_members_are_averaged() -> None:
    form = NetworkSettings(encoder="small", bands=4, classes=3, dates=3, width=8, straight=True)
    quick = replace(SMALL_TRAINING, epochs=2, per_crop=False)
    candidate = network_candidate("ours", CROPS, form, quick, members=2)
    new = scene("new", seed=7)
    each = [candidate.fit(_cut(), candidate.default, seed)(new) for seed in (0, 1)]
    np.testing.assert_allclose(candidate.fit_members(_cut(), candidate.default, 0)(new), np.mean(each, axis=0))
    assert not np.allclose(each[0], each[1])


def test_settings_are_judged_on_fields_that_were_left_out() -> None:
    seen: list[tuple[float, set[int], set[int]]] = []

    def fit(parts: Sequence[Scene], parameters: Parameters, _seed: int) -> Mapper:
        learned = set(numbers_of(parts).tolist())

        def mapped(tile: Scene) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
            seen.append((parameters["level"], learned, set(tile.points.field.tolist())))
            return np.full(tile.shape, parameters["level"])

        return mapped

    levels = Candidate("level", lambda trial: {"level": trial.suggest_float("level", 0, 12)}, {"level": 6.5}, fit)
    yields = np.concatenate([tile.points.yields for tile in _cut()])
    found = tune(levels, _cut(), 20, 2, seed=0)["level"]
    assert abs(found - yields.mean()) < abs(6.5 - yields.mean()) + 0.2
    assert seen[0][0] == 6.5
    assert all(not learned & judged for _, learned, judged in seen)
    assert len({level for level, _, _ in seen}) == 20


def test_scores_by_hand_and_resampled_by_field() -> None:
    yields = np.array([1.0, 3, 5, 7])
    said = {"worse": np.full(4, 4.0), "better": np.array([2.0, 3, 5, 6])}
    found = yield_scores(yields, said, np.array([0, 0, 1, 1]))
    assert found["worse"]["RMSE"].value == pytest.approx(np.sqrt(5))
    assert found["worse"]["R²"].value == pytest.approx(0)
    assert found["better"]["MAE"].value == pytest.approx(0.5)
    assert found["better"]["R²"].value == pytest.approx(1 - 2 / 20)
    assert found["worse"]["less"].value == pytest.approx(np.sqrt(0.5) - np.sqrt(5))
    # both fields err alike, so resamples of fields say the same, while those of points would not
    assert found["better"]["RMSE"].low == pytest.approx(found["better"]["RMSE"].high)


def test_crop_scores_by_hand() -> None:
    found = crop_scores(np.array([[6, 2, 0], [0, 2, 0], [0, 0, 0]]))
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["mIoU"] == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert found["precision"] == pytest.approx((6 / 8 + 1) / 2)
    assert found["recall"] == pytest.approx((1 + 0.5) / 2)
    assert np.isnan(crop_scores(np.zeros((2, 2), int))["mIoU"])
