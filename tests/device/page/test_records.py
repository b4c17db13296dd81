"""The pages that show what is known."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from device.queries import summarise
from device.store import Store
from device.wording import summary_lines
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import add_example_block, browser, damage_table, text_of

NO_ID = "01997a00-0000-7000-8000-000000000001"


def test_the_summary_says_the_same_as_the_command_line(page: TestClient, visited: VisitedDevice) -> None:
    shown = text_of(page.get("/").text)
    store = Store(visited.folder)
    (item,) = summarise(store)
    store.close()
    *lines, own, corrected = summary_lines(item)
    for line in lines:
        assert " ".join(line) in shown
    for name, words in (own, corrected):
        value, interval = re.fullmatch(r"(\S+) \((.+)\) kg/mu", words).groups()  # type: ignore[union-attr]
        assert f"{name} {value} kg/mu 95 % interval {interval}" in shown
    assert "The orchard's interval is made of these errors, one standard deviation of each: satellite error" in shown
    assert "Note: only 2 trees were sampled" in shown
    assert "14 (7.0 a tree)" in shown


def test_the_summary_says_what_waits_to_be_sent(page: TestClient, visited: VisitedDevice) -> None:
    store = Store(visited.folder)
    waiting = store.outbox.state().waiting
    assert f"{waiting} records saved here wait to be sent" in text_of(page.get("/").text)
    messages = [item.message for item in store.outbox.waiting("kiwi-07", 0, 1000)]
    store.outbox.rejected(messages[0], "too new")
    store.outbox.stored(messages[2:])
    shown = text_of(page.get("/").text)
    assert "1 record saved here waits to be sent" in shown
    assert "1 record was rejected by the server" in shown
    store.outbox.stored(messages[1:])
    shown = text_of(page.get("/").text)
    assert "1 record was rejected by the server" in shown
    assert "at the server" not in shown
    store.outbox.stored(messages)
    store.close()
    assert "all that was recorded here is at the server" in text_of(page.get("/").text)


def test_without_a_block_the_summary_says_how_to_register_one(tmp_path: Path) -> None:
    with browser(tmp_path) as client:
        shown = client.get("/").text
        assert 'href="/register"' in shown
        assert "pomona block add" in text_of(shown)
        assert 'href="/register"' in client.get("/upload").text


def test_a_block_without_visits(home: Path) -> None:
    with browser(home) as client:
        assert "visits none yet" in text_of(client.get("/").text)
        shown = text_of(client.get("/blocks/B1").text)
        assert "No visit yet" in shown
        assert "825" in shown  # trees a hectare


def test_from_the_summary_to_a_photo(page: TestClient, visited: VisitedDevice) -> None:
    assert 'href="/blocks/B1"' in page.get("/").text
    block = page.get("/blocks/B1").text
    assert f'href="/visits/{visited.visit}"' in block
    assert "14 fruit" in text_of(block)
    visit = page.get(f"/visits/{visited.visit}").text
    for photo in visited.photos:
        assert f'src="/photos/{photo}/thumbnail"' in visit
        assert f'href="/photos/{photo}/boxes"' in visit
    assert "R02-T05 7" in text_of(visit)
    assert "correction factor" in visit
    assert "In brackets the 95 % interval; the orchard's is made of these errors, one standard" in text_of(visit)


def test_a_photo_has_its_boxes_count_model_engine_and_time(page: TestClient, visited: VisitedDevice) -> None:
    shown = page.get(f"/photos/{visited.photos[2]}/boxes").text
    assert 'viewBox="0 0 640 480"' in shown
    assert shown.count("is-kept") == 7
    assert 'x="20" y="20" width="20" height="20"' in shown
    text = text_of(shown)
    assert "7 fruit counted" in text
    assert "Tree R02-T05, side a" in text
    assert "engine seeing-1" in text
    assert re.search(r"model \S+\+[0-9a-f]{12}", text)
    assert "taken 2025-09-24 10:30" in text
    assert re.search(r"counting time [\d,]+ ms", text)


def test_photos_lead_to_each_other(page: TestClient, visited: VisitedDevice) -> None:
    seen = []
    address: str | None = None
    first = min(visited.photos[:2])  # a tree's photos stand in the order of their names
    address = f"/photos/{first}/boxes"
    while address:
        seen.append(address)
        found = re.search(r'href="(\S+)" rel="next"', page.get(address).text)
        address = found[1] if found else None
    assert len(seen) == len(set(seen)) == 3
    assert f'href="{seen[1]}" rel="prev"' in page.get(seen[2]).text


def test_a_reviewed_count_stands_before_the_models(page: TestClient, visited: VisitedDevice) -> None:
    store = Store(visited.folder)
    store.db.execute("UPDATE tree_count SET reviewed = 1234 WHERE machine = 7")
    store.close()
    assert "1,234 reviewed; model 7" in text_of(page.get(f"/visits/{visited.visit}").text)
    assert "1,234 (reviewed; model 7)" in text_of(page.get(f"/photos/{visited.photos[0]}/boxes").text)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/blocks/B9", "register it"),
        (f"/visits/{NO_ID}", "is unknown here"),
        (f"/photos/{64 * 'a'}/boxes", "is unknown here"),
        (f"/photos/{64 * 'a'}", "is unknown here"),
        (f"/photos/{64 * 'a'}/thumbnail", "is unknown here"),
        ("/photos/..%2f..%2fstore.sqlite", "no such page"),
        (f"/uploads/{NO_ID}", "is unknown here"),
        ("/uploads/..%2f..", "no such page"),
        ("/uploads/....", "is unknown here"),
        ("/register?block=B9", "register it"),
        ("/nowhere", "no such page"),
    ],
)
def test_what_is_not_there_is_404_with_a_way_back(reader: TestClient, path: str, says: str) -> None:
    answer = reader.get(path)
    assert answer.status_code == 404
    assert says in text_of(answer.text)
    assert "Back to the summary" in answer.text


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    name = 'A/1 <script>alert("1")</script>&?#'
    add_example_block(tmp_path, name)
    with browser(tmp_path) as client:
        shown = client.get("/").text
        assert "<script>alert" not in shown
        address = unescape(re.search(r'href="(/blocks/[^"]+)"', shown)[1])  # type: ignore[index]
        block = client.get(address)
        assert block.status_code == 200
        assert name in unescape(block.text)
        address = unescape(re.search(r'href="(/register\?block=[^"]+)"', block.text)[1])  # type: ignore[index]
        assert name in unescape(client.get(address).text)


def test_a_store_that_cannot_be_read_is_said_so(page: TestClient, visited: VisitedDevice) -> None:
    (visited.folder / "store.sqlite").write_bytes(b"nonsense" * 1000)
    for name in ("store.sqlite-wal", "store.sqlite-shm"):
        (visited.folder / name).unlink(missing_ok=True)
    answer = page.get("/")
    assert answer.status_code == 503
    assert "restore it from a backup" in text_of(answer.text)
    assert page.get("/api/summary").status_code == 503


@pytest.mark.parametrize("path", ["/", "/upload", "/register", "/blocks/B1", "/api/summary"])
def test_a_table_that_cannot_be_read_is_said_so(page: TestClient, visited: VisitedDevice, path: str) -> None:
    damage_table(visited.folder, "block")
    answer = page.get(path)
    assert answer.status_code == 503
    assert "malformed; restore it from a backup" in text_of(answer.text)
