"""Predicted yields from a table."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from device.errors import InputError
from device.predictions import Place, TablePredictions, read_predictions
from device.season_file import SeasonFile

ONE: dict[str, Place] = {"T1": (None, None)}
TABLE = "area,predicted_yield,unit\norchard,1346.87,kg/mu\nsampling_area,1302.08,kg/mu\n"


def write(folder: Path, text: str, name: str = "predictions.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def as_json(**areas: object) -> str:
    return json.dumps(areas)


@pytest.mark.parametrize("text", [TABLE, "\ufeff" + TABLE, TABLE.replace("87,", "87, "), TABLE.replace("\n", "\r\n")])
def test_a_table_is_read_in_kg_per_ha(tmp_path: Path, text: str) -> None:
    predictions = read_predictions(write(tmp_path, text))
    assert predictions.orchard_kg_per_ha() == pytest.approx(15 * 1346.87)
    assert predictions.at_trees_kg_per_ha("B1", ONE) == pytest.approx(15 * 1302.08)
    assert predictions.source == str(tmp_path / "predictions.csv")


def test_json_says_the_same(tmp_path: Path) -> None:
    entry = {"predicted_yield": 30, "unit": "t/ha"}
    predictions = read_predictions(write(tmp_path, as_json(orchard=entry, sampling_area=entry), "p.json"))
    assert (predictions.orchard_kg_per_ha(), *predictions.at_trees_kg_per_ha("B1", ONE)) == (30_000, 30_000)


def test_a_line_for_the_block_goes_before_the_general_one(tmp_path: Path) -> None:
    predictions = read_predictions(write(tmp_path, f"{TABLE}B1,1500,kg/mu\n"))
    assert predictions.at_trees_kg_per_ha("B1", ONE) == 15 * 1500
    assert predictions.at_trees_kg_per_ha("B2", ONE) == pytest.approx(15 * 1302.08)


def test_kg_a_tree_is_read_by_the_planting_density(tmp_path: Path) -> None:
    path = write(tmp_path, "area,predicted_yield,unit\norchard,30,kg/tree\n")
    assert read_predictions(path, trees_per_ha=825).orchard_kg_per_ha() == 30 * 825
    with pytest.raises(InputError, match=r"predictions\.csv: 'orchard': kg/tree needs the planting density"):
        read_predictions(path)


def test_a_file_with_a_schema_is_a_season_file(tmp_path: Path) -> None:
    content = {
        "schema": "pomona-season/1",
        "grid": {"north": 1, "west": 2, "cell_height_deg": 0.1, "cell_width_deg": 0.1},
        "variables": {"predicted_yield": {"unit": "t/ha", "values": [[1]]}},
    }
    assert isinstance(read_predictions(write(tmp_path, json.dumps(content), "season.json")), SeasonFile)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("orchard,1300,\n", r"the prediction for 'orchard' has no unit; add one, such as kg/mu or t/ha"),
        ("orchard,1300\n", r"the prediction for 'orchard' has no unit"),
        ("orchard,,kg/mu\n", r"predicted_yield of 'orchard' is ''; it must be a number above 0"),
        ("orchard,many,kg/mu\n", r"predicted_yield of 'orchard' is 'many'"),
        ("orchard,0,kg/mu\n", r"predicted_yield of 'orchard' is '0'"),
        ("orchard,-5,kg/mu\n", r"predicted_yield of 'orchard' is '-5'"),
        ("orchard,nan,kg/mu\n", r"predicted_yield of 'orchard' is 'nan'"),
        ("orchard,inf,kg/mu\n", r"predicted_yield of 'orchard' is 'inf'; it must be a number above 0$"),
        (
            'orchard,"1,346",kg/mu\n',
            r"predicted_yield of .* '1,346'; .*: write it without thousands separators",
        ),
        (
            "orchard,1,346,kg/mu\n",
            r"the line of 'orchard' has more values than columns; write numbers without",
        ),
        ("orchard,1300,kg\n", r"'orchard': unit 'kg' is unknown; known are kg/ha, t/ha, kg/mu, kg/tree"),
    ],
)
def test_a_value_that_is_none_is_named(tmp_path: Path, rows: str, said: str) -> None:
    path = write(tmp_path, f"area,predicted_yield,unit\n{rows}")
    with pytest.raises(InputError, match=rf"predictions\.csv: {said}"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "", r"p\.csv lacks the column area, predicted_yield, unit; expected area,predicted_yield,unit"),
        ("p.csv", "area,predicted_yield\norchard,1\n", r"p\.csv lacks the column unit"),
        ("p.csv", "area,predicted_yield,unit\n" + "x" * 200_000, r"p\.csv cannot be read as CSV: field larger"),
        ("p.txt", TABLE, r"p\.txt are neither CSV \(by name\) nor JSON"),
        ("p.json", "[1]", r'p\.json is no predictions file; expected \{"orchard": \{"predicted_yield": 1300'),
        ("p.json", as_json(orchard=1300), r"p\.json is no predictions file"),
        ("p.json", as_json(orchard={"predicted_yield": 1300}), r"p\.json: the prediction for 'orchard' has no unit"),
    ],
)
def test_a_file_that_is_no_predictions_is_refused_by_name(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_predictions(write(tmp_path, text, name))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None], ids=["not UTF-8", "missing"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "p.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"predictions .*p\.csv cannot be read"):
        read_predictions(path)


@pytest.mark.parametrize("name", ["p.csv", "p.json"])
def test_an_area_is_one_area_however_it_is_written(tmp_path: Path, name: str) -> None:
    area = unicodedata.normalize("NFD", "Grün  1 ")
    entry = {"predicted_yield": 1.0, "unit": "t/ha"}
    text = f"area,predicted_yield,unit\n{area},1,t/ha\n" if name == "p.csv" else json.dumps({area: entry})
    assert read_predictions(write(tmp_path, text, name)).at_trees_kg_per_ha("Grün 1", ONE) == 1000


def test_an_area_the_table_does_not_name_is_refused_with_those_it_names() -> None:
    predictions = TablePredictions("p.csv", {"B2": 1.0})
    with pytest.raises(InputError, match=r"p\.csv predicts nothing for 'orchard'; it has B2\. Add a line"):
        predictions.orchard_kg_per_ha()
    with pytest.raises(InputError, match=r"predicts nothing for 'sampling_area'"):
        predictions.at_trees_kg_per_ha("B1", ONE)
