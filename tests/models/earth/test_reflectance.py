"""Digital numbers, offsets and clouds."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np
import pystac
import pytest

from models.earth.bands import BANDS, asset_of, checked_bands
from models.earth.clear import clear_of_qa60, clear_of_scl
from models.earth.errors import EarthInputError, SceneError
from models.earth.reflectance import check_offset, offset_of, to_reflectance


def item(**properties: Any) -> pystac.Item:
    return pystac.Item("S2A_X", None, None, datetime(2023, 7, 1, tzinfo=timezone.utc), properties)


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:processing_baseline": "02.14"}, 0),
        ({"s2:processing_baseline": "03.01"}, 0),
        ({"s2:processing_baseline": "04.00"}, -1000),
        ({"s2:processing_baseline": "05.09"}, -1000),
        ({"processing:version": "05.10"}, -1000),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 0),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, -1000),
    ],
)
def test_the_offset_follows_from_the_processing_baseline(properties: dict[str, Any], offset: int) -> None:
    assert offset_of(item(**properties)) == offset


@pytest.mark.parametrize("properties", [{}, {"s2:processing_baseline": "new"}])
def test_a_scene_without_a_baseline_is_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(SceneError, match=r"scene S2A_X does not say its processing baseline, .*; add the property"):
        offset_of(item(**properties))


def test_reflectance_is_ten_thousandths_and_zero_is_no_data() -> None:
    numbers = np.array([[0, 1, 1000], [2500, 11000, 65535]], np.uint16)
    np.testing.assert_array_equal(
        to_reflectance(numbers, -1000), np.array([[np.nan, -0.0999, 0], [0.15, 1, 6.4535]], np.float32)
    )
    assert to_reflectance(numbers, 0)[1, 0] == np.float32(0.25)


def test_an_offset_that_was_taken_out_before_shows_and_is_refused() -> None:
    clear = np.ones((4, 4), np.bool_)
    true = np.full((4, 4), 0.04, np.float32)
    check_offset("S2A_X", "B04", true, clear)
    with pytest.raises(SceneError, match=r"scene S2A_X: more than a quarter of B04's clear pixels .* below zero"):
        check_offset("S2A_X", "B04", true - np.float32(0.1), clear)
    check_offset("S2A_X", "B04", true - np.float32(0.1), ~clear)  # of clouds nothing follows


def test_clear_is_what_the_scene_classification_says() -> None:
    clear = clear_of_scl(np.arange(12, dtype=np.uint16))
    assert np.flatnonzero(clear).tolist() == [4, 5, 6, 7]
    assert clear_of_scl(np.array([2, 3, 255]), keep=(2,)).tolist() == [True, False, False]


def test_clear_is_what_qa60_has_neither_cloud_bit_for() -> None:
    assert clear_of_qa60(np.array([0, 1 << 10, 1 << 11, 3 << 10, 1], np.uint16)).tolist() == [True, *[False] * 3, True]


@pytest.mark.parametrize("assets", [{"B08", "red"}, {"nir", "red"}, {"B08_10m"}])
def test_catalogues_call_a_band_by_different_names(assets: set[str]) -> None:
    assert asset_of("B08", assets) in {"B08", "nir", "B08_10m"}
    assert asset_of("B12", assets) is None


def test_an_unknown_band_is_named() -> None:
    assert checked_bands(["B02"]) == ("B02",)
    with pytest.raises(EarthInputError, match=f"no band 'B10'; it has {', '.join(BANDS)}"):
        checked_bands(["B02", "B10"])
