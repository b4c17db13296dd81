"""Lists of a block's trees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import InputError
from device.planning.tree_lists import (
    MOST_TREES,
    read_rows,
    read_tree_list,
    row_and_position,
    trees_counted_on,
    trees_in_rows,
)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "trees.csv"


def geojson(path: Path, *features: Any) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def point(longitude: float, latitude: float, **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": [longitude, latitude]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_a_table_of_all_that_can_be_known(csv: Path) -> None:
    csv.write_text("Tree,Row,Position,latitude,longitude,vigour,note\nA1,1,1,45.5,11.25,0.7,x\nA2,1,2,,,,\n")
    trees = read_tree_list(csv)
    assert trees.codes == ("A1", "A2")
    assert trees.row is not None
    assert trees.position is not None
    assert (trees.row.tolist(), trees.position.tolist()) == ([1, 1], [1, 2])
    assert trees.placed.tolist() == [True, False]
    assert (trees.latitude[0], trees.longitude[0], trees.vigour[0]) == (45.5, 11.25, 0.7)
    assert np.isnan(trees.vigour[1])
    assert not trees.names_follow_rows


def test_a_map_of_points_says_the_same_as_a_table(csv: Path, tmp_path: Path) -> None:
    csv.write_text("tree,row,position,latitude,longitude,vigour\nA1,1,1,45.5,11.25,0.7\nA2,1,2,45.6,11.5,\n")
    path = geojson(
        tmp_path / "trees.geojson",
        point(11.25, 45.5, tree="A1", row=1, position=1, vigour=0.7, colour="red"),
        point(11.5, 45.6, tree="A2", row=1, position=2.0, vigour=None),
    )
    table, drawn = read_tree_list(csv), read_tree_list(path)
    assert drawn.codes == table.codes
    for name in ("row", "position", "latitude", "longitude", "vigour"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(table, name))


def test_a_tree_on_no_point_has_no_place(tmp_path: Path) -> None:
    features = [{"type": "Feature", "geometry": None, "properties": {"tree": code}} for code in "AB"]
    assert not read_tree_list(geojson(tmp_path / "t.json", *features)).placed.any()


def test_trees_without_codes_are_named_after_their_place(csv: Path) -> None:
    csv.write_text("row,position\n3,7\n12,101\n")
    trees = read_tree_list(csv)
    assert trees.codes == ("R03-T07", "R12-T101")
    assert trees.names_follow_rows


def test_codes_tell_rows_where_nothing_else_does(csv: Path) -> None:
    csv.write_text("tree\nR03-T07\nR12-T101\n")
    trees = read_tree_list(csv)
    assert trees.row is not None
    assert trees.row.tolist() == [3, 12]
    csv.write_text("tree\nR03-T07\noak\n")
    assert read_tree_list(csv).row is None
    csv.write_text("tree\nR03-T07\nr3-t7\n")  # two codes for one place say that they are not meant so
    assert read_tree_list(csv).row is None


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("R03-T07", (3, 7)),
        ("3/7", (3, 7)),
        ("B1-R03-T07", (3, 7)),
        ("row 12, tree 101", (12, 101)),
        ("T07", None),
        ("oak", None),
        ("R3-T7b", None),
        ("1234567890-1", None),
    ],
)
def test_codes_that_end_in_two_numbers_are_places(code: str, place: tuple[int, int] | None) -> None:
    assert row_and_position(code) == place


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_rows_of_any_length_hold_all_their_trees(lengths: list[int]) -> None:
    trees = trees_in_rows(lengths)
    assert trees.row is not None
    assert trees.position is not None
    assert np.bincount(trees.row)[1:].tolist() == lengths
    assert trees.position.max() == max(lengths)
    assert trees.names_follow_rows
    assert [row_and_position(code) for code in trees.codes] == list(
        zip(trees.row.tolist(), trees.position.tolist(), strict=True)
    )


def test_trees_of_which_only_the_number_is_known_are_counted_on() -> None:
    trees = trees_counted_on(1650)
    assert (trees.codes[0], trees.codes[-1], trees.row) == ("T0001", "T1650", None)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [("3x4", (4, 4, 4)), ("3 × 4", (4, 4, 4)), ("60,58, 61", (60, 58, 61)), ("4", (3, 3, 2, 2)), ("10", (1,) * 10)],
)
def test_rows_are_typed_in_three_ways(text: str, lengths: tuple[int, ...]) -> None:
    assert read_rows(text, trees=10) == lengths


@pytest.mark.parametrize(
    ("text", "trees", "said"),
    [
        ("many", 10, "--rows is 'many'; write 28x60 for 28 rows of 60 trees, or each row's length: 60,58,61"),
        ("-3", 10, "write 28x60 for 28 rows"),
        ("3x4x5", 10, "write 28x60 for 28 rows"),
        ("5", None, "--rows is '5' and the number of trees unknown; write 5x60 for rows of 60 trees"),
        ("11", 10, "--rows is '11', and the block has 10 trees; give 1 to 10 rows"),
        ("0", 10, "give 1 to 10 rows"),
    ],
)
def test_rows_that_cannot_be_are_refused(text: str, trees: int | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_rows(text, trees)


@pytest.mark.parametrize("text", ["0x5", "5x0", "9999999x9999999", "3,0,2"])
def test_empty_rows_and_endless_ones_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"rows of .* cannot be planned; give each row one tree or more"):
        trees_in_rows(read_rows(text, trees=10))


@pytest.mark.parametrize("trees", [0, 1, MOST_TREES + 1])
def test_a_block_is_more_than_a_tree_and_less_than_a_country(trees: int) -> None:
    with pytest.raises(InputError, match="cannot be planned; plan parts of 2 to 1,000,000 trees"):
        trees_counted_on(trees)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code\nA\nB\n", "lacks the column tree, or row and position; known are tree, row, position"),
        ("tree\nA\n", "lists 1 tree; list all trees of the block"),
        ("", "lacks the column tree"),
        ("tree\nA\nA\n", "tree number 2: A is listed before; list each tree of trees.csv once"),
        ("row,position\n1,1\n1,1\n", "tree number 2: row 1, position 1 is listed before"),
        ("tree,row,position\nA,1,1\nB,1,1\n", "tree number 2: row 1, position 1 is listed before"),
        ("tree,row,position\nA,1,1\nB,1,\n", "tree number 2: row and position belong together; give both or neither"),
        ("row,position\n1,1\n,\n", "tree number 2 has neither a code nor a row and position; give one of the two"),
        ("row,position\nx,1\n1,2\n", "tree number 1: row is 'x'; number rows and the trees in them from 1"),
        ("row,position\n1,1.5\n1,2\n", "tree number 1: position is '1.5'; number rows"),
        ("tree\n\x07\nB\n", "the code of .*tree number 1 is .*; give 1 to 200 printable characters"),
        ("tree,latitude,longitude\nA,91,0\nB,0,0\n", "latitude is '91'; write a number from -90 to 90"),
        ("tree,latitude,longitude\nA,0,181\nB,0,0\n", "longitude is '181'; write a number from -180 to 180"),
        ("tree,latitude,longitude\nA,5,\nB,0,0\n", "latitude and longitude belong together; give both or neither"),
        ("tree,vigour\nA,strong\nB,1\n", "vigour is 'strong'; write a number with a decimal point, or leave it empty"),
        ("tree,vigour\nA,inf\nB,1\n", "vigour is 'inf'; write a number with a decimal point"),
        ('tree,vigour\nA,"0,5"\nB,1\n', "vigour is '0,5'; write a number with a decimal point"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_of_the_tree(csv: Path, text: str, said: str) -> None:
    csv.write_text(text)
    with pytest.raises(InputError, match=said):
        read_tree_list(csv)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nope", "are neither CSV .by name. nor GeoJSON"),
        ("[" * 100_000, "are neither CSV .by name. nor GeoJSON"),
        ('{"type": "Point"}', "is no GeoJSON FeatureCollection; export the trees as points, or as a CSV"),
        ("[1]", "is no GeoJSON FeatureCollection"),
        ('{"features": [1, 2]}', "is no GeoJSON FeatureCollection"),
        ('{"features": [{"properties": {"tree": "A"}, "geometry": {"type": "Polygon"}}]}', "its geometry is no point"),
        ('{"features": [{"properties": {"tree": "A"}, "geometry": {"type": "Point"}}]}', "its geometry is no point"),
        ('{"features": [{"properties": null, "geometry": null}, {}]}', "neither a code nor a row and position"),
        (
            '{"features": [{"properties": {"tree": "A"}, "geometry": {"type": "Point", "coordinates": ["x", 1]}}, {}]}',
            "longitude is 'x'; write a number from -180 to 180",
        ),
    ],
)
def test_what_is_wrong_with_a_map_is_said(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "trees.geojson"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_tree_list(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"tree\n\xe9\n")
    for name in ("nowhere.csv", "latin.csv", "."):
        with pytest.raises(InputError, match=r"trees .* cannot be read"):
            read_tree_list(tmp_path / name)
