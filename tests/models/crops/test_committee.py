"""Several networks as one, deciding by the shares of the map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.crops.committee import Committee, towards
from models.crops.kernel import KernelLogistic
from models.crops.onnx_file import Eats, export
from models.crops.series import PixelSeries
from models.crops.spectral import Spectra
from models.crops.stacked_lstm import StackedLSTM
from models.crops.weighted_lstm import committee, stacked_lstm, train_weighted_lstm, two_losses
from tests.models.crops.test_weighted_lstm import QUICK


def test_softmax_gives_the_mean_of_the_members_probabilities() -> None:
    torch.manual_seed(0)
    members = [nn.Linear(4, 3) for _ in range(3)]
    series = torch.randn(5, 4)
    expected = torch.stack([torch.softmax(member(series), -1) for member in members]).mean(0)
    torch.testing.assert_close(torch.softmax(Committee(members)(series), -1), expected)


def test_posteriors_of_a_balanced_draw_become_those_of_the_place() -> None:
    """Two bells one apart: with equal shares the border lies between them, with 9 to 1 at log(9) from there."""
    at = torch.tensor([[0.5], [0.5 + np.log(9)]], dtype=torch.float32)
    likelihood = nn.Linear(1, 2)
    with torch.no_grad():
        likelihood.weight[:] = torch.tensor([[0.0], [1.0]])
        likelihood.bias[:] = torch.tensor([0.0, -0.5])
    shift = towards(np.array([0.9, 0.1]), np.array([300, 300]))
    found = torch.softmax(Committee([likelihood], shift)(at), -1)
    torch.testing.assert_close(found, torch.tensor([[0.9, 0.1], [0.5, 0.5]]))


def test_equal_shares_change_nothing_and_a_class_that_is_not_there_is_never_said() -> None:
    assert towards(np.array([3.0, 6.0]), np.array([10, 20])).tolist() == pytest.approx([0.0, 0.0], abs=1e-7)
    assert towards(np.array([0.0, 1.0]), np.array([10, 20]))[0] == pytest.approx(-30)
    assert towards(np.array([0.5, 0.5]), np.array([0, 20]))[0] == pytest.approx(-30)


def test_network_and_kernel_go_into_one_onnx_file(pixels: PixelSeries, tmp_path: Path) -> None:
    settings = replace(QUICK, kernel=True, indices=True, training=replace(QUICK.training, epochs=2))
    network = two_losses(stacked_lstm(settings.units), pixels, None, settings, 0)
    made = committee(network, pixels, settings, 0, np.ones(3))
    assert isinstance(made, Committee)
    parts = [type(part) for member in made.members for part in member.modules()]
    assert parts.count(StackedLSTM) == parts.count(KernelLogistic) == 1
    assert parts.count(Spectra) == 2
    assert export(made, Eats(pixels.bands, pixels.steps, pixels.legend), tmp_path / "model.onnx") < 1e-5


def test_the_final_network_decides_by_the_shares_of_the_thematic_map(pixels: PixelSeries) -> None:
    rare = pixels.take((pixels.label != 2) | (np.arange(240) % 10 == 0))
    settings = replace(QUICK, map_shares=True)
    made = train_weighted_lstm(rare, None, settings, seed=0)
    assert isinstance(made.final, Committee)
    drawn = np.bincount(rare.label[made.chosen], minlength=3)
    expected = np.log(rare.counts() / len(rare)) - np.log(drawn / drawn.sum())
    np.testing.assert_allclose(made.final.shift.numpy(), expected, rtol=1e-4, atol=1e-6)
