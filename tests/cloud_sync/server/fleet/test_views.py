"""The pages as they are served: what stands on them, and that nothing a device sent becomes part of a page."""

from __future__ import annotations

import html
import queue
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cloud_sync.server.database import Database
from cloud_sync.server.fleet.views import DEVICES_ON_PAGE
from cloud_sync.server.ingest_metrics import IngestMetrics
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.cloud_sync.server.fleet.conftest import browser
from tests.cloud_sync.virtual_fleet import BODY, VirtualDevice, fill, many


def page(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(answer.text).split())


def listed(text: str) -> list[str]:
    """Names of the devices on a page, in order."""
    return re.findall(r'<tr id="device-([a-z0-9-]+)"', text)


def test_those_that_need_somebody_come_first(reader: TestClient) -> None:
    text = page(reader, "/")
    assert listed(text) == ["laptop-lab", "pi-gate", "pi-south", "jetson-north", "kiwi-07"]
    for value, name in ((5, "devices"), (3, "online"), (3, "urgent"), (4, "any trouble"), (3, "refused")):
        assert f'<b title="{value}">{value}</b> <span>{name}</span>' in text
    assert '<b title="1,207">1,207</b> <span>waiting to be sent</span>' in text
    assert "0.4 GB free on the disk: the next visit may not fit" in text
    assert "+2 more" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?show=bad", ["laptop-lab", "pi-gate", "pi-south"]),
        ("?sort=temperature&search=pi", ["pi-gate", "pi-south"]),
        ("?sort=name&show=online", ["kiwi-07", "pi-gate", "pi-south"]),
        ("?show=nonsense&sort=nonsense&search=kiwi", ["kiwi-07"]),
        ("?search=nobody", []),
    ],
)
def test_the_list_is_filtered_and_sorted_by_its_address(reader: TestClient, query: str, names: list[str]) -> None:
    assert listed(page(reader, f"/{query}")) == names


def test_the_headings_sort_and_keep_what_was_searched(reader: TestClient) -> None:
    text = page(reader, "/?search=pi&sort=disk")
    assert '<a href="/?sort=temperature&search=pi">°C</a>' in text
    assert '<th scope="col" class="number" aria-sort="ascending"><a href="/?sort=disk&search=pi">' in text
    assert '<a href="/?search=pi">Trouble</a>' in text


def test_hundreds_of_devices_stand_on_several_pages(database: Database, tmp_path: Path) -> None:
    fill(database, many(DEVICES_ON_PAGE + 20))
    with browser(database, tmp_path) as client:
        first, second, beyond = (page(client, f"/?page={number}") for number in (1, 2, 99))
    assert (len(listed(first)), len(listed(second))) == (DEVICES_ON_PAGE, 20)
    assert len({*listed(first), *listed(second)}) == DEVICES_ON_PAGE + 20
    assert listed(beyond) == listed(second), "the last page, where devices have gone meanwhile"
    assert '<a class="button" href="/?page=2">Next ' in first
    assert 'href="/?page=' not in second.replace('href="/?page=1"', "")
    assert "Page 2 of 2, 120 devices" in second


def test_a_device_s_page_says_what_is_wrong_and_what_to_do(reader: TestClient) -> None:
    text = page(reader, "/devices/pi-south")
    assert "<b>The clock is 56 years behind.</b>" in text
    assert "<dt>clock</dt><dd>56 years behind</dd>" in text
    assert "<dt>Pomona</dt><dd>0.2.0</dd>" in text
    assert "<dt>Python</dt>" in text
    assert "Load per core" in text
    assert "tree version 7 is newer than 1, which is known here" in text
    assert "Upgrade the server; the device then sends it again by itself." in text
    assert text.count("<figure") == 5
    assert '"latitude": 135.0' in text
    assert "Nothing is wrong with it" in page(reader, "/devices/kiwi-07")


@pytest.mark.parametrize(("days", "charts"), [(1, 0), (7, 0)])
def test_a_device_that_said_little_has_no_charts(reader: TestClient, days: int, charts: int) -> None:
    text = page(reader, f"/devices/jetson-north?days={days}")
    assert text.count("<figure") == charts
    assert "Nothing to draw of the last" in text


def test_blocks_with_counts_and_estimates(reader: TestClient) -> None:
    text = page(reader, "/blocks")
    assert "28,830" in text
    assert "95 % interval 26,000 to 31,500 kg/ha" in text
    assert "<dt>fruit counted</dt><dd>1,266</dd>" in text


def test_refused_messages_by_reason(reader: TestClient) -> None:
    text = page(reader, "/dead-letters")
    assert text.count("<li>") == 3
    assert "1 message of pi-south, the last" in text
    assert '<a class="button" href="/devices/pi-south">pi-south' in text


def test_an_empty_server_says_how_to_begin(database: Database, tmp_path: Path) -> None:
    with browser(database, tmp_path / "none") as client:
        text = page(client, "/")
        assert "No device was heard of yet." in text
        assert "pomona sync request NAME" in text
        assert "This server receives nothing" not in text, "whether ingest runs elsewhere is not known"
        assert "Nothing is held of any block yet." in page(client, "/blocks")
        assert "None: all that came is held." in page(client, "/dead-letters")


def test_a_server_that_receives_nothing_says_so(database: Database, tmp_path: Path) -> None:
    """Else all devices would slowly turn silent, and nobody would look at the server."""
    metrics = IngestMetrics(tmp_path)
    metrics.save(0, at_once=True)
    with browser(database, tmp_path) as client:
        assert "This server receives nothing." in page(client, "/")
        metrics.connected.set(1)
        metrics.save(0, at_once=True)
        assert "This server receives nothing." not in page(client, "/")
        metrics.close()
        assert "This server receives nothing." in page(client, "/"), "the process has ended"


def test_what_devices_send_stays_text(database: Database, tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>"
    versions = {**BODY["versions"], "hardware": nasty, nasty: "x"}
    fill(database, [VirtualDevice("kiwi-07", {"versions": versions}, bad=({"type": "tree", "boot": 70 * nasty},))])
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    for fields in (
        envelope("tree", device="kiwi-07", body={**EXAMPLES["tree"], "block": nasty}),
        envelope(nasty, device="kiwi-07"),
    ):
        worker.process([Delivery(received(fields), lambda: None)])
    with browser(database, tmp_path) as client:
        for path in ("/", "/devices/kiwi-07", "/blocks", "/dead-letters", f"/?search={nasty}", f"/devices/{nasty}"):
            text = client.get(path).text
            assert nasty not in text, path
        assert html.escape(nasty) in client.get("/devices/kiwi-07").text


@pytest.mark.parametrize("path", ["/devices/nobody", "/devices/A", "/nowhere", "/static/none.css"])
def test_an_unknown_page_says_so(reader: TestClient, path: str) -> None:
    answer = reader.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text


def test_a_database_that_cannot_be_read_is_said_so_and_tried_again(tmp_path: Path) -> None:
    broken = Database.in_file(tmp_path / "pomona.sqlite")
    with broken.write() as session:
        session.connection().exec_driver_sql("DROP TABLE device")
    with browser(broken, tmp_path) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert "The database cannot be read now" in answer.text
        assert client.get("/api/devices").json()["error"].startswith("The database cannot be read now")
    broken.close()
