"""Fixtures of the networks' tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_random_tensors(one_thread: None) -> None:
    torch.manual_seed(0)
