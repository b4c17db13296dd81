"""The stack of features: the paper's 26, each equal to what its own function makes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from models.earth.errors import EarthInputError
from models.earth.features import BANDS, FeatureSettings, feature_stack
from models.earth.glcm import TextureSettings, textures
from models.earth.indices import indices
from models.earth.phenology import surrogates
from models.earth.terrain import terrain


def composites() -> xr.Dataset:
    """Reflectance from April to October on 20 x 24 cells of 10 m."""
    random = np.random.default_rng(0)
    shape = (7, 20, 24)
    values = {band: random.uniform(0.02, 0.5, shape).astype(np.float32) for band in BANDS}
    for band in values.values():
        band[2, 5, 6] = np.nan
        band[:, 7, 8] = np.nan
    coords = {"month": np.arange(4, 11), "y": 4_000_000 - 10.0 * np.arange(20), "x": 600_000 + 10.0 * np.arange(24)}
    return xr.Dataset({name: (("month", "y", "x"), band) for name, band in values.items()}, coords=coords)


def elevation() -> xr.DataArray:
    of = composites()
    z = np.random.default_rng(1).normal(1500, 5, (20, 24)).astype(np.float32)
    return xr.DataArray(z, dims=("y", "x"), coords={"y": of.y, "x": of.x})


def test_the_papers_features() -> None:
    """Ten bands, five indices and two surrogates (with their ratio), six textures, elevation, slope and aspect."""
    stack = feature_stack(composites(), elevation())
    assert list(stack) == [
        *BANDS,
        *("NDVI", "EVI", "SAVI", "VARI", "BSI"),
        *("B08_asm", "B08_contrast", "B08_corr", "B08_var", "B08_savg", "B08_ent"),
        *("OPAI_s", "OGDI_s", "OMI_s"),
        *("elevation_m", "slope_deg", "aspect_sin", "aspect_cos"),
    ]
    assert {values.dims for values in stack.values()} == {("y", "x")}


def test_each_is_what_its_own_function_makes() -> None:
    given, dem = composites(), elevation()
    stack = feature_stack(given, dem)
    median = given.median("month")
    np.testing.assert_array_equal(stack.B11, median.B11)
    np.testing.assert_array_equal(stack.EVI, indices(median).EVI)
    np.testing.assert_array_equal(stack.B08_ent, textures(median.B08).B08_ent)
    np.testing.assert_array_equal(stack.OGDI_s, surrogates(indices(given).NDVI).OGDI_s)
    np.testing.assert_array_equal(stack.slope_deg, terrain(dem).slope_deg)


def test_a_cell_that_was_never_clear_has_no_features_and_one_month_without_it_does_not_matter() -> None:
    stack = feature_stack(composites())
    known = np.array([values.notnull().to_numpy() for values in stack.values()])
    assert not known[:, 7, 8].any()
    assert known[:, 5, 6].all()


def test_by_month_each_month_has_its_own_bands_and_indices() -> None:
    given = composites()
    settings = FeatureSettings(("B04", "B08"), ("NDVI",), by_month=True, texture_band=None, phenology=None)
    stack = feature_stack(given, settings=settings)
    assert list(stack)[:3] == ["B04_04", "B04_05", "B04_06"]
    assert len(stack) == 3 * 7
    np.testing.assert_array_equal(stack.NDVI_09, indices(given, ["NDVI"]).NDVI.sel(month=9))


def test_lazily_as_in_memory() -> None:
    lazy = feature_stack(composites().chunk(month=2, y=8, x=9), elevation().chunk(y=8, x=9))
    assert all(values.chunks for values in lazy.values())
    xr.testing.assert_identical(feature_stack(composites(), elevation()), lazy.compute())


def test_settings_are_a_record_of_what_was_made() -> None:
    record = FeatureSettings(texture=TextureSettings(size_px=2)).as_record()
    assert record["texture"]["size_px"] == 2
    assert record["phenology"]["early"] == (4, 5)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(EarthInputError, match="lack B02, B11;"):
        feature_stack(composites().drop_vars(["B02", "B11"]))
    with pytest.raises(EarthInputError, match="lacks the months 10"):
        feature_stack(composites().sel(month=slice(4, 9)))
    with pytest.raises(EarthInputError, match="no dimension month"):
        feature_stack(composites().rename(month="time"))
    with pytest.raises(EarthInputError, match="another grid in y"):
        feature_stack(composites(), elevation().assign_coords(y=elevation().y + 5))
