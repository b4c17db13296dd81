"""Networks that are compared with: they read series of any length and learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.crops.peers import NETWORKS, StarCell, StarRNN
from models.crops.pixel_networks import FitSettings, Scales, fit, predict_logits
from models.crops.series import PixelSeries
from models.crops.training import TrainingSettings
from tests.models.crops.drawn_series import drawn


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [12, 36])
def test_every_parameter_serves(name: str, steps: int) -> None:
    network = NETWORKS[name](Scales((0.0,) * 10, (1.0,) * 10), steps, 5)
    logits = network(torch.randn(6, steps, 10))
    assert logits.shape == (6, 5)
    (logits**2).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_they_learn(pixels: PixelSeries, name: str) -> None:
    network = NETWORKS[name](Scales.of(pixels), len(pixels.steps), pixels.classes)
    epochs = 25 if name == "L-TAE" else 5
    settings = TrainingSettings(epochs=epochs, learning_rate=3e-3, optimizer="adamw")
    fit(network, pixels, None, FitSettings(settings, batch=40), seed=0)
    other = drawn(seed=9)
    assert (predict_logits(network, other.values).argmax(1) == other.label).mean() > 0.9


def test_a_star_cell_by_its_equations() -> None:
    network = StarRNN(Scales((0.0,), (1.0,)), 2, width=3, layers=1)
    cell = network.layers[0]
    assert isinstance(cell, StarCell)
    series = torch.randn(4, 5, 1)
    weight, bias = cell.of_input.weight, cell.of_input.bias
    state = torch.zeros(4, 3)
    for step in range(5):
        both = series[:, step] @ weight.T + bias
        z, k = torch.tanh(both[:, :3]), torch.sigmoid(both[:, 3:] + state @ cell.of_state.weight.T)
        state = torch.tanh((1 - k) * state + k * z)
    torch.testing.assert_close(cell(series)[:, -1], state)


def test_parameters_are_of_the_published_size() -> None:
    """InceptionTime's network has about 0.4 million for few bands, TempCNN's third of a million at 12 months."""
    scales = Scales((0.0,) * 10, (1.0,) * 10)
    sizes = {name: _size(build(scales, 12, 15)) for name, build in NETWORKS.items()}
    assert sizes["InceptionTime"] == pytest.approx(490_000, rel=0.15)
    assert sizes["TempCNN"] == pytest.approx(245_000, rel=0.15)
    assert sizes["StarRNN"] == pytest.approx(130_000, rel=0.25)


def _size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
