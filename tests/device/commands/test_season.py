"""``pomona harvest`` and ``pomona season``."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_sync import clock
from device.orchards import Block, BlockSettings, register_block
from device.store import Store
from tests.conftest import Pomona
from tests.device.planning.counted import count
from tests.device.visiting import table


@pytest.fixture
def followed(store: Store, block: Block) -> Block:
    """Block B1 in 2025: 1000 flowers a tree in May, 100 fruit in September."""
    count(store, block, "2025-05-02", {"T1": 500, "T2": 1000, "T3": 1500}, "flowering")
    count(store, block, "2025-09-20", {"T1": 50, "T2": 100, "T3": 150})
    return block


def words(text: str) -> str:
    """Text as it reads, however wide the terminal is."""
    return " ".join(text.split())


def test_a_harvest_is_recorded_and_added_up(run_pomona: Pomona, block: Block) -> None:
    done = run_pomona("harvest", "--block", "B1", "--weight-kg", "16500", "--day", "2025-09-20")
    assert (done.exit_code, done.err) == (0, "")
    assert done.out == "16,500 kg weighed of block B1 in 2025 on 1 day: 10.0 kg a tree.\n"
    done = run_pomona("harvest", "--block", "B1", "--weight-kg", "16500", "--day", "2025-09-27")
    assert done.out == "33,000 kg weighed of block B1 in 2025 on 2 days: 20.0 kg a tree.\n"


def test_a_harvest_of_part_of_the_trees(run_pomona: Pomona, store: Store, block: Block) -> None:
    done = run_pomona(
        *("harvest", "--block", "B1", "--weight-kg", "1250.5", "--day", "2025-09-20", "--trees", "50"),
        *("--fruit-weight", "187"),
    )
    assert done.out == "1,250 kg weighed of block B1 in 2025 on 1 day: 25.0 kg a tree.\n"
    (row,) = table(store, "harvest")
    assert (row["weight_kg"], row["trees"], row["fruit_weight_g"]) == (1250.5, 50, 187)


def test_a_harvest_taken_back(run_pomona: Pomona, block: Block) -> None:
    run_pomona("harvest", "--block", "B1", "--weight-kg", "16500", "--day", "2025-09-20")
    done = run_pomona("harvest", "--block", "B1", "--weight-kg", "0", "--day", "2025-09-20")
    assert (done.exit_code, done.out) == (0, "Nothing is weighed of block B1 in 2025.\n")


def test_a_day_that_was_never_entered_cannot_be_taken_back(run_pomona: Pomona, store: Store, block: Block) -> None:
    back = ("harvest", "--block", "B1", "--weight-kg", "0", "--day", "2025-09-21")
    done = run_pomona(*back)
    assert (done.exit_code, done.out) == (2, "")
    assert "nothing is entered of block B1 on 2025-09-21, so that there is nothing to take back; nor is any" in done.err
    for day in ("2025-09-20", "2025-09-27"):
        run_pomona("harvest", "--block", "B1", "--weight-kg", "16500", "--day", day)
    assert "in 2025 these days are: 2025-09-20, 2025-09-27" in run_pomona(*back).err
    assert [row["day"] for row in table(store, "harvest")] == ["2025-09-20", "2025-09-27"]
    taken = (*back[:-1], "2025-09-27")
    assert run_pomona(*taken).out == "16,500 kg weighed of block B1 in 2025 on 1 day: 10.0 kg a tree.\n"
    assert "nothing is entered of block B1 on 2025-09-27" in run_pomona(*taken).err


def test_without_a_day_it_is_today_where_the_clock_is_right(
    run_pomona: Pomona, store: Store, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "kernel_state", lambda: 5)
    done = run_pomona("harvest", "--block", "B1", "--weight-kg", "16500")
    assert done.exit_code == 2
    assert "this device's clock is not known to be right; give the day of the picking with --day" in done.err
    monkeypatch.setattr(clock, "kernel_state", lambda: 0)
    before = clock.now().astimezone().date()
    assert run_pomona("harvest", "--block", "B1", "--weight-kg", "16500").exit_code == 0
    (row,) = table(store, "harvest")
    assert before.isoformat() <= row["day"] <= (before + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--block", "B9", "--weight-kg", "10"], "block 'B9' is unknown (known are B1)"),
        (["--block", "B1"], "Missing option '--weight-kg'"),
        (["--block", "B1", "--weight-kg", "-5"], "weight of the harvest is -5 kg; it must be a number from 0"),
        (["--block", "B1", "--weight-kg", "nan"], "weight of the harvest is nan kg"),
        (["--block", "B1", "--weight-kg", "ten"], "'ten' is not a valid float"),
        (["--block", "B1", "--weight-kg", "10", "--trees", "0"], "number of picked trees is 0"),
        (["--block", "B1", "--weight-kg", "10", "--fruit-weight", "-1"], "fruit weight at harvest is -1 g"),
        (["--block", "B1", "--weight-kg", "10", "--day", "yesterday"], "'yesterday' does not match the format"),
    ],
)
def test_a_wrong_harvest_is_named_and_not_recorded(
    run_pomona: Pomona, store: Store, block: Block, arguments: list[str], said: str
) -> None:
    done = run_pomona("harvest", "--day", "2025-09-20", *arguments)
    assert (done.exit_code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert table(store, "harvest") == []


def test_each_visit_foretells_the_harvest(run_pomona: Pomona, followed: Block) -> None:
    done = run_pomona("season", "--block", "B1")
    assert (done.exit_code, done.err) == (0, "")
    assert "North farm, block B1, season 2025" in done.out
    rows = re.findall(r"2025-\d\d-\d\d .*", done.out)
    assert re.match(r"2025-05-02 flowering +1,000 +1,058 \([\d,]+ to [\d,]+\)", rows[0])
    assert re.match(r"2025-09-20 ripening +100 +1,0\d\d \([\d,]+ to [\d,]+\)", rows[1])
    assert "kg/mu foretold" in done.out
    assert re.search(r"counted *\n +visit +a tree +kg/mu foretold *\n", done.out)
    assert "error" not in done.out
    said = words(done.out)
    assert re.search(r"foretold 18\.\d kg a tree \([\d.]+ to [\d.]+\), 3\d\.\d t from 1,650 trees", said)
    assert "Share that remains, assumed until a harvest here teaches better" in said
    assert "flowering to young fruit 22 %" in said
    assert "weight of a fruit 200 g" in said
    assert "Note: in brackets the 90 % interval of the harvest" in said
    assert "Note: all visits: fruit that no photo shows is not counted" in said


def test_the_harvest_scores_them_and_teaches(run_pomona: Pomona, followed: Block) -> None:
    run_pomona("harvest", "--block", "B1", "--weight-kg", str(1650 * 30), "--day", "2025-09-27")
    done = run_pomona("season", "--block", "B1")
    rows = re.findall(r"2025-\d\d-\d\d .*", done.out)
    assert all(re.search(r"\) +-\d\d % +(yes|no) *$", row) for row in rows)
    said = words(done.out)
    assert re.search(r"counted +in *\n +visit +a tree +kg/mu foretold +error +range *\n", done.out)
    assert "weighed 49,500 kg on 1 day from 1,650 trees, 30.0 kg a tree, 1,650 kg/mu" in said
    assert "taken next season" in said
    learned = json.loads(run_pomona("season", "--block", "B1", "--json").out)["rates_after"]
    assert learned["fruit_weight"]["median"] > 202
    assert f"weight of a fruit 200 g {learned['fruit_weight']['median']:.0f} g" in said


def test_the_next_season_is_foretold_with_what_was_learned(run_pomona: Pomona, store: Store, followed: Block) -> None:
    run_pomona("harvest", "--block", "B1", "--weight-kg", str(1650 * 30), "--day", "2025-09-27")
    taught = json.loads(run_pomona("season", "--block", "B1", "--json").out)["rates_after"]
    count(store, followed, "2026-05-02", {"T1": 500, "T2": 1000}, "flowering")
    season = json.loads(run_pomona("season", "--block", "B1", "--json").out)
    assert (season["season"], season["rates"], season["rates_learned_in"]) == (2026, taught, [2025])
    said = words(run_pomona("season", "--block", "B1").out)
    assert "Share that remains, learned from the harvest of 2025" in said
    assert json.loads(run_pomona("season", "--block", "B1", "--season", "2025", "--json").out)["season"] == 2025


def test_the_season_as_json(run_pomona: Pomona, followed: Block) -> None:
    before = json.loads(run_pomona("season", "--block", "B1", "--json").out)
    assert list(before) == [
        *("orchard", "block", "season", "trees", "unit", "confidence", "visits", "harvest", "rates"),
        *("rates_learned_in", "rates_after", "notes"),
    ]
    assert (before["harvest"], before["rates_after"], before["unit"]) == (None, None, "kg/mu")
    assert [visit["score"] for visit in before["visits"]] == [None, None]
    run_pomona("harvest", "--block", "B1", "--weight-kg", str(1650 * 18), "--day", "2025-09-27")
    done = run_pomona("season", "--block", "B1", "--json")
    assert done.err == ""
    season = json.loads(done.out)
    first, last = season["visits"]
    assert (first["day"], first["stage"], first["label"], first["trees"]) == (
        *("2025-05-02", "flowering", "apple_flower", 3),
    )
    assert first["counted_per_tree"] == first["fruit_per_tree"] == 1000
    told = first["forecast"]["kg_per_tree"]
    assert told["low"] < told["value"] < told["high"]
    assert first["forecast"]["yield"]["value"] == pytest.approx(told["value"] * 825 / 15)
    assert first["score"]["error"] == pytest.approx(told["value"] / 18 - 1)
    assert first["score"]["held"] is (told["low"] <= 18 <= told["high"])
    assert sum(last["forecast"]["visit_weights"]) == pytest.approx(1)
    assert season["harvest"]["kg_per_tree"] == 18
    assert season["harvest"]["yield"] == pytest.approx(18 * 825 / 15)
    assert season["harvest"]["days"] == [{"day": "2025-09-27", "weight_kg": 29700, "trees": None}]


def test_without_a_density_yields_are_of_a_tree(run_pomona: Pomona, store: Store) -> None:
    block = register_block(store, "B2", "North farm", BlockSettings(), "t/ha")
    count(store, block, "2025-09-20", {"T1": 100, "T2": 110})
    out = run_pomona("season", "--block", "B2").out
    assert "kg/tree foretold" in out
    assert re.search(r"2025-09-20 ripening +105 +19\.3 \(", out)
    assert " t from " not in out


def test_a_harvest_without_visits_is_shown(run_pomona: Pomona, block: Block) -> None:
    run_pomona("harvest", "--block", "B1", "--weight-kg", "33000", "--day", "2025-09-27")
    done = run_pomona("season", "--block", "B1")
    assert (done.exit_code, done.err) == (0, "")
    assert "weighed 33,000 kg on 1 day" in words(done.out)
    assert "foretold" not in done.out


def test_names_are_shown_as_they_are(run_pomona: Pomona, store: Store) -> None:
    block = register_block(store, "B[/b]", "[red]North", BlockSettings())
    count(store, block, "2025-09-20", {"T1": 100, "T2": 110})
    assert "[red]North, block B[/b], season 2025" in run_pomona("season", "--block", "B[/b]").out


def test_looking_at_a_season_changes_no_record(run_pomona: Pomona, store: Store, followed: Block) -> None:
    before = list(store.db.conn.iterdump())
    assert run_pomona("season", "--block", "B1").exit_code == 0
    assert list(store.db.conn.iterdump()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--block", "B9"], "block 'B9' is unknown (known are B1)"),
        ([], "Missing option '--block'"),
        (["--block", "B1"], "block B1 has no visit; count flowers or fruit: pomona visit import FOLDER --block B1"),
        (["--block", "B1", "--season", "spring"], "'spring' is not a valid integer"),
    ],
)
def test_a_season_that_is_not_there_is_wrong_input(
    run_pomona: Pomona, block: Block, arguments: list[str], said: str
) -> None:
    done = run_pomona("season", *arguments)
    assert (done.exit_code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_without_records_it_says_how_to_begin(run_pomona: Pomona, tmp_path: Path) -> None:
    for command in (("season",), ("harvest", "--weight-kg", "5", "--day", "2025-09-20")):
        done = run_pomona(*command, "--block", "B1", "--home", tmp_path / "empty")
        assert done.exit_code == 2
        assert "holds no records; check --home, or begin: pomona block add NAME" in done.err
