"""``pomona plan``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cloud_sync.documents import PlanDocument
from device.orchards import Block, BlockSettings, register_block
from device.store import Store
from tests.conftest import Pomona
from tests.device.planning.counted import count, plant

PLACES = {
    f"R{row:02d}-T{tree:02d}": (45 + row * 4e-5, 11 + tree * 2e-5) for row in range(1, 6) for tree in range(1, 21)
}


@pytest.fixture
def placed(store: Store) -> Block:
    """Block B2: five rows of twenty trees, whose places are all known and which were counted last year."""
    block = register_block(store, "B2", "North farm", BlockSettings(trees=100))
    plant(store, block, PLACES)
    count(store, block, "2024-09-15", {code: 80 + number * 7 % 40 for number, code in enumerate(list(PLACES)[::4])})
    return block


def test_the_walking_list_names_rows_and_trees(run_pomona: Pomona, block: Block) -> None:
    done = run_pomona("plan", "--block", "B1", "--precision", "15%", "--rows", "30x55")
    assert (done.exit_code, done.err) == (0, "")
    number = int(re.match(r"North farm, block B1: (\d+) of 1,650 trees\n", done.out)[1])  # type: ignore[index]
    rows = re.findall(r"^row +(\d+) ([→←])  ([\d ]+)$", done.out, flags=re.MULTILINE)
    trees = [(int(row), int(tree)) for row, _, found in rows for tree in found.split()]
    assert len(set(trees)) == len(trees) == number
    assert all(1 <= row <= 30 and 1 <= tree <= 55 for row, tree in trees)
    for row, arrow, found in rows:
        met = [int(tree) for tree in found.split()]
        assert met == sorted(met, reverse=arrow == "←"), row
    assert re.search(r"promise  ±1\d\.\d % at 95 %, kept in 90 % of draws", done.out)
    assert "30 %, no count here yet, so as in other orchards" in done.out
    assert f"Name the photos of a tree after it, as in R{trees[0][0]:02d}-T{trees[0][1]:02d}." in done.out


@pytest.mark.parametrize("columns", [80, 40])
def test_the_list_fits_the_terminal(
    run_pomona: Pomona, block: Block, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for rows in (("--rows", "10x165"), ()):
        out = run_pomona("plan", "--block", "B1", "--precision", "5%", *rows).out
        assert max(map(len, out.splitlines())) <= columns
    monkeypatch.setenv("COLUMNS", "200")
    assert max(map(len, run_pomona("plan", "--block", "B1", "--rows", "10x165").out.splitlines())) <= 80


def test_trees_with_names_of_their_own_are_called_by_them(run_pomona: Pomona, block: Block, tmp_path: Path) -> None:
    path = tmp_path / "trees.csv"
    lines = [f"{row},{tree},[b]Old {row * 100 + tree}" for row in (1, 2) for tree in range(1, 31)]
    path.write_text("\n".join(("row,position,tree", *lines)))
    out = run_pomona("plan", "--block", "B1", "--trees", path, "--number", "10").out
    assert len(re.findall(r"\[b\]Old [12]\d\d", out)) == 10
    assert "Name the photos" not in out


def test_the_plan_as_json(run_pomona: Pomona, placed: Block) -> None:
    done = run_pomona("plan", "--block", "B2", "--confidence", "90%", "--json")
    assert done.err == ""
    plan = json.loads(done.out)
    assert list(plan) == [
        *("schema", "orchard", "block", "trees", "photograph", "promise", "precision", "spread", "design"),
        *("allocation", "seed", "strata", "walk", "notes"),
    ]
    assert PlanDocument.model_validate(plan).block == "B2"
    assert plan["promise"] == {"precision": 0.1, "confidence": 0.9, "assurance": 0.9}
    assert plan["spread"]["source"] == "seen on 25 trees in 2024"
    assert plan["precision"] <= 0.1
    assert len(plan["walk"]) == plan["photograph"] == len({stop["tree"] for stop in plan["walk"]})
    assert [stop["order"] for stop in plan["walk"]] == list(range(1, plan["photograph"] + 1))
    first = plan["walk"][0]
    assert first["tree"] == f"R{first['row']:02d}-T{first['position']:02d}"
    assert (first["latitude"], first["longitude"]) == pytest.approx(PLACES[first["tree"]])
    assert first["weight"] == pytest.approx(100 / plan["photograph"])


def test_a_share_is_typed_in_per_cent_or_as_a_fraction(run_pomona: Pomona, block: Block) -> None:
    told = [
        json.loads(run_pomona("plan", "--block", "B1", "--precision", precision, "--cv", cv, "--json").out)
        for precision, cv in (("12.5%", "40 %"), ("0.125", ".4"))
    ]
    assert told[0] == told[1]
    assert (told[0]["promise"]["precision"], told[0]["spread"]["cv"]) == (0.125, pytest.approx(0.4))


def test_strata_are_told_with_what_each_tree_stands_for(run_pomona: Pomona, placed: Block, tmp_path: Path) -> None:
    path = tmp_path / "vigour.csv"
    path.write_text("\n".join(("tree,vigour", *(f"{code},{int(code[1:3]) // 3}" for code in PLACES))))
    arguments = ("plan", "--block", "B2", "--trees", path, "--number", "30")
    plan = json.loads(run_pomona(*arguments, "--json").out)
    assert [(item["stratum"], item["trees"]) for item in plan["strata"]] == [
        ("vigour 0", 40),
        ("vigour 1", 60),
    ]
    assert sum(item["photograph"] for item in plan["strata"]) == 30
    assert sum(stop["weight"] for stop in plan["walk"]) == pytest.approx(100)
    assert re.search(r"vigour 0: \d+ of 40 trees", run_pomona(*arguments).out)


def test_the_map_has_a_point_for_every_tree_of_the_walk(run_pomona: Pomona, placed: Block, tmp_path: Path) -> None:
    path = tmp_path / "walk.geojson"
    path.write_text("old")
    done = run_pomona("plan", "--block", "B2", "--map", path, "--json")
    assert (done.exit_code, done.err) == (0, "")
    walk = json.loads(done.out)["walk"]
    drawn = json.loads(path.read_text())
    assert drawn["type"] == "FeatureCollection"
    assert [feature["properties"]["tree"] for feature in drawn["features"]] == [stop["tree"] for stop in walk]
    feature = drawn["features"][0]
    latitude, longitude = PLACES[feature["properties"]["tree"]]
    assert feature["geometry"] == {"type": "Point", "coordinates": pytest.approx([longitude, latitude])}
    assert feature["properties"]["order"] == 1
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".walk")] == []


def test_a_plan_can_be_read_back_as_the_trees_of_a_block(run_pomona: Pomona, placed: Block, tmp_path: Path) -> None:
    path = tmp_path / "walk.geojson"
    first = json.loads(run_pomona("plan", "--block", "B2", "--map", path, "--json").out)
    again = json.loads(run_pomona("plan", "--block", "B2", "--trees", path, "--cv", "500%", "--json").out)
    assert [stop["tree"] for stop in again["walk"]] == [stop["tree"] for stop in first["walk"]]


def test_trees_without_a_place_are_left_off_the_map_and_counted(
    run_pomona: Pomona, placed: Block, store: Store, tmp_path: Path
) -> None:
    store.db.execute("UPDATE tree SET latitude = NULL, longitude = NULL WHERE code >= 'R02'")
    path = tmp_path / "walk.geojson"
    done = run_pomona("plan", "--block", "B2", "--map", path, "--json")
    off = sum(stop["latitude"] is None for stop in json.loads(done.out)["walk"])
    assert done.err == f"Note: {off} of the chosen trees have no known place and are not on the map.\n"
    assert len(json.loads(path.read_text())["features"]) + off == len(json.loads(done.out)["walk"])


def test_a_map_of_nothing_is_not_written(run_pomona: Pomona, block: Block, tmp_path: Path) -> None:
    path = tmp_path / "walk.geojson"
    done = run_pomona("plan", "--block", "B1", "--map", path)
    assert (done.exit_code, done.out) == (2, "")
    assert "where the trees of block B1 stand is not known, so there is nothing to map; give --trees FILE" in done.err
    assert not path.exists()


def test_planning_changes_no_record(run_pomona: Pomona, placed: Block, store: Store) -> None:
    before = list(store.db.conn.iterdump())
    assert run_pomona("plan", "--block", "B2").exit_code == 0
    assert list(store.db.conn.iterdump()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--block", "B9"], "block 'B9' is unknown (known are B1)"),
        ([], "Missing option '--block'"),
        (["--block", "B1", "--precision", "10"], "'10' is no share; write it like 10% or 0.1"),
        (["--block", "B1", "--precision", "nan"], "'nan' is no share"),
        (["--block", "B1", "--precision", "0%"], "precision is 0; it must be a share above 0 and below 1"),
        (["--block", "B1", "--precision", "150%"], "precision is 1.5; it must be a share above 0 and below 1"),
        (["--block", "B1", "--confidence", "40%"], "confidence is 0.4; it must be a share above 0.5 and below 1"),
        (["--block", "B1", "--number", "1"], "1 is not in the range x>=2"),
        (["--block", "B1", "--number", "2000"], "number of trees to photograph is 2000; with 1650 trees it must be"),
        (["--block", "B1", "--cv", "0%"], "spread between trees is 0; it must be a number above 0"),
        (["--block", "B1", "--rows", "wide"], "--rows is 'wide'; write 28x60 for 28 rows of 60 trees"),
        (["--block", "B1", "--trees", "nowhere.csv"], "trees nowhere.csv cannot be read"),
        (["--block", "B1", "--design", "stratified"], "--design stratified needs something to tell trees apart by"),
        (["--block", "B1", "--seed", "-1"], "-1 is not in the range x>=0"),
    ],
)
def test_wrong_input_is_named_and_the_code_is_two(
    run_pomona: Pomona, block: Block, arguments: list[str], said: str
) -> None:
    done = run_pomona("plan", *arguments)
    assert (done.exit_code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["missing/walk.geojson", "."])
def test_a_map_that_cannot_be_written_is_named(run_pomona: Pomona, placed: Block, tmp_path: Path, name: str) -> None:
    done = run_pomona("plan", "--block", "B2", "--map", tmp_path / name)
    assert done.exit_code == 2
    assert re.search(r"Error: map .* cannot be written: .*; name a file in a folder", done.err)


def test_without_records_it_says_how_to_begin(run_pomona: Pomona, tmp_path: Path) -> None:
    done = run_pomona("plan", "--block", "B1", "--home", tmp_path / "empty")
    assert done.exit_code == 2
    assert "holds no records; check --home, or begin: pomona block add NAME" in done.err
