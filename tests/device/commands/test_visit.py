"""``pomona visit import`` and ``pomona visit watch``."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from pathlib import Path

import pytest

from device.orchards import Block
from device.queries import list_trees, list_visits
from device.store import Store
from export.runtime.bundle import Bundle
from tests.conftest import Pomona
from tests.drawing import exif, save_photo

RIPENING = ("--block", "B1", "--stage", "ripening")


@pytest.fixture
def model(disc_bundle: Bundle) -> tuple[str, ...]:
    """The options that count drawn discs."""
    return ("--bundle", str(disc_bundle.folder), "--threads", "1")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card with two trees, one of them from two sides."""
    save_photo(tmp_path / "card" / "T01_a.jpg", 5)
    save_photo(tmp_path / "card" / "T01_b.jpg", 7)
    save_photo(tmp_path / "card" / "T02" / "DSC_0001.jpg", 9)
    return tmp_path / "card"


def fruit(store: Store, block: Block) -> dict[str, int]:
    (visit,) = list_visits(store, block)
    return {tree.tree: tree.fruit for tree in list_trees(store, visit)}


def test_a_card_becomes_a_visit_on_the_day_its_photos_say(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    done = run_pomona("visit", "import", card, *RIPENING, *model)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out == "3 photos of 2 trees counted for block B1, 2025-09-24, ripening; 0 already known.\n"
    assert fruit(store, block) == {"T01": 7, "T02": 9}


def test_a_card_that_was_not_erased_becomes_a_visit_a_day(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    later = exif(datetime(2025, 10, 8, 9))  # noqa: DTZ001
    save_photo(card / "T01_a_2.jpg", 1, said=later)
    save_photo(card / "T02" / "DSC_0002.jpg", 2, said=later)
    save_photo(card / "T02" / "DSC_0003.jpg", 3, said=exif(None))
    done = run_pomona("visit", "import", card, *RIPENING, *model)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "4 photos of 2 trees counted for block B1, 2025-09-24, ripening; 0 already known.",
        "2 photos of 2 trees counted for block B1, 2025-10-08, ripening; 0 already known.",
    ]
    second, first = list_visits(store, block)
    assert {tree.tree: tree.fruit for tree in list_trees(store, first)} == {"T01": 7, "T02": 9}
    assert {tree.tree: tree.fruit for tree in list_trees(store, second)} == {"T01_a_2": 1, "T02": 2}


def test_both_sides_of_a_tree_are_summed_where_that_is_chosen(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    save_photo(card / "T03_a.jpg", 3)
    done = run_pomona("visit", "import", card, *RIPENING, *model, "--sides", "sum")
    assert done.exit_code == 0
    assert fruit(store, block) == {"T01": 12, "T02": 18, "T03": 6}
    assert done.err == (
        "Note: 2 trees (T02, T03) without photos of just two sides: twice the mean of the sides there are stands for "
        "both.\n"
    )
    save_photo(card / "T03_b.jpg", 5)
    done = run_pomona("visit", "import", card, *RIPENING, *model)
    assert done.out == "1 photo of 1 tree counted for block B1, 2025-09-24, ripening; 4 already known.\n"
    assert "Note: 1 tree (T02) without" in done.err
    assert fruit(store, block) == {"T01": 12, "T02": 18, "T03": 8}


def test_importing_again_with_other_sides_makes_the_counts_anew(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    run_pomona("visit", "import", card, *RIPENING, *model)
    done = run_pomona("visit", "import", card, *RIPENING, *model, "--sides", "one")
    assert done.out.splitlines() == [
        "0 photos counted for block B1, 2025-09-24, ripening; 3 already known.",
        "Counts of 2 trees made anew, by --sides one.",
    ]
    assert done.err == ""
    assert fruit(store, block) == {"T01": 5, "T02": 9}
    assert run_pomona("visit", "review", "T01", "6", "--block", "B1").exit_code == 0
    done = run_pomona("visit", "import", card, *RIPENING, *model, "--sides", "sum")
    assert done.exit_code == 2
    assert "sides of the visit of 2025-09-24 stay 'one': the counts of T01 were joined that way when" in done.err
    assert fruit(store, block) == {"T01": 6, "T02": 9}


def test_what_arrives_in_a_folder_is_joined_as_is_said(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    (card / "T01_a.jpg").rename(card / "T02" / "a.jpg")
    (card / "T02" / "DSC_0001.jpg").rename(card / "T02" / "b.jpg")
    inbox = card.parent / "inbox" / "B1"
    inbox.mkdir(parents=True)
    card.rename(inbox / "ripening")
    assert run_pomona("visit", "watch", inbox.parent, "--once", *model, "--sides", "sum").exit_code == 0
    assert fruit(store, block)["T02"] == 14


def test_with_a_day_given_all_photos_are_of_that_day(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    save_photo(card / "T03.jpg", 1, said=exif(datetime(2025, 10, 8, 9)))  # noqa: DTZ001
    done = run_pomona("visit", "import", card, *RIPENING, "--day", "2025-10-09", *model)
    assert done.out == "4 photos of 3 trees counted for block B1, 2025-10-09, ripening; 0 already known.\n"
    assert fruit(store, block) == {"T01": 7, "T02": 9, "T03": 1}


def test_an_area_belongs_to_one_visit(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    save_photo(card / "T03.jpg", 1, said=exif(datetime(2025, 10, 8, 9)))  # noqa: DTZ001
    done = run_pomona("visit", "import", card, *RIPENING, "--sampled-area", "48m2", *model)
    assert done.exit_code == 2
    assert "the photos were taken on 2 days (2025-09-24, 2025-10-08); import the photos of each day" in done.err
    assert list_visits(store, block) == []


def test_an_area_can_be_given_later(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    run_pomona("visit", "import", card, *RIPENING, *model)
    done = run_pomona("visit", "import", card, *RIPENING, "--sampled-area", "48m2", *model)
    assert (done.exit_code, done.err) == (0, "")
    row = store.one("SELECT area_m2, area_trees FROM visit")
    assert row == {"area_m2": 48, "area_trees": 2}


def test_a_camera_card_as_it_is_names_no_trees(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], tmp_path: Path
) -> None:
    save_photo(tmp_path / "card" / "DCIM" / "100CANON" / "DSC_0001.jpg", 5)
    for folder in ("card", "card/DCIM"):
        done = run_pomona("visit", "import", tmp_path / folder, *RIPENING, *model)
        assert done.exit_code == 2
        assert "is a camera's folder and names no tree; put the photos of each tree into a folder" in done.err
    assert list_visits(store, block) == []


def test_a_block_is_found_however_its_name_is_written(
    run_pomona: Pomona, store: Store, model: tuple[str, ...], card: Path
) -> None:
    decomposed = unicodedata.normalize("NFD", "Grün 1")
    assert run_pomona("block", "add", f"{decomposed} ", "--orchard", "N").out == "Block Grün 1 of N.\n"
    done = run_pomona("visit", "import", card, "--block", f" {decomposed}", "--stage", "ripening", *model)
    assert done.out.startswith("3 photos of 2 trees counted for block Grün 1, ")


def test_importing_again_counts_nothing_again(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    run_pomona("visit", "import", card, *RIPENING, *model)
    waiting = store.outbox.state().waiting
    done = run_pomona("visit", "import", card, *RIPENING, *model)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.startswith("0 photos counted")
    assert done.out.endswith("3 already known.\n")
    assert store.outbox.state().waiting == waiting


def test_day_table_and_area_can_be_given(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path, tmp_path: Path
) -> None:
    table = tmp_path / "trees.csv"
    table.write_text("photo,tree,side\nT01_a.jpg,R1-1,left\nT01_b.jpg,R1-2,\nT02/DSC_0001.jpg,R1-3,\n")
    options = ("--day", "2025-10-02", "--trees", table, "--sampled-area", "0.09mu")
    done = run_pomona("visit", "import", card, *RIPENING, *options, *model)
    assert done.exit_code == 0
    (visit,) = list_visits(store, block)
    assert visit.day.isoformat() == "2025-10-02"
    assert fruit(store, block) == {"R1-1": 5, "R1-2": 7, "R1-3": 9}
    row = store.one("SELECT area_m2 FROM visit")
    assert row is not None
    assert row["area_m2"] == pytest.approx(60)


def test_a_broken_photo_is_reported_the_rest_goes_on_and_the_code_is_two(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    (card / "T03.jpg").write_bytes(b"no photo")
    done = run_pomona("visit", "import", card, *RIPENING, *model)
    assert done.exit_code == 2
    assert done.out.startswith("3 photos of 2 trees counted")
    assert done.err == f"Error: {card / 'T03.jpg'} is no photo that can be decoded; copy it again from the camera\n"
    assert fruit(store, block) == {"T01": 7, "T02": 9}


def test_a_photo_of_another_tree_is_said_and_the_code_is_two(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    (card / "T09.jpg").write_bytes((card / "T01_a.jpg").read_bytes())
    done = run_pomona("visit", "import", card, *RIPENING, *model)
    assert done.exit_code == 2
    assert "T09.jpg: already counted for tree T01 of B1 on 2025-09-24 (ripening) and not counted again; " in done.err
    assert fruit(store, block) == {"T01": 7, "T02": 9}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["card", "--block", "B9", "--stage", "ripening"], "block 'B9' is unknown (known are B1); register it"),
        (["empty", *RIPENING], "empty holds no photos; looked for"),
        (["nowhere", *RIPENING], "nowhere does not exist; check the path"),
        (["card/T01_a.jpg", *RIPENING], "T01_a.jpg is no folder; name the folder that holds the photos"),
        (["card", "--block", "B1", "--stage", "harvest"], "'harvest' is not one of 'flowering'"),
        (["card", *RIPENING, "--day", "24.9."], "does not match the format '%Y-%m-%d'"),
        (["card", *RIPENING, "--sampled-area", "60"], "'60' is no area with a unit; write it like 2.5ha, 30mu"),
        (["card", *RIPENING, "--trees", "nowhere.csv"], "nowhere.csv cannot be read: No such file"),
        (["card", *RIPENING, "--bundle", "empty"], "manifest.json cannot be read"),
    ],
)
def test_wrong_input_is_named_the_code_is_two_and_nothing_is_recorded(
    run_pomona: Pomona,
    store: Store,
    block: Block,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(card.parent)
    Path("empty").mkdir()
    done = run_pomona("visit", "import", *arguments)
    assert done.exit_code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert list_visits(store, block) == []


def test_the_folder_is_watched_once_or_until_stopped(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], tmp_path: Path
) -> None:
    save_photo(tmp_path / "inbox" / "B1" / "ripening" / "T01" / "1.jpg", 5, said=exif())
    done = run_pomona("visit", "watch", tmp_path / "inbox", "--once", *model)
    assert done.exit_code == 0
    assert fruit(store, block) == {"T01": 5}
    assert (tmp_path / "inbox" / ".done" / "B1" / "ripening" / "T01" / "1.jpg").is_file()


def test_an_inbox_that_is_no_folder_is_wrong_input(run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "inbox").touch()
    done = run_pomona("visit", "watch", tmp_path / "inbox", "--once", *model)
    assert done.exit_code == 2
    assert "inbox: File exists; name the folder in which photos arrive" in done.err


def test_a_person_sets_the_count_of_a_tree_and_takes_it_back(
    run_pomona: Pomona, store: Store, block: Block, model: tuple[str, ...], card: Path
) -> None:
    run_pomona("visit", "import", card, *RIPENING, *model)
    done = run_pomona("visit", "review", "--block", "B1")
    assert (done.exit_code, done.out) == (0, "0 of 2 trees reviewed, 2025-09-24, ripening.\n")
    done = run_pomona("visit", "review", " T01", "12", "--block", "B1", "--reviewer", "Li")
    assert done.out.splitlines() == [
        "Tree T01 counts 12 in block B1, 2025-09-24, ripening.",
        "Estimate again to use it: pomona estimate --block B1 --predictions FILE",
    ]
    assert fruit(store, block) == {"T01": 12, "T02": 9}
    done = run_pomona("visit", "review", "--block", "B1")
    assert "1 of 2 trees reviewed" in done.out
    assert [line.split() for line in done.out.splitlines() if "T01" in line] == [["T01", "7", "12", "count", "set"]]
    done = run_pomona("visit", "review", "--block", "B1", "--remove", "T01", "--remove", "T01")
    assert done.out.startswith("Counts of 1 tree taken back in block B1, 2025-09-24, ripening.")
    assert fruit(store, block) == {"T01": 7, "T02": 9}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("T01",), "Name a TREE and its COUNT."),
        (("T01", "3", "--remove", "T01"), "not both at once"),
        (("--remove", "T01", "--reviewer", "Li"), "not both at once"),
        (("T01", "-3"), "No such option"),
        (("T01", "many"), "'many' is not a valid integer range"),
        (("T09", "3"), "tree T09 of block B1 has no photo of 2025-09-24; correct the tree's code"),
        (("--remove", "T01"), "nobody has set the count of tree T01 of block B1 on 2025-09-24"),
    ],
)
def test_a_review_that_makes_no_sense_is_refused(
    run_pomona: Pomona,
    store: Store,
    block: Block,
    model: tuple[str, ...],
    card: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    run_pomona("visit", "import", card, *RIPENING, *model)
    done = run_pomona("visit", "review", *arguments, "--block", "B1")
    assert done.exit_code == 2
    assert said in done.err
    assert fruit(store, block) == {"T01": 7, "T02": 9}
