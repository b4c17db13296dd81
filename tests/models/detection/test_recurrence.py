"""Which form of the recurrence runs where."""

from __future__ import annotations

import pytest
import torch

from models.detection.recurrence import linear_recurrence
from models.detection.scan import scan_sequential
from models.detection.scan_triton import triton_runs
from tests.models.networks import largest_difference

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_it_is_the_loop_wherever_it_runs(device: str, reverse: bool) -> None:
    a, b = torch.rand(2, 3, 50, device=device), torch.randn(2, 3, 50, device=device)
    assert largest_difference(linear_recurrence(a, b, reverse), scan_sequential(a, b, reverse)) < 1e-5


def test_the_kernel_is_for_gpus() -> None:
    assert not triton_runs(torch.zeros(1))
