"""The straight line: ridge regression in closed form, a network that begins at it, and what it leaves to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from models.maps.errors import MapError
from models.yields.pixels.network import NetworkSettings, StraightLine, YieldMapNetwork
from models.yields.pixels.predicting import predict
from models.yields.pixels.scenes import Points, tiles
from models.yields.pixels.straight import _Sums, fit_line
from models.yields.pixels.training import TrainingSettings, fit_encoding, train
from tests.models.yields.pixels.drawn import CROPS, scene

_NETWORK = NetworkSettings(encoder="small", bands=4, classes=3, dates=3, width=8, straight=True)
_NOTHING_LEARNED = TrainingSettings(epochs=1, batch=4, optimizer="sgd", learning_rate=0.0, per_crop=False)


def test_sums_make_the_line_that_ridge_regression_makes() -> None:
    random = np.random.default_rng(0)
    rows, yields = random.normal(3, 2, (50, 6)), random.normal(7, 1, 50)
    parts = [_Sums.of(rows[at::3], yields[at::3]) for at in range(3)]
    slopes, level = _Sums.joined(parts).line(4.0)
    expected = Ridge(4.0).fit(rows, yields)
    np.testing.assert_allclose(slopes, expected.coef_)
    assert level == pytest.approx(expected.intercept_)


def test_a_network_that_has_learned_nothing_is_the_line() -> None:
    cut = [tile for seed in (0, 1) for tile in tiles(scene(f"s{seed}", seed=seed), 24, 0.0)]
    trained = train(cut, CROPS, _NETWORK, _NOTHING_LEARNED)
    images, clear, _ = (values[None] for values in trained.encoding.inputs(cut[0]))
    stacked = images.flatten(1, 2)
    weights = trained.network.state_dict()
    line = torch.einsum("bchw,c->bhw", StraightLine.channels(stacked, clear), weights["straight.weight"])[0]
    line += weights["straight.bias"]
    expected = trained.encoding.yields.restored(line.double().numpy(), cut[0].crops * 0)
    np.testing.assert_allclose(predict([trained], cut[0], known=cut[0].crops * 0).yields, expected, rtol=1e-4)
    said = predict([trained], scene("new", seed=5)).yields
    points = scene("new", seed=5).points
    assert np.corrcoef(said[points.row, points.column], points.yields)[0, 1] > 0.8


def test_the_line_is_not_trained() -> None:
    cut = list(tiles(scene(), 24, 0.0))
    quick = replace(_NOTHING_LEARNED, learning_rate=0.01, epochs=2)
    before, after = (train(cut, CROPS, _NETWORK, settings).network for settings in (_NOTHING_LEARNED, quick))
    line, head = "straight.weight", "body.heads.yields.0.weight"
    torch.testing.assert_close(after.state_dict()[line], before.state_dict()[line], rtol=0, atol=0)
    assert not torch.equal(after.state_dict()[head], before.state_dict()[head])


def test_what_is_left_to_learn_is_what_a_line_leaves_on_new_fields() -> None:
    cut = [tile for seed in (0, 1) for tile in tiles(scene(f"s{seed}", seed=seed, every=20), 24, 0.0)]
    encoding = fit_encoding(cut, _NETWORK, per_crop=False)
    weights, moved = fit_line(cut, encoding, _NETWORK)
    network = YieldMapNetwork(_NETWORK)
    network.load_state_dict(weights, strict=False)
    assert network.straight is not None
    before, after = (Points.joined([tile.points for tile in parts]) for parts in (cut, moved))
    said = []
    for tile in cut:
        images, clear, days = (values[None] for values in encoding.inputs(tile))
        with torch.no_grad():
            line = network.straight(network.over_time(images, clear, days), clear)[0].double().numpy()
        said.append(encoding.yields.restored(line, tile.crops * 0)[tile.points.row, tile.points.column])
    fitted = np.concatenate(said)
    assert np.abs(after.yields - fitted).mean() > 1.05 * np.abs(before.yields - fitted).mean()


def test_neighbours_that_were_never_clear_are_not_averaged() -> None:
    stacked, clear = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3, dtype=torch.bool)
    stacked[0, 0, 0, 0], clear[0, 0, 0, 0] = 100.0, False
    near = StraightLine.channels(stacked, clear)[0, 1]
    assert near[1, 1] == near[0, 1] == 1


def test_a_line_needs_stacked_dates_and_yields() -> None:
    for changed in ({"over_time": "attention"}, {"form": "cc-unet"}):
        with pytest.raises(MapError, match="straight line needs"):
            NetworkSettings(**_NETWORK.as_dict() | changed)
