"""Monthly weather: units that are checked, and means over polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import xarray as xr
from shapely.geometry import box

from models.earth.area_means import area_means
from models.earth.areas import read_boundaries
from models.earth.errors import EarthInputError, MissingMonthError
from models.earth.periods import months
from models.earth.variables import VARIABLES
from models.earth.weather import monthly_weather, weather_files, weather_table
from tests.models.earth.drawn import weather_of, write_boundary, write_weather

SPRING = months("2023-04", "2023-06")


def boundaries(*boxes: tuple[float, float, float, float]) -> Any:
    names = [f"c{number}" for number in range(len(boxes))]
    return geopandas.GeoDataFrame({"name": names}, geometry=[box(*bounds) for bounds in boxes], crs="EPSG:4326")


def rewrite(path: Path, change: Any) -> None:
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as opened:
        data = opened.load()
    change(data).to_netcdf(path, engine="h5netcdf")


def test_the_eleven_variables_come_in_the_paper_s_order(tmp_path: Path) -> None:
    files = weather_files([write_weather(tmp_path / "fldas")])
    assert len(files) == 7
    means = monthly_weather(files, SPRING, read_boundaries(write_boundary(tmp_path / "o.geojson")))
    assert means.shape == (1, 3, 11)
    expected = [[weather_of(number, month) for number in range(11)] for month in (4, 5, 6)]
    np.testing.assert_allclose(means[0], expected, rtol=1e-5)


def test_a_polygon_s_mean_weighs_cells_by_the_part_inside() -> None:
    # four cells of a degree at the equator, of which a box takes a quarter of one and half of its neighbour
    places = {"x": [0.5, 1.5], "y": [1.5, 0.5]}
    layer = xr.DataArray([[[1.0, 2.0], [3.0, np.nan]]], dims=("time", "y", "x"), coords=places)
    areas = boundaries((0.5, 1.5, 1.0, 2.0), (0.75, 1.0, 1.5, 2.0), (0, 0, 2, 2), (1.1, 0.1, 1.9, 0.9))
    means = area_means(layer, areas)
    assert means[:, 0] == pytest.approx([1, (0.25 * 1 + 0.5 * 2) / 0.75, 2, np.nan], rel=1e-3, nan_ok=True)


def test_gldas_is_read_under_its_own_names_and_units(tmp_path: Path) -> None:
    folder = write_weather(tmp_path, range(4, 5))
    (file,) = weather_files([folder])

    def as_gldas(data: xr.Dataset) -> xr.Dataset:
        for variable in VARIABLES:
            if variable.layer_mm is not None:
                data[variable.name] = data[variable.name] * variable.layer_mm
                data[variable.name].attrs["units"] = "kg m-2"
        names = {variable.name: variable.gldas for variable in VARIABLES if variable.name != variable.gldas}
        renamed: xr.Dataset = data.rename({**names, "X": "lon", "Y": "lat"})
        return renamed

    before = monthly_weather([file], SPRING[:1], boundaries((11, 48, 12, 49)))
    rewrite(file, as_gldas)
    np.testing.assert_allclose(monthly_weather([file], SPRING[:1], boundaries((11, 48, 12, 49))), before, rtol=1e-5)


@pytest.mark.parametrize(("unit", "factor"), [("hPa", 0.01), ("Pa", 1.0)])
def test_a_known_unit_is_converted(tmp_path: Path, unit: str, factor: float) -> None:
    (file,) = weather_files([write_weather(tmp_path, range(4, 5))])

    def change(data: xr.Dataset) -> xr.Dataset:
        data["Psurf_f_tavg"] = (data["Psurf_f_tavg"] * factor).assign_attrs(units=unit)
        return data

    rewrite(file, change)
    means = monthly_weather([file], SPRING[:1], boundaries((11, 48, 12, 49)))
    assert means[0, 0, 2] == pytest.approx(weather_of(2, 4), rel=1e-5)


def unit(name: str, told: str) -> Any:
    def change(data: xr.Dataset) -> xr.Dataset:
        data[name].attrs["units"] = told
        return data

    return change


def celsius(data: xr.Dataset) -> xr.Dataset:
    data["Tair_f_tavg"] = (data["Tair_f_tavg"] - 273.15).assign_attrs(units="K")
    return data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (unit("Rainf_f_tavg", "mm/day"), "Rainf_f_tavg is in 'mm/day', and kg m-2 s-1 is wanted"),
        (unit("Wind_f_tavg", ""), "Wind_f_tavg is in 'no unit', and m s-1 is wanted"),
        (celsius, "Tair_f_tavg runs from .* K, and on Earth it stays between 190 and 330"),
        (lambda data: data.drop_vars("Evap_tavg"), r"has neither Evap_tavg \(FLDAS\) nor Evap_tavg \(GLDAS\)"),
        (lambda data: data.rename(X="a", Y="b"), "has no longitudes and latitudes"),
        (lambda data: data.isel(X=slice(0, 3)), "does not reach the boundary"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, change: Any, said: str) -> None:
    (file,) = weather_files([write_weather(tmp_path, range(4, 5))])
    rewrite(file, change)
    with pytest.raises(EarthInputError, match=rf"A202304\.001\.nc.*{said}"):
        monthly_weather([file], SPRING[:1], boundaries((11, 48, 12, 49)))


def test_a_file_that_is_no_netcdf_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.nc").write_text("<html>Please log in</html>")
    with pytest.raises(EarthInputError, match=r"page\.nc cannot be read as monthly NetCDF .*; fetch it again"):
        monthly_weather(weather_files([tmp_path]), SPRING[:1], boundaries((11, 48, 12, 49)))


def test_a_month_without_a_file_is_refused(tmp_path: Path) -> None:
    folder = write_weather(tmp_path, range(5, 6))
    with pytest.raises(MissingMonthError, match="there is no weather of 2023-04, 2023-06 in 1 files; add"):
        monthly_weather(weather_files([folder]), SPRING, boundaries((11, 48, 12, 49)))


def test_a_polygon_in_the_sea_is_refused(tmp_path: Path) -> None:
    (file,) = weather_files([write_weather(tmp_path, range(4, 5))])
    rewrite(file, lambda data: data.where(data["X"] < 11.5))
    with pytest.raises(MissingMonthError, match=r"polygon 2 meets no cell with Evap_tavg in 2023-04"):
        monthly_weather([file], SPRING[:1], boundaries((11, 48, 11.2, 48.2), (12, 48, 12.2, 48.2)))


def test_a_folder_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(EarthInputError, match=r"there is no NetCDF file \(.nc, .nc4\) at"):
        weather_files([tmp_path])


def test_the_table_has_a_row_a_polygon_and_month(tmp_path: Path) -> None:
    areas = boundaries((11, 48, 11.2, 48.2), (12, 48, 12.2, 48.2))
    table = weather_table(np.arange(66.0).reshape(2, 3, 11), SPRING, areas)
    assert table["name"].tolist() == ["c0"] * 3 + ["c1"] * 3
    assert table["month"].tolist() == ["2023-04", "2023-05", "2023-06"] * 2
    assert table["Wind_f_tavg [m s-1]"].tolist() == [10, 21, 32, 43, 54, 65]
