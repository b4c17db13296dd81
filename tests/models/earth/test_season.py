"""The season file: made of scenes and weather, read again by what a device has."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from shapely.geometry import shape

from device.season_cells import SeasonCells, parse_season_cells
from models.earth.areas import cells_of, degree_grid, read_boundaries
from models.earth.catalogue import Search, find_items
from models.earth.errors import EarthInputError, MissingMonthError, SceneError
from models.earth.gathering import Reporting, Source, make_season
from models.earth.periods import months
from models.earth.season import SeasonRequest, pack_bits, pack_series
from models.earth.variables import BANDS, INDICES, VARIABLES
from models.earth.weather import monthly_weather, weather_files
from tests.models.earth.catalogues import bavarian_field, field_cells, save_catalogue
from tests.models.earth.drawn import (
    DAYS,
    draw_season,
    orchard,
    reflectance_of,
    weather_of,
    write_boundary,
    write_weather,
)


def made(folder: Path, items: list[pystac.Item], last: str = "2023-10", **reporting: Any) -> bytes:
    """The season file of the drawn orchard."""
    catalogue = save_catalogue(folder / "catalogue", items)
    boundaries = read_boundaries(write_boundary(folder / "orchard.geojson"))
    wanted = months("2023-04", last)
    weather = monthly_weather(weather_files([write_weather(folder / "fldas")]), wanted, boundaries)[0]
    grid = degree_grid(orchard(), 50)
    request = SeasonRequest("North farm", 2023, wanted, grid, cells_of(orchard(), grid))
    source = Source(str(catalogue), "sentinel-2-l2a", None, folder / "cache")
    return make_season(source, orchard(), request, "SCL", weather, Reporting(**reporting))


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("season")
    return made(folder, draw_season(folder / "files"))


@pytest.fixture
def cells(season: bytes) -> SeasonCells:
    return parse_season_cells(json.loads(season), "s.json")


def middle(cells: SeasonCells, east: bool) -> tuple[float, float]:
    """A place in the orchard's eastern half, which is always clear, or in its western."""
    grid = cells.grid
    column = grid.columns * (0.7 if east else 0.3)
    return grid.north - grid.rows / 2 * grid.cell_height_deg, grid.west + column * grid.cell_width_deg


def test_every_month_and_variable_is_what_was_drawn(cells: SeasonCells) -> None:
    assert cells.months == (4, 5, 6, 7, 8, 9, 10)
    east, west = (cells.at_trees("B1", {"T1": middle(cells, side)}) for side in (True, False))
    for number, month in enumerate(cells.months):
        for band in BANDS:
            first, second = (reflectance_of(band, date(2023, month, day)) for day in DAYS)
            # both dates in the east, and their median is their mean; in the west the second was cloud
            assert east.values[band][number] == pytest.approx((first + second) / 2, abs=0.0004)
            assert west.values[band][number] == pytest.approx(first, abs=0.0004)
        blue, red, near = (west.values[band][number] for band in ("B02", "B04", "B08"))
        assert west.values["NDVI"][number] == pytest.approx((near - red) / (near + red), abs=0.003)
        evi = 2.5 * (near - red) / (near + 6 * red - 7.5 * blue + 1)
        assert west.values["EVI"][number] == pytest.approx(evi, abs=0.003)
        for index, variable in enumerate(VARIABLES):
            assert west.values[variable.name][number] == pytest.approx(weather_of(index, month), rel=1e-5)
    assert east.clear_share.tolist() == [1] * 7
    assert west.clear_share.tolist() == [0.5] * 7


def test_acquisitions_are_told_with_their_days_and_clouds(season: bytes, cells: SeasonCells) -> None:
    told = json.loads(season)["acquisitions"]
    assert [entry["day"] for entry in told][:3] == ["2023-04-05", "2023-04-20", "2023-05-05"]
    assert told[0] == {"day": "2023-04-05", "scenes": ["S2B_MSIL2A_20230405"], "clear_share": 1.0}
    assert told[1]["clear_share"] == pytest.approx(0.5, abs=0.03)
    assert cells.days[1] == date(2023, 4, 20)
    assert cells.clear_share().shape == (7, cells.grid.rows, cells.grid.columns)


def test_the_orchard_s_mean_is_over_its_own_cells(cells: SeasonCells) -> None:
    assert cells.orchard.sum() * 100 == pytest.approx(400 * 400, rel=0.02)
    expected = cells.series["B08"][:, cells.orchard].mean(axis=1)
    np.testing.assert_allclose(cells.of_orchard().values["B08"], expected)


def test_features_come_in_the_order_a_model_asks_for(cells: SeasonCells) -> None:
    names = [*BANDS, *(variable.name for variable in VARIABLES), *INDICES]
    means = cells.at_trees("B1", {"T1": middle(cells, True), "T2": middle(cells, False)})
    table = means.features(names, range(4, 11))
    assert table.shape == (7, 18)
    np.testing.assert_array_equal(table[:, names.index("Tair_f_tavg")], means.values["Tair_f_tavg"])
    np.testing.assert_array_equal(means.features(names, [6, 5]), table[[2, 1]])


