"""Fixtures of the crop networks' tests."""

from __future__ import annotations

import pytest

from models.crops.series import PixelSeries
from tests.models.crops.drawn_series import drawn


@pytest.fixture
def pixels() -> PixelSeries:
    """240 drawn pixels of three classes."""
    return drawn()
