"""Learning without labels: what is hidden is not shown, and what is learned is taken over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.maps.errors import MapError
from models.yields.pixels.batches import Collate, Encoding, Tiles, Weighing
from models.yields.pixels.network import NetworkSettings, YieldMapNetwork
from models.yields.pixels.pretraining import guess_loss, hidden_squares, pretrain
from models.yields.pixels.scales import BandScale, YieldScale
from models.yields.pixels.scenes import Points, tiles
from models.yields.pixels.training import TrainingSettings
from tests.models.yields.pixels.drawn import scene

_NETWORK = NetworkSettings(encoder="small", bands=4, classes=3, dates=3, width=8)
_QUICK = TrainingSettings(epochs=2, batch=4, optimizer="adamw", learning_rate=0.01, warm_up=2)


def test_squares_and_one_date_are_hidden_where_it_was_clear() -> None:
    clear = torch.ones(4, 3, 16, 16, dtype=torch.bool)
    clear[0, :, :4] = False
    hidden = hidden_squares(clear, np.random.default_rng(0))
    assert not (hidden & ~clear).any()
    assert (hidden[1:].all(-1).all(-1).sum(1) >= 1).all()
    whole = hidden[1:].all(-1).all(-1)
    squares = hidden[1:][~whole].reshape(-1, 4, 4, 4, 4)
    assert (squares.all(-1).all(2) == squares.any(-1).any(2)).all()
    assert 0.2 < hidden[1:][~whole].float().mean() < 0.6


def test_what_is_hidden_is_not_shown_and_only_it_is_asked_for() -> None:
    cut = [replace(tile, points=Points.none()) for tile in tiles(scene(), 24, 0.0)]
    encoding = Encoding(BandScale.fit(cut, per_date=True), YieldScale((0.0,), (1.0,)), 2)
    data = Tiles(cut, encoding, Weighing())
    batch = Collate(encoding)([data[0], data[1]])
    hidden = hidden_squares(batch.clear, np.random.default_rng(0))
    network = YieldMapNetwork(replace(_NETWORK, form="cc-unet", classes=13)).eval()
    images = batch.images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(guess_loss(network, batch._replace(images=images), hidden), images)
    shown = slope.movedim(2, -1)[~hidden]
    assert shown.abs().max() > 0
    target = slope.movedim(2, -1)[hidden]
    said = guess_loss(network, batch, hidden)
    worse = torch.where(hidden[:, :, None], batch.images + 10, batch.images)
    assert guess_loss(network, batch._replace(images=worse), hidden) > said
    # the slope at hidden pixels is that of the target alone: two over the number of targets, times the error
    assert target.abs().max() <= 2 * 20 / hidden.sum() / 4
    assert float(guess_loss(network, batch, torch.zeros_like(hidden)).detach()) == 0


def test_encoder_weights_are_learned_and_taken_over() -> None:
    weights = pretrain(list(tiles(scene(), 24, 0.0)), _NETWORK, _QUICK)
    network = YieldMapNetwork(_NETWORK)
    left = network.load_state_dict(weights, strict=False)
    assert not left.unexpected_keys
    assert not [name for name in left.missing_keys if "encoder" in name or "over_time" in name]
    again = pretrain(list(tiles(scene(), 24, 0.0)), _NETWORK, _QUICK)
    name = "body.encoder.stem.0.weight"
    torch.testing.assert_close(weights[name], again[name], rtol=0, atol=0)


def test_dates_have_to_be_as_many() -> None:
    with pytest.raises(MapError, match="one number of dates"):
        pretrain([scene(side=24), scene(side=24, dates=2)], _NETWORK, _QUICK)
