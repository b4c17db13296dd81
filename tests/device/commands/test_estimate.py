"""``pomona estimate`` and ``pomona summary``."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest

from device.commands import estimate as command
from device.orchard_summary import summarise_orchards
from device.orchards import Block, BlockSettings, register_block
from device.recording import Visit, record_visit
from device.sitings import SITINGS
from device.store import Store
from device.visit_designs import DESIGNS
from export.runtime.counter import Counter
from tests.conftest import Pomona
from tests.device.visiting import DAY, bring_in, photograph, queued

PREDICTIONS = "area,predicted_yield,unit\norchard,200,kg/mu\nsampling_area,100,kg/mu\n"


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    path.write_text(PREDICTIONS)
    return path


@pytest.fixture
def visited(store: Store, block: Block, counter: Counter, tmp_path: Path) -> Block:
    """Twelve trees with 10 apples each: 1650 kg/ha or 110 kg/mu, so the factor is 1.10."""
    photos = [photograph(tmp_path, f"T{number:02}", 10) for number in range(12)]
    bring_in(store, counter, block, *photos)
    return block


def test_an_estimate_is_recorded_and_shown(run_pomona: Pomona, store: Store, visited: Block, predictions: Path) -> None:
    done = run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    assert (done.exit_code, done.err) == (0, "")
    for line in (
        "trees sampled",
        "12",
        "observed, sampled trees",
        "110 kg/mu",
        "correction factor",
        "1.10 (0.74 to 1.63)",
    ):
        assert line in done.out
    # as many apples on each tree: what is left is the fruit weight and, for the orchard, the satellite's error
    assert "this block, by its own trees" in done.out
    assert "110 (90 to 134) kg/mu" in done.out
    assert "220 (149 to 325) kg/mu" in done.out
    assert queued(store, "estimate") == ["estimate"]


def test_what_to_know_before_relying_on_it_is_said(run_pomona: Pomona, visited: Block, predictions: Path) -> None:
    done = run_pomona("estimate", "--block", "B1", "--predictions", predictions, "--fruit-weight", "2000")
    assert "Note: the correction factor 11.00 lies outside 0.3 to 3" in done.out


def test_what_the_interval_is_made_of_is_shown_the_largest_first(
    run_pomona: Pomona, visited: Block, predictions: Path
) -> None:
    out = run_pomona("estimate", "--block", "B1", "--predictions", predictions).out
    table = out.partition("What makes the range as wide as it is")[2]
    found = [line.split() for line in table.splitlines() if "%" in line]
    assert [line[:2] for line in found[:2]] == [["satellite", "error"], ["fruit", "weight"]]
    assert "±15 %" in table
    assert "±10 %" in table
    assert "the larger side" in table


def test_one_area_of_the_block_says_less_of_it(run_pomona: Pomona, visited: Block, predictions: Path) -> None:
    arguments = ("estimate", "--block", "B1", "--predictions", predictions)
    assert "110 (90 to 134) kg/mu" in run_pomona(*arguments, "--siting", "block").out
    assert "110 (74 to 163) kg/mu" in run_pomona(*arguments, "--siting", "area").out
    assert "Note: the sampling area was picked by hand" in run_pomona(*arguments, "--siting", "hand-picked").out


def test_fruit_on_a_scale_goes_before_a_weight(
    run_pomona: Pomona, visited: Block, predictions: Path, tmp_path: Path
) -> None:
    weighed = tmp_path / "fruit.csv"
    weighed.write_text("weight_g\n" + "\n".join(["390", "400", "410"] * 10))
    out = run_pomona("estimate", "--block", "B1", "--predictions", predictions, "--weighed", weighed).out
    assert "2.20" in out
    assert "30 fruit weighed" in out


def test_trees_counted_by_hand_teach_what_photos_miss(
    run_pomona: Pomona, store: Store, visited: Block, predictions: Path, tmp_path: Path
) -> None:
    counted = tmp_path / "hand.csv"
    counted.write_text("tree,by_hand\n" + "\n".join(f"T{tree:02},{14 + tree % 3}" for tree in range(6)))
    done = run_pomona("visit", "by-hand", counted, "--block", "B1")
    assert done.out.startswith(
        "6 trees counted by hand for block B1, 2025-09-24, ripening.\nEstimate again to use it: "
    )
    out = run_pomona("estimate", "--block", "B1", "--predictions", predictions).out
    assert "1.65" in out  # 1.10 x 90 / 60
    assert "6 trees counted by hand, same orchard, variety, training, stage" in " ".join(out.split())
    assert "fruit that no photo shows" not in out


OUTDATED = "trees counted by hand tell something else than when the estimate was made; estimate again"


def test_an_estimate_older_than_hand_counts_or_than_their_removal_says_so(
    run_pomona: Pomona, store: Store, visited: Block, predictions: Path, tmp_path: Path
) -> None:
    counted = tmp_path / "hand.csv"
    counted.write_text("tree,by_hand\n" + "\n".join(f"T{tree:02},{14 + tree % 3}" for tree in range(6)))

    def summary() -> str:
        return " ".join(run_pomona("summary").out.split())

    run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    assert OUTDATED not in summary()
    run_pomona("visit", "by-hand", counted, "--block", "B1")
    assert OUTDATED in summary()
    run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    assert OUTDATED not in summary()
    done = run_pomona("visit", "by-hand", "--block", "B1", "--remove", " T00", "--remove", "T01", "--remove", "T01")
    assert done.out.splitlines() == [
        "Hand counts of 2 trees taken back for block B1, 2025-09-24, ripening.",
        "Estimate again to do without them: pomona estimate --block B1 --predictions FILE",
    ]
    assert OUTDATED in summary()
    again = run_pomona("estimate", "--block", "B1", "--predictions", predictions).out
    assert "fruit that no photo shows" in again
    assert OUTDATED not in " ".join(again.split())


def test_sides_are_told_of_in_the_estimate_and_when_they_change_since(
    run_pomona: Pomona, store: Store, block: Block, counter: Counter, predictions: Path, tmp_path: Path
) -> None:
    trees = [f"T0{tree}" for tree in range(6)]
    photos = [photograph(tmp_path, tree, apples, side) for tree in trees for apples, side in ((10, "a"), (9, "b"))]
    bring_in(store, counter, block, *photos)
    options = ("--block", "B1", "--predictions", predictions)
    assert "the sum of both sides" not in run_pomona("estimate", *options).out
    with store.change():
        record_visit(store, Visit(block, DAY, "ripening", sides="sum"))
    said = "Note: the estimate took the larger side, and the visit takes the sum of both sides; estimate again"
    assert said in " ".join(run_pomona("summary").out.split())
    made = " ".join(run_pomona("estimate", *options).out.split())
    assert "114 (19.0 a tree)" in made
    assert "of each tree the sum of both sides" in made
    assert "taken off as seen twice, assumed" in made
    assert "Note: how much fruit shows on both sides of a tree is not known, and was assumed" in made
    told = tmp_path / "both.csv"
    told.write_text("tree,both\n" + "\n".join(f"T0{tree},{tree % 2 + 2}" for tree in range(6)))
    done = run_pomona("visit", "by-hand", told, "--block", "B1")
    assert done.out.startswith("Fruit seen from both sides told of 6 trees for block B1, 2025-09-24, ripening.\n")
    assert OUTDATED in " ".join(run_pomona("summary").out.split())
    made = " ".join(run_pomona("estimate", *options).out.split())
    assert "sum of both sides, 13.2 % taken off as seen twice, seen on 6 trees" in made
    assert "was assumed" not in made
    body = json.loads(store.outbox.waiting("jetson-1", 0, 1000)[-1].payload)["body"]
    assert body["sides"] == "sum"


def test_a_hand_count_below_what_its_photos_show_is_doubted(
    run_pomona: Pomona, store: Store, visited: Block, tmp_path: Path
) -> None:
    counted = tmp_path / "hand.csv"
    counted.write_text("tree,by_hand,own\nT01,8,\nT02,11,\nT03,7,8\n")
    done = run_pomona("visit", "by-hand", counted, "--block", "B1")
    assert done.exit_code == 0
    assert done.out.startswith("3 trees counted by hand, own fruit told of 1 tree for block B1")
    first, second = done.err.splitlines()
    assert first.startswith("Note: tree T01 has 8 fruit by hand, and 10 were counted in its photos; count it again, or")
    assert second == "Note: tree T03 has 7 fruit by hand, and 8 of its own were counted in its photos; count it again."


@pytest.mark.parametrize("arguments", [[], ["hand.csv", "--remove", "T01"]])
def test_hand_counts_are_either_told_or_taken_back(run_pomona: Pomona, visited: Block, arguments: list[str]) -> None:
    done = run_pomona("visit", "by-hand", *arguments, "--block", "B1")
    assert done.exit_code == 2
    assert "Name a FILE with counts, or take some back with --remove TREE; not both at once." in done.err


def test_choices_are_those_of_the_modules_that_make_them() -> None:
    assert (command.DESIGNS, command.SITINGS) == (DESIGNS, SITINGS)


def test_the_summary_ends_with_orchards_of_several_blocks(
    run_pomona: Pomona, store: Store, visited: Block, predictions: Path
) -> None:
    run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    assert "all blocks together" not in run_pomona("summary").out
    register_block(store, "B2", "North farm", BlockSettings(area_m2=20_000))
    out = run_pomona("summary").out
    assert re.search(r"\n\nNorth farm\n +\n  blocks estimated +1 of 2 +\n  orchard, all blocks together ", out)


def test_another_visit_is_estimated_by_day_and_stage(
    run_pomona: Pomona, store: Store, visited: Block, counter: Counter, predictions: Path, tmp_path: Path
) -> None:
    bring_in(store, counter, visited, photograph(tmp_path / "later", "T01", 5), day=date(2025, 10, 9))
    done = run_pomona("estimate", "--block", "B1", "--predictions", predictions, "--day", "2025-09-24")
    assert done.exit_code == 0
    assert "2025-09-24, ripening" in done.out
    assert "1.10" in done.out
    warned = run_pomona(
        *("estimate", "--block", "B1", "--predictions", predictions, "--day", "2025-09-24", "--fruit-weight", "2000")
    )
    assert "Note: the correction factor 11.00 lies outside 0.3 to 3" in warned.out
    done = run_pomona("estimate", "--block", "B1", "--predictions", predictions, "--stage", "flowering")
    assert done.exit_code == 2
    assert "block B1 has no visit of flowering; bring its photos in" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--block", "B9", "--predictions", "predictions.csv"], "block 'B9' is unknown (known are B1)"),
        (["--block", "B1", "--predictions", "nowhere.csv"], "predictions nowhere.csv cannot be read"),
        (["--block", "B1"], "the server has sent no season file; name one with --predictions FILE"),
        (["--block", "B1", "--predictions", "predictions.csv", "--fruit-weight", "0"], "single fruit weight in g is 0"),
        (
            ["--block", "B1", "--predictions", "half.csv"],
            "half.csv predicts nothing for 'sampling_area'",
        ),
    ],
)
def test_wrong_input_is_named_the_code_is_two_and_nothing_is_recorded(
    run_pomona: Pomona,
    store: Store,
    visited: Block,
    predictions: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(predictions.parent)
    Path("half.csv").write_text("area,predicted_yield,unit\norchard,200,kg/mu\n")
    done = run_pomona("estimate", *arguments)
    assert done.exit_code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert queued(store, "estimate") == []


def test_the_summary_as_json(run_pomona: Pomona, visited: Block, predictions: Path) -> None:
    run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    answer = json.loads(run_pomona("summary", "--json").out)
    (block,) = answer["blocks"]
    assert answer["orchards"] == []
    assert set(block) == {"block", "visits", "latest_visit"}
    assert block["latest_visit"]["fruit"] == 120
    assert block["latest_visit"]["estimate"]["correction_factor"] == pytest.approx(1.1)


def test_json_and_csv_have_orchards_of_several_blocks_too(
    run_pomona: Pomona, store: Store, visited: Block, predictions: Path
) -> None:
    register_block(store, "B2", "North farm", BlockSettings(area_m2=20_000))
    run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    (view,) = summarise_orchards(store)
    answer = json.loads(run_pomona("summary", "--json").out)
    assert [item["block"]["name"] for item in answer["blocks"]] == ["B1", "B2"]
    assert answer["orchards"] == [{**asdict(view), "notes": []}]
    first, second, orchard = csv.DictReader(io.StringIO(run_pomona("summary", "--csv").out))
    assert (first["block"], second["block"], orchard["block"]) == ("B1", "B2", "")
    assert (orchard["orchard"], orchard["unit"], orchard["trees"]) == ("North farm", "kg/mu", "")
    told = [float(orchard[name]) for name in ("corrected", "corrected_low", "corrected_high")]
    assert told == pytest.approx([view.corrected, view.corrected_low, view.corrected_high], rel=1e-5)
    assert orchard["notes"] == "1 of 2 blocks estimated"


def test_the_summary_as_csv_has_a_line_for_each_block(
    run_pomona: Pomona, store: Store, visited: Block, predictions: Path
) -> None:
    register_block(store, "B2", "North farm", BlockSettings())
    run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    first, second = csv.DictReader(io.StringIO(run_pomona("summary", "--csv").out))
    assert (first["orchard"], first["block"], first["day"], first["stage"]) == (
        *("North farm", "B1", "2025-09-24", "ripening"),
    )
    assert (first["trees"], first["photos"], first["fruit"], first["fruit_per_tree"]) == ("12", "12", "120", "10.00")
    assert (first["unit"], first["observed"], first["correction_factor"], first["corrected"]) == (
        *("kg/mu", "110", "1.1", "220"),
    )
    assert (second["block"], second["day"], second["corrected"]) == ("B2", "", "")


def test_notes_are_in_the_csv_too(
    run_pomona: Pomona, store: Store, visited: Block, counter: Counter, predictions: Path, tmp_path: Path
) -> None:
    run_pomona("estimate", "--block", "B1", "--predictions", predictions)
    bring_in(store, counter, visited, photograph(tmp_path / "more", "T99", 7))
    (line,) = csv.DictReader(io.StringIO(run_pomona("summary", "--csv").out))
    assert line["notes"].startswith("the estimate was made from 120 fruit on 12 trees; estimate again; ")
    assert "fruit that no photo shows is not counted" in line["notes"]


def test_names_are_shown_as_they_are(run_pomona: Pomona, store: Store) -> None:
    register_block(store, "B[/b]", "[red]North", BlockSettings())
    assert "[red]North, block B[/b]" in run_pomona("summary").out


def test_a_predictions_file_whose_name_is_no_text_is_read(
    run_pomona: Pomona, store: Store, visited: Block, tmp_path: Path
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/pr\xe9d.csv"))
    odd.write_text(PREDICTIONS)
    done = run_pomona("estimate", "--block", "B1", "--predictions", odd)
    assert (done.exit_code, done.err) == (0, "")
    assert queued(store, "estimate") == ["estimate"]


def test_the_table_says_how_far_each_block_is(
    run_pomona: Pomona, store: Store, visited: Block, predictions: Path
) -> None:
    register_block(store, "B2", "North farm", BlockSettings())
    out = run_pomona("summary").out
    assert "North farm, block B1" in out
    assert "not estimated yet" in out
    assert re.search(r"[^\n]\n\nNorth farm, block B2\n", out), "a blank line before it"
    assert "none yet" in out


def test_without_blocks_the_summary_says_how_to_begin(run_pomona: Pomona, store: Store) -> None:
    said = "No block is registered yet. Add one: pomona block add NAME --orchard ORCHARD\n"
    assert run_pomona("summary").out == said
    assert json.loads(run_pomona("summary", "--json").out) == {"orchards": [], "blocks": []}


def test_two_formats_at_once_are_refused(run_pomona: Pomona) -> None:
    done = run_pomona("summary", "--json", "--csv")
    assert done.exit_code == 2
    assert "--json and --csv exclude each other; choose one." in done.err
