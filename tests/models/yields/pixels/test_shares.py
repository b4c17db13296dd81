"""How much of a network is taken beside its straight line: what fields left out bear out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.maps.errors import MapError
from models.yields.pixels.candidates import SMALL_TRAINING
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.predicting import predict
from models.yields.pixels.scenes import Scene, tiles
from models.yields.pixels.shares import settle_share, with_share
from models.yields.pixels.training import Trained, train
from tests.models.yields.pixels.drawn import CROPS, scene

_NETWORK = NetworkSettings(encoder="small", bands=4, classes=3, dates=3, width=8, straight=True)
_QUICK = replace(SMALL_TRAINING, epochs=2, per_crop=False)
_NOTHING_LEARNED = replace(_QUICK, epochs=1, learning_rate=1e-12)
CUT = [tile for seed in (0, 1, 2) for tile in tiles(scene(f"s{seed}", seed=seed), 24, 0.0)]


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(CUT, CROPS, _NETWORK, _QUICK, seed=0)


def _says(trained: Trained, tile: Scene) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return predict([trained], tile).normalised


def test_a_share_lies_between_the_line_and_the_whole(trained: Trained) -> None:
    whole, half, line = (_says(with_share(trained, share), CUT[0]) for share in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, (whole + line) / 2, atol=1e-5)
    np.testing.assert_array_equal(whole, _says(trained, CUT[0]))
    assert not np.allclose(whole, line)


def test_what_a_network_expects_to_err_by_is_not_scaled() -> None:
    trained = train(CUT, CROPS, replace(_NETWORK, uncertainty=True), _QUICK, seed=0)
    none = with_share(trained, 0.0)
    np.testing.assert_array_equal(predict([none], CUT[0]).variance, predict([trained], CUT[0]).variance)


@pytest.mark.parametrize(("added", "share"), [(1.0, 1.0), (2.0, 0.5), (-1.0, 0.0), (0.5, 1.0)])
def test_as_much_is_taken_as_fields_left_out_bear_out(added: float, share: float) -> None:
    """Lines that say a tonne too little, and networks that add a tonne, or two, or take one away."""

    def fit(parts: Sequence[Scene], _fold: str) -> Trained:
        lowered = [replace(tile, points=replace(tile.points, yields=tile.points.yields - 1)) for tile in parts]
        made = train(lowered, CROPS, _NETWORK, _NOTHING_LEARNED, seed=0)
        unit = float(made.encoding.yields.widths(np.zeros(1, np.int64))[0])
        with torch.no_grad():
            made.network.get_parameter("body.heads.yields.0.bias").fill_(added / unit)
        return made

    assert settle_share(CUT, fit, 3) == pytest.approx(share, abs=0.1)


def test_without_folds_all_is_taken() -> None:
    alone = CUT[0].without(np.unique(CUT[0].points.field)[1:])
    assert settle_share([alone], lambda _tiles, _fold: pytest.fail("nothing to train on"), 3) == 1.0


def test_only_beside_a_line(trained: Trained) -> None:
    plain = train(CUT, CROPS, replace(_NETWORK, straight=False), _QUICK, seed=0)
    with pytest.raises(MapError, match="straight line"):
        with_share(plain, 0.5)
