"""Sentinel-1: decibels, what the refined Lee filter keeps and lowers, and a regular series of steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.earth.errors import EarthInputError
from models.earth.radar import StepSettings, from_decibels, refined_lee, regular_series, to_decibels

LOOKS = 4.4
Image = NDArray[np.floating[Any]]


def speckle(shape: tuple[int, ...], looks: float = LOOKS, seed: int = 0) -> Image:
    """Multiplicative, of mean 1 and variance 1 / looks."""
    return np.random.default_rng(seed).gamma(looks, 1 / looks, shape)


def lee(image: Image, looks: float = LOOKS) -> Image:
    return refined_lee(xr.DataArray(image, dims=("y", "x")), looks).to_numpy()


def test_decibels_and_back() -> None:
    power = np.array([1.0, 0.1, 2.0, 0.0, -0.01, np.nan])
    np.testing.assert_allclose(to_decibels(power)[:3], [0, -10, 3.0103], atol=1e-4)
    assert np.isnan(to_decibels(power)[3:]).all()
    np.testing.assert_allclose(from_decibels(to_decibels(power[:3])), power[:3])
    assert to_decibels(power.astype(np.float32)).dtype == np.float32
    lazy = to_decibels(xr.DataArray(power).chunk(2).data)
    np.testing.assert_array_equal(lazy.compute(), to_decibels(power))


@pytest.mark.parametrize("value", [0.0, 0.037, 250.0])
def test_a_constant_stays(value: float) -> None:
    constant = np.full((20, 25), value, dtype=np.float32)
    np.testing.assert_array_equal(lee(constant), constant)


# which pixels lie on one side, and by how much of the step a pixel may be off: a diagonal that cuts only a corner of a
# window looks the same from two directions
EDGES: dict[str, tuple[Callable[[Image, Image], NDArray[np.bool_]], float]] = {
    "upright": (lambda _, x: x < 15, 0),
    "level": (lambda y, _: y < 14, 0),
    "falling": (lambda y, x: y < x, 0.11),
    "rising": (lambda y, x: y + x < 29, 0.11),
}


@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES)
def test_an_edge_without_speckle_stays_sharp(edge: tuple[Callable[[Image, Image], NDArray[np.bool_]], float]) -> None:
    side, off = edge
    low, high = np.float32(0.02), np.float32(0.3)
    image = np.where(side(*np.mgrid[:30, :30]), low, high)
    np.testing.assert_allclose(lee(image)[3:-3, 3:-3], image[3:-3, 3:-3], rtol=0, atol=off * (high - low))


def test_an_edge_under_speckle_keeps_the_level_of_each_side() -> None:
    """A plain mean over 7 x 7 would put the columns beside the edge 0.12 and more off."""
    image = np.where(np.mgrid[:400, :30][1] < 15, 0.02, 0.3) * speckle((400, 30))
    columns = lee(image).mean(axis=0)
    assert columns[14] == pytest.approx(0.02, abs=0.01)
    assert columns[15] == pytest.approx(0.3, abs=0.03)


def test_speckle_is_lowered_and_the_mean_kept() -> None:
    image = 0.08 * speckle((300, 300))
    filtered = lee(image)
    assert filtered.mean() == pytest.approx(image.mean(), rel=0.02)
    looks = filtered.mean() ** 2 / filtered[5:-5, 5:-5].var()
    assert looks > 8 * LOOKS


def test_a_bright_point_stays() -> None:
    """A corner reflector, far above what speckle does."""
    image = 0.05 * speckle((21, 21))
    image[10, 10] = 50
    assert lee(image)[10, 10] == pytest.approx(50, rel=0.25)


@given(st.integers(0, 2**32), st.integers(0, 7))
def test_turned_and_mirrored_images_are_filtered_alike(seed: int, turn: int) -> None:
    def turned(image: Image) -> Image:
        return np.rot90(image.T if turn & 4 else image, turn & 3)

    image = speckle((13, 17), seed=seed) + (np.mgrid[:13, :17][1] > 8)
    inside = (slice(3, -3), slice(3, -3))  # beyond the edges two sides may be unknown alike
    np.testing.assert_allclose(lee(turned(image))[inside], turned(lee(image))[inside], rtol=1e-12)


@given(st.integers(0, 2**32), st.floats(1e-4, 1e4))
def test_the_unit_of_power_does_not_matter(seed: int, factor: float) -> None:
    image = speckle((13, 17), seed=seed)
    np.testing.assert_allclose(lee(image * factor), lee(image) * factor, rtol=1e-9)


def test_without_speckle_to_explain_it_variance_is_kept() -> None:
    image = speckle((30, 30))
    np.testing.assert_allclose(lee(image, looks=1e12), image, rtol=1e-6)


def test_missing_pixels_stay_missing_and_spoil_no_others() -> None:
    image = np.full((20, 20), 0.1)
    image[5:8, 5:8] = np.nan
    image[15, :] = np.nan
    np.testing.assert_allclose(lee(image), image, rtol=1e-12)


def scenes() -> xr.DataArray:
    """Six scenes within five steps of 12 days: two in the first, none in the third, one before the first."""
    days = np.array(
        ["2021-03-30", "2021-04-02", "2021-04-08", "2021-04-14", "2021-05-10", "2021-05-22"], "datetime64[ns]"
    )
    power = np.array([9.0, 0.1, 0.3, 0.01, 0.1, 1.0])[:, None, None] * np.ones((6, 20, 30))
    return xr.DataArray(power, dims=("time", "y", "x"), coords={"time": days}, name="VH")


def test_lazily_as_in_memory() -> None:
    image = scenes() * speckle((6, 20, 30))
    image[2, 3, 4] = np.nan
    settings = StepSettings(date(2021, 4, 1), 5)
    lazy = image.chunk(time=1, y=7, x=11)
    assert refined_lee(lazy).chunks
    xr.testing.assert_identical(refined_lee(image), refined_lee(lazy).compute())
    assert regular_series(refined_lee(lazy), settings).chunks
    eager = regular_series(refined_lee(image), settings)
    xr.testing.assert_identical(eager, regular_series(refined_lee(lazy), settings).compute())


def test_steps_are_means_of_power_and_gaps_lines_in_decibels() -> None:
    series = regular_series(scenes(), StepSettings(date(2021, 4, 1), 5))
    np.testing.assert_allclose(series[:, 0, 0], [10 * np.log10(0.2), -20, -15, -10, 0])
    assert series.scenes.to_numpy().tolist() == [2, 1, 0, 1, 1]
    assert series.time.to_numpy().astype("datetime64[D]").astype(str).tolist() == [
        "2021-04-01",
        "2021-04-13",
        "2021-04-25",
        "2021-05-07",
        "2021-05-19",
    ]
    assert series.attrs["units"] == "dB"


def test_nothing_is_made_up_outside_the_scenes_or_in_long_gaps() -> None:
    late = regular_series(scenes(), StepSettings(date(2021, 3, 6), 9))[:, 0, 0]
    assert late.isnull().to_numpy().tolist() == [True, True, False, False, False, False, False, True, True]
    short = regular_series(scenes(), StepSettings(date(2021, 4, 1), 5, longest_gap_days=12))[:, 0, 0]
    assert short.isnull().to_numpy().tolist() == [False, False, True, False, False]


def test_a_pixel_that_one_scene_misses_is_the_mean_of_the_others() -> None:
    holed = scenes()
    holed[1, 0, 0] = np.nan
    series = regular_series(holed, StepSettings(date(2021, 4, 1), 5))
    assert float(series[0, 0, 0]) == pytest.approx(10 * np.log10(0.3))


def test_real_backscatter_is_smoothed_and_not_moved(data: Path) -> None:
    """Windows of 10 x 10 px of rice and others in An Giang, VH."""
    stored = np.load(data / "satellite" / "ey_rice_s1_angiang" / "train_s1_10x10_2022.npz")
    decibels = np.where(stored["X_db100"] == -9999, np.nan, stored["X_db100"] / 100)[:, 20, 1]
    power = xr.DataArray(from_decibels(decibels), dims=("window", "y", "x"))
    filtered = refined_lee(power)
    assert (filtered.isnull() == power.isnull()).all()
    spread = (filtered.std(("y", "x")) / power.std(("y", "x"))).to_numpy()
    assert np.nanmedian(spread) < 0.65
    moved = np.abs(np.log10(filtered.mean(("y", "x")) / power.mean(("y", "x"))) * 10).to_numpy()
    assert np.nanmedian(moved) < 0.15


def test_wrong_input_is_named() -> None:
    with pytest.raises(EarthInputError, match="looks is 0"):
        refined_lee(scenes(), looks=0)
    with pytest.raises(EarthInputError, match="VH holds whole numbers"):
        refined_lee(scenes().astype(np.int16))
    with pytest.raises(EarthInputError, match="no scene falls into the 3 steps of 12 days from 1999-01-01"):
        regular_series(scenes(), StepSettings(date(1999, 1, 1), 3))
    with pytest.raises(EarthInputError, match="VH has no dimension time"):
        regular_series(scenes().rename(time="date"), StepSettings(date(2021, 4, 1), 5))
    with pytest.raises(EarthInputError, match="0 steps"):
        StepSettings(date(2021, 4, 1), 0)
