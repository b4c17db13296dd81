"""Whose each yield on the pages is: of a block, of its orchard, with other blocks, at harvest."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from fastapi.testclient import TestClient

from device.estimates import estimate
from device.factor_prior import keep_prior
from device.orchard_summary import summarise_orchards
from device.orchards import BlockSettings, find_block, register_block
from device.predictions import TablePredictions
from device.queries import get_visit
from device.sampled_visits import find_visit
from device.seasons.harvests import Picking, record_picking
from device.store import Store
from device.wording import figures, together_figure
from tests.device.fitted_prior import write_prior
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import add_example_block, browser, text_of
from tests.device.planning.counted import count


def card(page: str, name: str) -> str:
    """What a person reads on the card of a block."""
    (found,) = (text for text in re.findall(r"<article.*?</article>", page, re.DOTALL) if f"Block {name}<" in text)
    return text_of(found)


def test_an_orchard_of_several_blocks_is_shown_above_them(page: TestClient, visited: VisitedDevice) -> None:
    assert "all blocks together" not in page.get("/").text
    add_example_block(visited.folder, "B2")
    store = Store(visited.folder)
    (view,) = summarise_orchards(store)
    store.close()
    figure = together_figure(view)
    shown = text_of(page.get("/").text)
    assert (
        f"North farm orchard, all blocks together {figure.value} kg/mu 95 % interval {figure.interval} "
        "1 of 2 blocks estimated Block B1" in shown
    )


def test_orchards_are_shown_one_after_another_each_above_its_blocks(page: TestClient, visited: VisitedDevice) -> None:
    store = Store(visited.folder)
    for name in ("A1", "A2"):
        register_block(store, name, "West farm", BlockSettings(area_m2=10_000))
    store.close()
    headings = re.findall(r"<h[123][^>]*>([^<]+)</h", page.get("/").text)
    assert headings == ["Summary", "North farm", "Block B1", "West farm", "Block A1", "Block A2", "Sync"]


def test_why_other_blocks_are_corrected_as_they_are_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(8):
        block = register_block(
            store, f"A{number}", "West farm", BlockSettings(10_000, 825, fruit_weight_g=200), "kg/ha"
        )
        fruit = 80 + 30 * number
        count(store, block, "2025-09-15", {"T1": fruit - 1, "T2": fruit, "T3": fruit + 1})
        table = TablePredictions("p.csv", {"orchard": 30_000.0, "sampling_area": 5_000.0 * (number + 1)})
        estimate(store, block, find_visit(store, block), table)
    (view,) = summarise_orchards(store)
    store.close()
    with browser(tmp_path) as client:
        shown = text_of(client.get("/").text)
    assert f"8 of 8 blocks estimated, {view.form} correction" in shown
    assert all(note in shown for note in view.notes)


def test_the_blocks_own_yield_and_the_orchards_are_told_apart(page: TestClient, visited: VisitedDevice) -> None:
    store = Store(visited.folder)
    view = get_visit(store, visited.visit).estimate
    store.close()
    assert view is not None
    own, orchard = figures(view)
    assert own.value != orchard.value
    on_card = card(page.get("/").text, "B1")
    assert f"Block B1 this block, by its own trees {own.value} kg/mu" in on_card
    assert f"orchard, corrected by this block {orchard.value} kg/mu" in on_card
    in_list = text_of(page.get("/blocks/B1").text)
    assert f"this block {own.value} kg/mu orchard {orchard.value} kg/mu" in in_list


def test_an_estimate_of_an_older_pomona_shows_the_orchards_yield_as_such(
    page: TestClient, visited: VisitedDevice
) -> None:
    store = Store(visited.folder)
    store.db.execute("UPDATE estimate SET body = json_remove(body, '$.block_kg_per_ha')")
    store.close()
    on_card = card(page.get("/").text, "B1")
    assert "this block, by its own trees" not in on_card
    assert "Block B1 orchard, corrected by this block" in on_card


def test_the_harvest_is_foretold_and_then_weighed(page: TestClient, visited: VisitedDevice) -> None:
    foretold = r"this block, harvest 2025 foretold \(90 %\) (\d+ \(\d+ to \d+\)) kg/mu"
    on_card = re.search(foretold, card(page.get("/").text, "B1"))
    block = text_of(page.get("/blocks/B1").text)
    assert on_card is not None
    assert f"Season 2025 {on_card[0]}" in block
    assert re.search(r"foretold: [\d.]+ kg a tree \([\d.]+ to [\d.]+\), [\d.]+ t from 1,650 trees", block)
    assert "in brackets the 90 % interval of the harvest" in block
    assert "all visits: fruit that no photo shows is not counted" in block
    assert "pomona season --block B1" in block
    store = Store(visited.folder)
    record_picking(store, find_block(store, "B1"), Picking(date(2025, 9, 30), 33_000.0))
    store.close()
    weighed = "this block, harvest 2025 weighed 1,100 kg/mu"
    assert f"{on_card[0]} {weighed}" in card(page.get("/").text, "B1")
    block = text_of(page.get("/blocks/B1").text)
    assert weighed in block
    assert "weighed: 33,000 kg on 1 day from 1,650 trees, 20.0 kg a tree" in block


def test_a_block_of_which_nothing_is_known_has_no_season(home: Path) -> None:
    with browser(home) as client:
        assert "Season" not in client.get("/blocks/B1").text
        assert "harvest" not in client.get("/").text


def test_what_other_blocks_add_is_shown_where_a_prior_is_kept(
    page: TestClient, visited: VisitedDevice, tmp_path: Path
) -> None:
    paths = ("/", f"/visits/{visited.visit}")
    assert all("ogether with" not in page.get(path).text for path in paths)
    keep_prior(visited.folder, write_prior(tmp_path / "prior.json"))
    yields = r"\d+ \(\d+ to \d+\) kg/mu"
    on_card = re.search(rf"this block, together with 24 other blocks ({yields})", card(page.get("/").text, "B1"))
    assert on_card is not None
    visit = text_of(page.get(paths[1]).text)
    assert re.search(
        r"Together with 24 other blocks correction factor \d\.\d\d \(\d\.\d\d to \d\.\d\d\) "
        rf"this block {re.escape(on_card[1])} share of its own trees in this \d+ %",
        visit,
    )
    assert "Note: other blocks say less of block B1, whose variety is not known" in visit


def test_what_cannot_be_told_is_said_and_spoils_no_page(
    page: TestClient, visited: VisitedDevice, tmp_path: Path
) -> None:
    keep_prior(visited.folder, write_prior(tmp_path / "prior.json"))
    (kept,) = (visited.folder / "documents").iterdir()
    kept.write_text("{")
    store = Store(visited.folder)
    record_picking(store, find_block(store, "B1"), Picking(date(2025, 9, 30), 33_000.0))
    store.db.execute("UPDATE block SET trees = NULL")
    store.close()
    for path in ("/", "/blocks/B1"):
        answer = page.get(path)
        assert answer.status_code == 200
        assert "Note: the harvest is not foretold: how many trees block B1 has is not known" in text_of(answer.text)
    for path in ("/", f"/visits/{visited.visit}"):
        assert "Note: other blocks were not drawn in: prior" in text_of(page.get(path).text)


def test_commands_can_be_typed_as_they_stand_and_break_between_words(tmp_path: Path) -> None:
    block = add_example_block(tmp_path, "Long row")
    with browser(tmp_path) as client:
        shown = client.get("/blocks/Long row").text
        store = Store(tmp_path)
        count(store, block, "2025-09-15", {"T1": 10, "T2": 12})
        store.close()
        visited = client.get("/blocks/Long row").text
        visit = client.get(re.findall(r"/visits/[^\"]+", visited)[0]).text
    assert "<span>--stage</span>" in shown
    assert "pomona visit import FOLDER --block 'Long row' --stage STAGE" in text_of(shown)
    assert "pomona season --block 'Long row'" in text_of(visited)
    assert "pomona estimate --block 'Long row' --predictions FILE" in text_of(visit)
