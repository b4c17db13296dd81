"""What the satellite saw, cell by cell: means over sampled trees, refusals by month, damaged files."""

from __future__ import annotations

import base64
import copy
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from device.errors import InputError
from device.season_cells import CellMeans, SeasonCells, parse_season_cells
from device.season_file import parse_season_file

ROWS, COLUMNS, MONTHS = 3, 4, (4, 5)
NORTH, WEST, HIGH, WIDE = 34.6, 105.7, 0.0001, 0.0002
Change = Callable[[dict[str, Any]], object]


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def series(steps: NDArray[np.int16]) -> str:
    """As docs/reference/predictions.md says, written down a second time."""
    wrapped = steps.astype(np.int64)
    differences = (np.diff(wrapped, axis=-1, prepend=0) % 65536).astype(np.uint16).reshape(-1)
    low, high = (differences & 255).astype(np.uint8), (differences >> 8).astype(np.uint8)
    return packed(low.tobytes() + high.tobytes())


def season(steps: NDArray[np.int16] | None = None) -> dict[str, Any]:
    if steps is None:
        steps = np.arange(len(MONTHS) * ROWS * COLUMNS, dtype=np.int16).reshape(len(MONTHS), ROWS, COLUMNS)
    clear = np.zeros((3, ROWS, COLUMNS), np.uint8)
    clear[0], clear[1, :, :2], clear[2] = 1, 1, 1
    return {
        "schema": "pomona-season/1",
        "season": 2026,
        "grid": {"north": NORTH, "west": WEST, "cell_height_deg": HIGH, "cell_width_deg": WIDE}
        | {"rows": ROWS, "columns": COLUMNS},
        "months": list(MONTHS),
        "variables": {
            "B08": {"unit": "1", "step": 0.01, "packed": series(steps)},
            "Tair_f_tavg": {"unit": "K", "values": [285.0, 290.5]},
        },
        "orchard_cells": packed(np.packbits(np.eye(ROWS, COLUMNS, dtype=np.uint8)).tobytes()),
        "acquisitions": [{"day": "2026-04-02"}, {"day": "2026-04-12"}, {"day": "2026-05-02"}],
        "clear": packed(np.packbits(clear).tobytes()),
    }


def at(row: int, column: int) -> tuple[float, float]:
    return NORTH - (row + 0.5) * HIGH, WEST + (column + 0.5) * WIDE


def means(cells: SeasonCells, *places: tuple[int, int]) -> CellMeans:
    return cells.at_trees("B1", {f"T{number}": at(*place) for number, place in enumerate(places)})


def test_a_sampling_area_is_the_mean_over_its_trees_each_in_its_cell() -> None:
    cells = parse_season_cells(season(), "s.json")
    found = means(cells, (0, 0), (0, 0), (2, 3))
    np.testing.assert_allclose(found.values["B08"], [0.01 * 11 / 3, 0.01 * (12 + 12 + 23) / 3])
    assert found.values["Tair_f_tavg"].tolist() == [285.0, 290.5]
    np.testing.assert_allclose(found.clear_share, [(1 + 1 + 0.5) / 3, 1])


def test_a_polygon_is_the_mean_over_the_cells_it_holds_the_middle_of() -> None:
    cells = parse_season_cells(season(), "s.json")
    south, east = NORTH - 1.9 * HIGH, WEST + 1.9 * WIDE
    corners = np.array([(NORTH, WEST), (NORTH, east), (south, east), (south, WEST)])
    for polygon in (corners, corners[::-1]):
        np.testing.assert_allclose(cells.in_polygon("row 3", polygon).values["B08"][0], 0.01 * (0 + 1 + 4 + 5) / 4)
    triangle = np.array([(NORTH, WEST), (NORTH - 3 * HIGH, WEST), (NORTH - 3 * HIGH, WEST + 3 * WIDE)])
    rows, columns = cells.grid.cells_inside(triangle)
    assert {(1, 0), (2, 0), (2, 1)} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert (0, 1) not in set(zip(rows.tolist(), columns.tolist(), strict=True))
    with pytest.raises(InputError, match=r"no cell of s\.json, season 2026 has its middle in row 3; draw it larger"):
        cells.in_polygon("row 3", corners + 1)


def test_the_orchard_is_its_own_cells_without_the_margin() -> None:
    cells = parse_season_cells(season(), "s.json")
    np.testing.assert_allclose(cells.of_orchard().values["B08"][0], 0.01 * (0 + 5 + 10) / 3)


