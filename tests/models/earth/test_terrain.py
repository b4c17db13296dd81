"""Slope and aspect: planes whose slope is known, compass directions, edges and gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import rioxarray  # noqa: F401  (gives rasters their .rio)
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.earth.errors import EarthInputError
from models.earth.terrain import terrain

# a step east, then one north; downhill is against them
COMPASS = {
    0: (0, -1),
    45: (-1, -1),
    90: (-1, 0),
    135: (-1, 1),
    180: (0, 1),
    225: (1, 1),
    270: (1, 0),
    315: (1, -1),
}


def ground(rise_east: float, rise_north: float, x_step: float = 10, y_step: float = -10) -> xr.DataArray:
    """A plane; the first row is the northernmost."""
    x, y = 500_000 + x_step * np.arange(12), 3_800_000 + y_step * np.arange(9)
    z = rise_east * (x[None, :] - x[0]) + rise_north * (y[:, None] - y[0]) + 1200
    return xr.DataArray(z, dims=("y", "x"), coords={"y": y, "x": x}, name="DEM")


def inner(found: xr.Dataset, name: str) -> NDArray[np.floating[Any]]:
    values: NDArray[np.floating[Any]] = found[name].to_numpy()
    return values[1:-1, 1:-1]


@given(st.floats(-2, 2), st.floats(-2, 2), st.sampled_from([10.0, 30.0]), st.sampled_from([-10.0, -20.0, 25.0]))
def test_a_plane_has_one_slope_and_one_aspect(east: float, north: float, x_step: float, y_step: float) -> None:
    found = terrain(ground(east, north, x_step, y_step))
    rise = np.hypot(east, north)
    np.testing.assert_allclose(inner(found, "slope_deg"), np.degrees(np.arctan(rise)), atol=1e-6)
    if rise > 1e-3:
        np.testing.assert_allclose(inner(found, "aspect_sin"), -east / rise, atol=1e-5)
        np.testing.assert_allclose(inner(found, "aspect_cos"), -north / rise, atol=1e-5)


@pytest.mark.parametrize(("degrees", "rise"), COMPASS.items())
def test_aspect_is_where_water_runs_to_clockwise_from_north(degrees: int, rise: tuple[int, int]) -> None:
    found = terrain(ground(*rise))
    np.testing.assert_allclose(inner(found, "aspect_deg"), degrees, atol=1e-9)
    np.testing.assert_allclose(inner(found, "slope_deg"), np.degrees(np.arctan(np.hypot(*rise))))


def test_flat_ground_faces_nowhere() -> None:
    found = terrain(ground(0, 0))
    assert (inner(found, "slope_deg") == 0).all()
    assert np.isnan(inner(found, "aspect_deg")).all()
    assert (inner(found, "aspect_sin") == 0).all()
    assert (inner(found, "aspect_cos") == 0).all()


def test_horns_weights() -> None:
    """One raised cell: its neighbours beside it see twice what those at its corners see."""
    dem = ground(0, 0)
    dem[4, 5] += 80
    found = terrain(dem)
    tangent = np.tan(np.radians(found.slope_deg.to_numpy()))
    assert tangent[4, 4] == pytest.approx(2 * 80 / 80)
    assert tangent[3, 4] == pytest.approx(np.hypot(1, 1))
    assert tangent[4, 5] == 0


def test_edges_and_what_is_beside_a_void_have_no_slope() -> None:
    dem = ground(0.1, 0.2)
    dem[4, 5] = np.nan
    known = terrain(dem).slope_deg.notnull().to_numpy()
    expected = np.zeros(dem.shape, dtype=bool)
    expected[1:-1, 1:-1] = True
    expected[3:6, 4:7] = False
    np.testing.assert_array_equal(known, expected)


def test_lazily_as_in_memory_and_in_single_precision() -> None:
    dem = ground(0.3, -0.1).astype(np.float32) + np.random.default_rng(0).normal(size=(9, 12)).astype(np.float32)
    eager, lazy = terrain(dem), terrain(dem.chunk(y=4, x=5))
    assert all(variable.chunks for variable in lazy.values())
    assert lazy.slope_deg.dtype == eager.slope_deg.dtype == np.float32
    xr.testing.assert_identical(eager, lazy.compute())


def test_whole_metres_are_taken_too() -> None:
    rounded = (ground(1, 0)).astype(np.int16)
    np.testing.assert_allclose(inner(terrain(rounded), "slope_deg"), 45, rtol=1e-6)


def test_feet_are_turned_into_metres() -> None:
    """Only the grid's: heights are metres."""
    metres = ground(0.5, 0).rio.write_crs("EPSG:32612")
    feet = ground(0.5, 0).assign_coords(x=metres.x / 0.3048006096, y=metres.y / 0.3048006096).rio.write_crs("EPSG:2229")
    np.testing.assert_allclose(inner(terrain(feet), "slope_deg"), inner(terrain(metres), "slope_deg"), rtol=1e-6)


def test_what_has_no_metres_is_refused() -> None:
    with pytest.raises(EarthInputError, match=r"DEM is in degrees \(EPSG:4326\).*reproject"):
        terrain(ground(1, 0).rio.write_crs("EPSG:4326"))
    uneven = ground(1, 0)
    with pytest.raises(EarthInputError, match="coordinates x of DEM are no even steps"):
        terrain(uneven.assign_coords(x=np.arange(12) ** 2))
    with pytest.raises(EarthInputError, match="needs two or more coordinates y"):
        terrain(uneven.isel(y=[0]))
