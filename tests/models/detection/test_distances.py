"""The cheap form of the head's distances is ultralytics' own function."""

from __future__ import annotations

import torch
from ultralytics.nn.modules.block import DFL

from models.detection.distances import ExpectedDistances
from tests.models.networks import largest_difference


def test_distances_are_those_of_ultralytics() -> None:
    logits = 5 * torch.randn(2, 64, 30)
    assert largest_difference(ExpectedDistances(16)(logits), DFL(16)(logits)) < 1e-5


def test_a_certain_distribution_gives_its_bin_and_a_flat_one_the_middle() -> None:
    certain = torch.full((1, 64, 1), -1e3)
    certain[0, [0, 16 + 5, 32 + 15, 48 + 2], 0] = 0
    assert ExpectedDistances(16)(certain).flatten().tolist() == [0, 5, 15, 2]
    assert largest_difference(ExpectedDistances(16)(torch.zeros(1, 64, 1)), torch.full((1, 4, 1), 7.5)) < 1e-6


def test_logits_beyond_the_range_of_exp_stay_finite() -> None:
    logits = torch.full((1, 64, 3), 500.0)
    assert largest_difference(ExpectedDistances(16)(logits), torch.full((1, 4, 3), 7.5)) < 1e-6
