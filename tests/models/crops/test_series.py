"""Pixel series: parts of them, several together, the season so far."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.crops.series import CropError, PixelSeries, joined
from tests.models.crops.drawn_series import drawn


def test_parts_keep_everything_of_a_pixel_together(pixels: PixelSeries) -> None:
    part = pixels.take(pixels.region == 1)
    assert len(part) == 120
    assert np.array_equal(part.values, pixels.values[120:])
    assert np.array_equal(part.block, pixels.block[120:])
    assert pixels.counts().tolist() == [80, 80, 80]


def test_the_season_so_far_holds_nothing_later(pixels: PixelSeries) -> None:
    early = pixels.first_steps(4)
    assert early.values.shape == (240, 4, 2)
    assert early.steps == pixels.steps[:4]


def test_joined_sets_share_regions_by_name_and_never_a_block() -> None:
    one, other = drawn(60), replace(drawn(80, seed=1), regions=("south", "west"))
    both = joined([one, other])
    assert len(both) == 140
    assert both.regions == ("north", "south", "west")
    assert [both.regions[i] for i in both.region[60:]] == [other.regions[i] for i in other.region]
    assert not set(both.block[:60]) & set(both.block[60:])


def test_what_does_not_fit_is_refused_by_name(pixels: PixelSeries) -> None:
    with pytest.raises(CropError, match="block has shape"):
        replace(pixels, block=pixels.block[:5])
    with pytest.raises(CropError, match="there are 2 names"):
        replace(pixels, legend=("a", "b"))
    with pytest.raises(CropError, match="differ in their bands"):
        joined([pixels, replace(pixels, bands=("VV", "VH"))])
