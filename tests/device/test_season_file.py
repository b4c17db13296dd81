"""The season file: predicted yield in cells, so that any sampling area can be predicted offline."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import InputError
from device.season_file import parse_season_file

NORTH, WEST, CELL = 56.5, 24.0, 0.001
SEASON: dict[str, Any] = {
    "schema": "pomona-season/1",
    "season": "2025",
    "grid": {"north": NORTH, "west": WEST, "cell_height_deg": CELL, "cell_width_deg": 2 * CELL},
    "variables": {
        "predicted_yield": {"unit": "t/ha", "values": [[10, 20, 30], [40, None, 60]]},
        "ndvi": {"unit": "1", "values": [[0.5, 0.6, 0.7], [0.5, 0.6, 0.7]]},
    },
}
Change = Callable[[dict[str, Any]], object]


def in_cell(row: int, column: int, down: float = 0.5, right: float = 0.5) -> tuple[float, float]:
    """A place in a cell: the share of it from its upper and left edge."""
    return NORTH - CELL * (row + down), WEST + 2 * CELL * (column + right)


@given(st.integers(0, 1), st.integers(0, 2), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_tree_has_the_prediction_of_the_cell_it_stands_in(row: int, column: int, down: float, right: float) -> None:
    season = parse_season_file(SEASON, "s.json")
    if (row, column) == (1, 1):
        with pytest.raises(InputError, match=r"s\.json, season 2025 has no prediction where some trees of block B1"):
            season.at_trees_kg_per_ha("B1", {"T1": in_cell(row, column, down, right)})
        return
    expected = SEASON["variables"]["predicted_yield"]["values"][row][column] * 1000
    assert season.at_trees_kg_per_ha("B1", {"T1": in_cell(row, column, down, right)}) == pytest.approx([expected])


def test_a_sampling_area_is_the_mean_over_its_trees() -> None:
    trees = {"T1": in_cell(0, 0), "T2": in_cell(0, 0), "T3": in_cell(1, 2)}
    assert parse_season_file(SEASON, "s.json").at_trees_kg_per_ha("B1", trees).mean() == pytest.approx(80_000 / 3)


def test_the_orchard_is_the_mean_over_the_cells_that_have_a_prediction() -> None:
    assert parse_season_file(SEASON, "s.json").orchard_kg_per_ha() == pytest.approx(160_000 / 5)


def test_the_source_names_file_and_season() -> None:
    assert parse_season_file(SEASON, "s.json").source == "s.json, season 2025"


@pytest.mark.parametrize("place", [in_cell(-1, 0), in_cell(2, 0), in_cell(0, -1), in_cell(0, 3)])
def test_a_tree_outside_the_grid_is_named_with_its_place(place: tuple[float, float]) -> None:
    season = parse_season_file(SEASON, "s.json")
    with pytest.raises(InputError, match=rf"tree T2 of block B1 at {place[0]:.5f}, {place[1]:.5f} lies outside"):
        season.at_trees_kg_per_ha("B1", {"T1": in_cell(0, 0), "T2": place})


@pytest.mark.parametrize("place", [(None, None), (None, WEST), (NORTH, None)])
def test_a_tree_without_a_place_is_named_with_the_remedy(place: tuple[float | None, float | None]) -> None:
    season = parse_season_file(SEASON, "s.json")
    with pytest.raises(InputError, match=r"tree T1 of block B1 has no place, .*; photograph with GPS on"):
        season.at_trees_kg_per_ha("B1", {"T1": place})


def test_kg_a_tree_needs_the_planting_density() -> None:
    content = copy.deepcopy(SEASON)
    content["variables"]["predicted_yield"]["unit"] = "kg/tree"
    assert parse_season_file(content, "s.json", 500).at_trees_kg_per_ha("B1", {"T1": in_cell(0, 0)}) == pytest.approx(
        [5000]
    )
    with pytest.raises(InputError, match=r"s\.json: variable 'predicted_yield': kg/tree needs the planting density"):
        parse_season_file(content, "s.json")


def predicted(values: object) -> Change:
    return lambda season: season["variables"]["predicted_yield"].update(values=values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: s.update(schema="pomona-season/2"),
            "of schema 'pomona-season/2' and this Pomona reads .*; upgrade",
        ),
        (lambda s: s.pop("grid"), r"grid\.north is None, no number of degrees; fetch it again"),
        (lambda s: s["grid"].update(west="24"), r"grid\.west is '24'"),
        (lambda s: s["grid"].update(north=float("nan")), r"grid\.north is nan"),
        (lambda s: s["grid"].update(cell_width_deg=0), r"grid\.cell_width_deg is 0"),
        (lambda s: s["grid"].update(cell_height_deg=-1), r"grid\.cell_height_deg is -1"),
        (lambda s: s.pop("variables"), "has no variable 'predicted_yield'; fetch it again from the server"),
        (lambda s: s["variables"].pop("predicted_yield"), "has no variable 'predicted_yield'"),
        (lambda s: s["variables"]["predicted_yield"].pop("unit"), "variable 'predicted_yield' has no unit"),
        (
            lambda s: s["variables"]["ndvi"].pop("unit"),
            "variable 'ndvi' has no unit, .*; fetch it again",
        ),
        (lambda s: s["variables"].update(ndvi=3), "variable 'ndvi' has no unit"),
        (lambda s: s["variables"]["predicted_yield"].update(unit="kg"), "'predicted_yield': unit 'kg' is unknown"),
        (predicted(None), "values is no table of numbers"),
        (predicted([]), "values is no table of numbers"),
        (predicted([1, 2]), "values is no table of numbers"),
        (predicted([[1, 2], [3]]), "values is no table of numbers with rows of one length"),
        (predicted([["many"]]), "values is no table of numbers"),
        (predicted([[None]]), "values must be above 0, or null where there is no prediction"),
        (predicted([[1, 0]]), "values must be above 0"),
        (predicted([[1, float("inf")]]), "values must be above 0"),
    ],
)
def test_what_is_wrong_with_a_season_file_is_named(change: Change, said: str) -> None:
    content = copy.deepcopy(SEASON)
    change(content)
    with pytest.raises(InputError, match=rf"s\.json.*{said}"):
        parse_season_file(content, "s.json")


def test_variables_of_one_figure_a_cell_say_how_the_sampling_area_differs() -> None:
    season = parse_season_file(SEASON, "s.json")
    sampled, orchard = season.features("B1", {"T1": in_cell(0, 2), "T2": in_cell(1, 0)})
    assert {name: values.tolist() for name, values in sampled.items()} == {
        "predicted yield": [30_000, 40_000],
        "ndvi": [0.7, 0.5],
    }
    # cells without a prediction are no part of the orchard
    assert sorted(orchard["ndvi"].tolist()) == [0.5, 0.5, 0.6, 0.7, 0.7]


@pytest.mark.parametrize(
    "values", [[[0.5, 0.6]], [[[0.5], [0.6], [0.7]], [[0.5], [0.6], [0.7]]], [["a", 1, 2], [1, 2, 3]], None]
)
def test_variables_of_another_shape_are_left_out(values: object) -> None:
    content = copy.deepcopy(SEASON)
    content["variables"]["ndvi"]["values"] = values
    assert parse_season_file(content, "s.json").others == {}
