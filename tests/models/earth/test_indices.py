"""Spectral indices: numbers worked out elsewhere, zero denominators, and whatever array they are given."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import dask.array
import numpy as np
import pytest
import spyndex
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.earth.errors import EarthInputError
from models.earth.indices import INDICES, index, indices

# spyndex's names for bands and constants; what the table calls BSI, spyndex calls BI
LETTERS = {"B02": "B", "B03": "G", "B04": "R", "B08": "N", "B11": "S1"}
CONSTANTS = {"EVI": {"g": 2.5, "C1": 6.0, "C2": 7.5, "L": 1.0}, "SAVI": {"L": 0.5}}
THEIR_NAMES = {"BSI": "BI"}

VEGETATION = {"B02": 0.04, "B03": 0.08, "B04": 0.05, "B08": 0.45, "B11": 0.20}
SOIL = {"B02": 0.10, "B03": 0.14, "B04": 0.18, "B08": 0.24, "B11": 0.32}
BY_HAND = {
    "NDVI": (Fraction(40, 50), Fraction(6, 42)),
    "EVI": (Fraction(100, 145), Fraction(15, 157)),
    "SAVI": (Fraction(60, 100), Fraction(9, 92)),
    "VARI": (Fraction(3, 9), Fraction(-4, 22)),
    "BSI": (Fraction(-24, 74), Fraction(16, 84)),
}

Pixel = dict[str, float]


def value(name: str, pixel: Pixel) -> float:
    return float(index(name, *(np.float64(pixel[band]) for band in INDICES[name].bands)))


@pytest.mark.parametrize("name", INDICES)
def test_two_pixels_by_hand(name: str) -> None:
    for pixel, expected in zip((VEGETATION, SOIL), BY_HAND[name], strict=True):
        assert value(name, pixel) == pytest.approx(float(expected), abs=1e-12)


reflectance = st.floats(1e-4, 1.2)


@given(st.fixed_dictionaries(dict.fromkeys(LETTERS, reflectance)))
def test_spyndex_says_the_same(pixel: Pixel) -> None:
    for name, of in INDICES.items():
        given_bands = {LETTERS[band]: pixel[band] for band in of.bands}
        with np.errstate(divide="ignore", invalid="ignore"):
            parameters = {key: np.float64(number) for key, number in (given_bands | CONSTANTS.get(name, {})).items()}
            theirs = float(spyndex.computeIndex(THEIR_NAMES.get(name, name), parameters))
        ours = value(name, pixel)
        if np.isfinite(theirs):
            assert ours == pytest.approx(np.clip(theirs, -1, 1) if of.clipped else theirs, rel=1e-9, abs=1e-9), name
        else:
            assert np.isnan(ours), name


@pytest.mark.parametrize(
    ("name", "pixel"),
    [
        ("NDVI", {"B08": 0.0, "B04": 0.0}),
        ("VARI", {"B03": 0.25, "B04": 0.25, "B02": 0.5}),
        ("EVI", {"B08": 0.5, "B04": 0.0, "B02": 0.2}),
        ("BSI", dict.fromkeys(("B11", "B04", "B08", "B02"), 0.0)),
    ],
)
def test_a_denominator_of_zero_gives_no_value(name: str, pixel: Pixel) -> None:
    assert np.isnan(value(name, pixel))


def test_near_a_pole_values_stay_within_one() -> None:
    assert value("VARI", {"B03": 0.30, "B04": 0.20, "B02": 0.4999}) == 1
    assert value("VARI", {"B03": 0.20, "B04": 0.30, "B02": 0.4999}) == -1
    assert value("EVI", {"B08": 0.5, "B04": 0.1, "B02": 0.27}) == 1


def scene(kind: type = np.float32) -> xr.Dataset:
    random = np.random.default_rng(0)
    bands = {}
    for band in LETTERS:
        values: NDArray[Any] = random.uniform(0, 0.6, (20, 30)).astype(kind)
        values[random.uniform(size=values.shape) < 0.1] = np.nan
        values[:2] = 0
        bands[band] = (("y", "x"), values)
    return xr.Dataset(bands)


def test_every_kind_of_array_gives_the_same() -> None:
    bands = scene()
    eager = indices(bands)
    lazy = indices(bands.chunk(y=7, x=11))
    assert all(variable.chunks for variable in lazy.values())
    xr.testing.assert_identical(eager, lazy.compute())
    for name, of in INDICES.items():
        arrays = [bands[band].to_numpy() for band in of.bands]
        plain = index(name, *arrays)
        assert isinstance(plain, np.ndarray)
        np.testing.assert_array_equal(plain, eager[name])
        blocks = index(name, *(xr.DataArray(array).chunk(8).data for array in arrays))
        assert isinstance(blocks, dask.array.Array)
        np.testing.assert_array_equal(np.asarray(blocks), plain)


def test_single_precision_stays_single_and_what_is_missing_stays_missing() -> None:
    bands = scene().isel(y=slice(2, None))
    found = indices(bands)
    for name, of in INDICES.items():
        assert found[name].dtype == np.float32
        known = np.all([bands[band].notnull() for band in of.bands], axis=0)
        np.testing.assert_array_equal(found[name].notnull(), known)
        assert found[name].attrs["formula"] == of.formula


def test_formulas_in_words_name_their_bands() -> None:
    for of in INDICES.values():
        assert {word for word in LETTERS if word in of.formula} == set(of.bands)


def test_wrong_input_is_named() -> None:
    with pytest.raises(EarthInputError, match="NDRE is unknown; known are NDVI"):
        indices(scene(), ["NDRE"])
    with pytest.raises(EarthInputError, match="EVI needs B02; the scene has B03"):
        indices(scene().drop_vars("B02"), ["EVI"])
    counts: Any = (scene() * 10_000).fillna(0).astype(np.uint16)
    with pytest.raises(EarthInputError, match="B08 holds whole numbers; NDVI needs reflectance"):
        indices(counts, ["NDVI"])
