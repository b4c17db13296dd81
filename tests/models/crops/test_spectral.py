"""Logarithms and indices a network may see, inside the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.crops.series import CropError, PixelSeries
from models.crops.spectral import Spectra

BANDS = ("B02", "B03", "B04", "B05", "B08", "B8A", "B11", "B12")
CROP = (0.04, 0.08, 0.05, 0.12, 0.45, 0.5, 0.25, 0.15)


def test_logarithms_then_indices_by_hand() -> None:
    spectra = Spectra(BANDS)
    found = dict(zip(spectra.names, spectra(torch.tensor([[CROP]]))[0, 0].tolist(), strict=True))
    assert spectra.names[: len(BANDS)] == tuple(f"log {band}" for band in BANDS)
    assert found["log B08"] == pytest.approx(np.log(0.45), rel=1e-5)
    expected = {"NDVI": 0.8, "NDWI": -0.37 / 0.53, "LSWI": 0.2 / 0.7, "NDTI": 0.1 / 0.4, "NDRE": 0.38 / 0.62}
    expected["EVI"] = 2.5 * 0.4 / (0.45 + 6 * 0.05 - 7.5 * 0.04 + 1)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-5), name


def test_only_indices_whose_bands_are_there() -> None:
    assert Spectra(("B08", "B04")).names == ("log B08", "log B04", "NDVI")


def test_black_and_blinding_pixels_stay_finite() -> None:
    series = torch.tensor([[[0.0] * len(BANDS)], [[-0.01] * len(BANDS)], [[1.6] * len(BANDS)]])
    assert torch.isfinite(Spectra(BANDS)(series)).all()


def test_light_is_a_shift_of_the_logarithms_and_nothing_to_the_differences() -> None:
    spectra = Spectra(BANDS)
    dim, bright = (spectra(torch.tensor([[CROP]]) * light)[0, 0] for light in (1.0, 1.2))
    torch.testing.assert_close(bright[: len(BANDS)] - dim[: len(BANDS)], torch.full((len(BANDS),), np.log(1.2)))
    torch.testing.assert_close(bright[len(BANDS) : -1], dim[len(BANDS) : -1])


def test_pixels_get_their_names_and_others_are_refused(pixels: PixelSeries) -> None:
    seen = Spectra(pixels.bands).of(replace(pixels, values=np.abs(pixels.values)))
    assert seen.bands == ("log B08", "log B04", "NDVI")
    assert seen.values.shape == (*pixels.values.shape[:2], 3)
    with pytest.raises(CropError, match="VV is no band of reflectance"):
        Spectra(("B08", "VV"))
