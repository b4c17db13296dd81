"""Training: what is turned stays together, what was stopped goes on, what is learned is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.maps.errors import MapError
from models.yields.pixels import training
from models.yields.pixels.batches import Augmentation, Collate, Tiles, Weighing, turned
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.predicting import blending, predict
from models.yields.pixels.scenes import Scene, tiles
from models.yields.pixels.training import Trained, TrainingSettings, fit_encoding, train
from models.yields.training import DivergedError
from tests.models.yields.pixels.drawn import CROPS, scene

NETWORK = NetworkSettings("mt-cyp-net", "small", bands=4, classes=3, dates=3, width=8)
QUICK = TrainingSettings(epochs=4, batch=4, optimizer="adamw", learning_rate=0.01, warm_up=2, keep_every=1)


def _tiles() -> list[Scene]:
    return [tile for seed in (0, 1) for tile in tiles(scene(f"s{seed}", seed=seed), 24, 0.0)]


def _weights(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.network.state_dict()


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_points_turn_with_their_pixels(down: bool, across: bool, quarters: int) -> None:
    before = scene(side=24)
    after = turned(before, down=down, across=across, quarters=quarters)
    for place in (before, after):
        np.testing.assert_array_equal(place.fields[place.points.row, place.points.column], place.points.field)
    stays = not quarters and not down and not across
    stays |= down and across and quarters == 2
    assert stays == np.array_equal(after.images, before.images)


def test_a_date_that_one_tile_lacks_was_not_seen_there() -> None:
    longer, shorter = scene(side=24), scene(side=24, dates=2)
    encoding = fit_encoding([longer, shorter], replace(NETWORK, over_time="attention"))
    data = Tiles([longer, shorter], encoding, Weighing())
    batch = Collate(encoding)([data[0], data[1]])
    assert batch.clear[0].all()
    assert not batch.clear[1, 2].any()
    assert set(batch.points.tile.tolist()) == {0, 1}
    assert (batch.crops == 2).any(), "unlabelled is the network's last class"


def test_hidden_dates_and_brightness_leave_each_tile_a_date() -> None:
    data = Tiles(_tiles(), fit_encoding(_tiles(), NETWORK), Weighing())
    collate = Collate(data.encoding, Augmentation(turn=False, brightness=0.1, dates=0.9), seed=1)
    batch = collate([data[number] for number in range(8)])
    seen = batch.clear.any(-1).any(-1)
    assert seen.any(1).all()
    assert seen.float().mean() < 0.6
    assert (batch.images[~batch.clear.any(-1).any(-1)] == 0).all()


def test_errors_of_points_and_rare_yields_weigh() -> None:
    tile = scene(side=24)
    doubted = replace(tile, points=replace(tile.points, error=np.where(np.arange(len(tile.points)) == 0, 1.0, 0.0)))
    encoding = fit_encoding([tile], NETWORK)
    weights = Tiles([doubted], encoding, Weighing(unexplained=1.0))[0][2]
    assert weights[0] == pytest.approx(0.5)
    assert (weights[1:] == 1).all()
    assert Tiles([tile], encoding, Weighing(rare=True))[0][2].std() > 0


def test_a_training_that_was_stopped_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    network = replace(NETWORK, dropout=0.3)
    straight = train(_tiles(), CROPS, network, QUICK, seed=3)
    # what is left of a training that died after two epochs: the same course, cut short
    with pytest.raises(_Killed):
        _train_and_die(tmp_path, network)
    assert (tmp_path / "last.ckpt").is_file()
    resumed = train(_tiles(), CROPS, network, QUICK, seed=3, folder=tmp_path)
    for name, values in _weights(straight).items():
        torch.testing.assert_close(_weights(resumed)[name], values, rtol=0, atol=0, msg=name)


class _Killed(Exception):  # noqa: N818
    pass


def _train_and_die(folder: Path, network: NetworkSettings) -> None:
    with pytest.MonkeyPatch.context() as patch:
        begin = training._Fit.on_train_epoch_start

        def die(module: training._Fit) -> None:
            if module.current_epoch == 2:
                raise _Killed
            begin(module)

        patch.setattr(training._Fit, "on_train_epoch_start", die)
        train(_tiles(), CROPS, network, QUICK, seed=3, folder=folder)


def test_it_learns_yields_and_crops_of_fields_it_has_not_seen() -> None:
    settings = replace(QUICK, epochs=25)
    members = [train(_tiles(), CROPS, replace(NETWORK, uncertainty=True), settings, seed=seed) for seed in (0, 1)]
    new = scene("new", seed=7)
    said = predict(members, new, side=24, overlap=0.25)
    at = new.points.row, new.points.column
    errors = said.yields[at] - new.points.yields
    assert np.sqrt((errors**2).mean()) < 0.5 * new.points.yields.std()
    assert (said.crop[at] == new.points.crop).mean() > 0.9
    assert np.isfinite(said.deviation).all()
    assert (said.deviation > 0).all()


def test_yields_are_mapped_back_by_the_crop_that_is_known() -> None:
    trained = train(_tiles(), CROPS, NETWORK, QUICK)
    new = scene(side=24, seed=5)
    free = predict([trained], new)
    told = predict([trained], new, known=np.ones((24, 24), np.uint8))
    assert (told.crop == 1).all()
    scale = trained.encoding.yields
    expected = scale.low[1] + free.normalised * (scale.high[1] - scale.low[1])
    np.testing.assert_allclose(told.yields, np.maximum(expected, 0), rtol=1e-6)


def test_windows_are_blended_and_their_edges_count_little() -> None:
    weights = blending(8)
    assert weights.max() == 1
    assert weights[0, 0] == weights.min() > 0
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])


@pytest.mark.parametrize("form", ["cy-unet", "cc-unet"])
def test_single_tasks_train_on_their_own_labels(form: str) -> None:
    network = NetworkSettings(**NETWORK.as_dict() | {"form": form})
    said = predict([train(_tiles(), CROPS, network, QUICK)], scene(side=24))
    assert np.isnan(said.normalised).all() == (form == "cc-unet")
    assert len(said.shares) == (2 if form == "cc-unet" else 0)


def test_a_training_that_diverges_is_told() -> None:
    with pytest.raises(DivergedError, match="lower learning rate"):
        train(_tiles(), CROPS, NETWORK, replace(QUICK, optimizer="sgd", learning_rate=1e30, epochs=9))


def test_names_that_do_not_fit_are_told() -> None:
    with pytest.raises(MapError, match="1 crops are named"):
        train(_tiles(), ("wheat",), NETWORK, QUICK)
    with pytest.raises(MapError, match="no tiles"):
        train([], CROPS, NETWORK, QUICK)