def test_a_device_reads_it_with_numpy_alone(season: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_bytes(season)
    code = """
import json, sys
for name in ("rasterio", "xarray", "dask", "numba", "pandas", "geopandas", "shapely", "pyproj", "scipy", "torch"):
    sys.modules[name] = None
from device.season_cells import parse_season_cells
cells = parse_season_cells(json.load(open(sys.argv[1], encoding="utf-8")), "s.json")
print(cells.of_orchard().values["B08"][0])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "s.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 0.1 < float(done.stdout) < 0.3


@pytest.mark.parametrize("scenes", [0, 2])
def test_a_month_that_was_not_seen_is_refused_by_name(tmp_path: Path, scenes: int) -> None:
    items = draw_season(tmp_path / "files")
    september = [item for item in items if item.id.startswith("S2B_MSIL2A_202309")]
    if not scenes:
        items = [item for item in items if item not in september]
    for item in september:
        with rasterio.open(item.assets["SCL"].href, "r+") as file:
            file.write(np.full(file.shape, 9, np.uint8), 1)
    said = rf"season of North farm lacks 2023-09 \(scenes: {scenes}, clear somewhere in 0%"
    with pytest.raises(MissingMonthError, match=said) as told:
        made(tmp_path, items)
    assert "end the file before (--last)" in str(told.value)


def test_a_file_may_end_before_the_season_does(tmp_path: Path) -> None:
    cells = parse_season_cells(json.loads(made(tmp_path, draw_season(tmp_path / "files"), last="2023-06")), "june.json")
    assert cells.months == (4, 5, 6)


def test_a_broken_scene_is_told_and_the_others_make_the_file(tmp_path: Path) -> None:
    items = draw_season(tmp_path / "files", range(4, 6))
    Path(items[1].assets["B08"].href).unlink()
    del items[3].assets["B12"]
    said: list[SceneError] = []
    content = json.loads(made(tmp_path, items, last="2023-05", left_out=said.append))
    assert [entry["day"] for entry in content["acquisitions"]] == ["2023-04-05", "2023-05-05"]
    assert sorted(str(error).split()[1].rstrip(":") for error in said) == ["S2B_MSIL2A_20230420", "S2B_MSIL2A_20230520"]


def test_without_any_scene_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EarthInputError, match=r"has no scene of sentinel-2-l2a here from 2023-04-01 .*; check"):
        made(tmp_path, [], last="2023-05")


def test_steps_of_a_series_and_flags_survive_packing() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.2, 0.2, (3, 5, 7)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[0, 0, :3] = 99, -99, 0  # beyond what 16 bits hold: cut off, never wrapped round
    flags = rng.random((3, 5, 7)) < 0.5
    content = {
        "schema": "pomona-season/1",
        "grid": {"north": 48, "west": 11, "cell_height_deg": 1e-4, "cell_width_deg": 1e-4, "rows": 5, "columns": 7},
        "months": [4, 5, 6],
        "variables": {"B02": {"unit": "1", "step": 0.0005, "packed": pack_series(values, 0.0005)}},
        "orchard_cells": pack_bits(flags[0]),
        "acquisitions": [{"day": f"2023-0{month}-01"} for month in (4, 5, 6)],
        "clear": pack_bits(flags),
    }
    cells = parse_season_cells(content, "s.json")
    np.testing.assert_array_equal(np.isnan(cells.series["B02"]), np.isnan(values))
    np.testing.assert_allclose(cells.series["B02"], np.clip(values, -16.3835, 16.3835), atol=0.00026)
    np.testing.assert_array_equal(cells.clear, flags)
    np.testing.assert_array_equal(cells.orchard, flags[0])


def test_an_orchard_of_thirty_hectares_takes_a_few_hundred_kilobytes(tmp_path: Path, data: Path) -> None:
    """Noise of real pixels decides: the share of a Bavarian field is scaled to 30 ha with a margin of 50 m."""
    catalogue = bavarian_field(data, tmp_path)
    year = Search("sentinel-2-l2a", (-180, -90, 180, 90), date(2018, 4, 1), date(2018, 7, 31))
    area = shape(find_items(str(catalogue), year)[0].geometry)
    grid = degree_grid(area)
    request = SeasonRequest("D4", 2018, months("2018-04", "2018-07"), grid, np.ones(grid.shape.yx, np.bool_))
    source = Source(str(catalogue), "sentinel-2-l2a", None, tmp_path / "cache")
    with pytest.raises(MissingMonthError, match=r"lacks 2018-04 \(.*clear somewhere in 4\d%"):
        make_season(source, area, request, "SCL", np.ones((4, 11)), Reporting())  # the field fills less than half of it
    inside = field_cells(catalogue, grid)
    request = SeasonRequest("D4", 2018, request.months, grid, inside)
    content = make_season(source, area, request, "SCL", np.ones((4, 11)), Reporting())
    a_cell_and_month = len(content) / inside.sum() / 4
    cells = (548 + 100) ** 2 / 100  # a square of 30 ha with its margin
    assert cells * 7 * a_cell_and_month < 500_000