MISSING = np.iinfo(np.int16).min


def test_cells_that_were_not_seen_are_left_out_while_half_were() -> None:
    steps = np.full((2, ROWS, COLUMNS), 30, np.int16)
    steps[1, 0] = MISSING
    cells = parse_season_cells(season(steps), "s.json")
    half = means(cells, (0, 0), (1, 0))
    np.testing.assert_allclose(half.features(["B08", "Tair_f_tavg"], MONTHS), [[0.3, 285], [0.3, 290.5]])
    most = means(cells, (0, 0), (0, 1), (1, 0))
    assert np.isnan(most.values["B08"][1])
    with pytest.raises(InputError, match=r"season 2026: in May too little was clear where the trees of block B1"):
        most.features(["B08"], MONTHS)
    np.testing.assert_allclose(most.features(["B08"], [4]), [[0.3]])  # April was seen


def test_a_month_the_file_does_not_hold_is_refused_by_name() -> None:
    found = means(parse_season_cells(season(), "s.json"), (0, 0))
    with pytest.raises(InputError, match=r"s\.json, season 2026 ends before or leaves out June, October, .*; fetch"):
        found.features(["B08"], [4, 5, 6, 10])
    with pytest.raises(InputError, match=r"season 2026 has no variable 'B12'; fetch a file made for this"):
        found.features(["B12"], MONTHS)


def test_trees_are_needed_and_their_places() -> None:
    cells = parse_season_cells(season(), "s.json")
    with pytest.raises(InputError, match="no tree of block B1 is sampled"):
        cells.at_trees("B1", {})
    with pytest.raises(InputError, match="tree T1 of block B1 has no place"):
        cells.at_trees("B1", {"T1": (None, None)})
    with pytest.raises(InputError, match=r"tree T0 of block B1 .* lies outside the grid"):
        means(cells, (ROWS, 0))


def test_predicted_yields_may_stand_beside() -> None:
    content = season()
    content["variables"]["predicted_yield"] = {"unit": "t/ha", "values": [[10, 20, 30, 40]] * ROWS}
    assert parse_season_cells(content, "s.json").units["predicted_yield"] == "t/ha"
    yields = parse_season_file(content, "s.json")
    assert yields.at_trees_kg_per_ha("B1", {"T1": at(1, 2)}).tolist() == [30_000]
    assert yields.others == {}


def test_without_predicted_yields_an_estimate_is_told_so() -> None:
    with pytest.raises(InputError, match="tells what the satellite saw and has no variable 'predicted_yield'"):
        parse_season_file(season(), "s.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(schema="pomona-season/2"), "of schema 'pomona-season/2'"),
        (lambda s: s.pop("months"), "has predicted yields alone"),
        (lambda s: s.update(months=[13, 4]), "damaged"),
        (lambda s: s.update(months=[]), "damaged"),
        (lambda s: s.update(months=None), "damaged"),
        (lambda s: s["grid"].update(rows=4), "damaged .*bytes expected"),
        (lambda s: s["grid"].update(rows=0), "damaged"),
        (lambda s: s["grid"].update(rows=10**6, columns=10**6), "damaged"),
        (lambda s: s["grid"].pop("north"), r"grid\.north is None"),
        (lambda s: s["variables"]["B08"].pop("step"), "damaged"),
        (lambda s: s["variables"]["B08"].pop("unit"), "damaged"),
        (lambda s: s["variables"]["B08"].update(packed="%%%"), "damaged"),
        (lambda s: s["variables"]["B08"].update(packed=base64.b64encode(b"no zlib").decode()), "damaged"),
        (lambda s: s["variables"]["B08"].update(packed=packed(bytes(10**6))), "damaged .*bytes expected"),
        (lambda s: s["variables"]["B08"].update(packed=packed(b"")), "damaged"),
        (lambda s: s["acquisitions"].append({"day": "May"}), "damaged"),
        (lambda s: s["acquisitions"].pop(), "damaged"),
        (lambda s: s.pop("clear"), "damaged"),
        (lambda s: s.pop("orchard_cells"), "damaged"),
        (lambda s: s.update(variables=[]), "damaged"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(change: Change, said: str) -> None:
    content = copy.deepcopy(season())
    change(content)
    with pytest.raises(InputError, match=rf"s\.json.*{said}"):
        parse_season_cells(content, "s.json")
