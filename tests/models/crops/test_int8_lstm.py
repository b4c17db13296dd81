"""A stacked LSTM in integers: the same network, nearly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.crops.onnx_file import Eats, ask, ask_quickly, export, open_int8, open_session, what_it_eats
from models.crops.pixel_networks import Scales
from models.crops.series import CropError
from models.crops.stacked_lstm import StackedLSTM

EATS = Eats(("B04", "B08"), ("04", "05", "06", "07"), ("wheat", "rice", "other"))
SCALES = Scales((0.2, 0.3), (0.1, 0.1))


def _written(folder: Path, larger: float = 3) -> Path:
    torch.manual_seed(0)
    network = StackedLSTM(SCALES, 3, units=(24, 16, 8))
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(larger)
        network.head.weight.mul_(4)  # answers that depend on the series plainly
    export(network, EATS, folder / "model.onnx")
    return folder / "model.onnx"


def _series(number: int = 500) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(1).normal(0.25, 0.15, (number, 4, 2)).astype(np.float32)
    return drawn


@pytest.mark.parametrize(("larger", "apart"), [(1, 0.002), (3, 0.03)])
def test_probabilities_in_integers_are_nearly_those_of_the_network(tmp_path: Path, larger: float, apart: float) -> None:
    path = _written(tmp_path, larger)
    full, integers = ask(open_session(path, 1), _series()), ask(open_int8(path, 1), _series())
    assert np.ptp(full, 0).max() > 5 * apart
    assert np.abs(full - integers).max() < apart
    assert integers.sum(1) == pytest.approx(1, abs=1e-5)


def test_a_step_more_or_less_is_refused_and_any_number_of_pixels_is_not(tmp_path: Path) -> None:
    session = open_int8(_written(tmp_path), 1)
    assert what_it_eats(session) == EATS
    alone = np.concatenate([ask(session, _series()[i : i + 1]) for i in range(5)])
    assert alone == pytest.approx(ask(session, _series()[:5]), abs=1e-6)
    with pytest.raises(Exception, match=r"[Dd]imension"):
        ask(session, _series()[:, :3])


def test_states_and_weights_as_large_as_they_can_be_do_not_overflow(tmp_path: Path) -> None:
    path = _written(tmp_path, larger=400)
    series = np.full((1, 4, 2), 100, np.float32)
    assert ask(open_int8(path, 1), series) == pytest.approx(ask(open_session(path, 1), series), abs=0.05)


def test_close_calls_are_the_networks_own(tmp_path: Path) -> None:
    path = _written(tmp_path)
    session, int8 = open_session(path, 1), open_int8(path, 1)
    full, quick, integers = ask(session, _series()), ask_quickly(session, int8, _series()), ask(int8, _series())
    second, best = np.sort(integers, 1)[:, -2:].T
    close = best - second < 0.05
    assert 0 < close.sum() < len(close) / 2
    assert quick[close] == pytest.approx(full[close], abs=1e-6)
    assert np.array_equal(quick[~close], integers[~close])
    assert (quick.argmax(1) == full.argmax(1)).mean() > 0.995


def test_another_network_is_refused(tmp_path: Path) -> None:
    export(nn.Sequential(nn.Flatten(), nn.Linear(8, 3)), EATS, tmp_path / "other.onnx")
    with pytest.raises(CropError, match="only stacked LSTMs can be asked in int8"):
        open_int8(tmp_path / "other.onnx", 1)
