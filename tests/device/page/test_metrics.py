"""``/metrics`` of the device, read as Prometheus reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from cloud_sync.uplink import UplinkNews
from device.machine import Machine
from device.metrics import device_metrics
from device.page.settings import PageSettings
from device.reporting import Reporter
from device.store import Store
from tests.cloud_sync.pages.test_access import basic
from tests.device.machines import LAPTOP, RASPBERRY_PI, make_machine
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import browser


def read(text: str) -> dict[str, float]:
    """Each sample without labels, by name."""
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    assert len({family.name for family in families}) == len(families)
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def figures_of(store: Store, machine: Path) -> dict[str, float]:
    return read(device_metrics(store, machine=Machine(machine)).decode())


def test_the_page_serves_the_metrics(reader: TestClient, visited_once: VisitedDevice) -> None:
    answer = reader.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    figures = read(answer.text)
    store = Store(visited_once.folder)
    waiting = store.outbox.state().waiting
    store.close()
    assert (figures["pomona_outbox_waiting"], figures["pomona_outbox_rejected"]) == (waiting, 0)
    assert (figures["pomona_photos"], figures["pomona_tree_counts"]) == (3, 2)
    assert figures["pomona_outbox_oldest_waiting_seconds"] >= 0
    assert 0 < figures["pomona_disk_free_bytes"] <= figures["pomona_disk_total_bytes"]
    assert (figures["pomona_uplink_running"], figures["pomona_uplink_connected"]) == (0, 0)
    (info,) = [family for family in text_string_to_metric_families(answer.text) if family.name == "pomona_info"]
    assert "pomona" in info.samples[0].labels


def test_an_uplink_that_runs_is_told(store: Store, tmp_path: Path) -> None:
    reporter = Reporter(store, "kiwi-07", every_s=0)
    reporter.note(UplinkNews(connected=False, condition="no network", stored=3, rejected=0))
    machine = make_machine(tmp_path / "pi", RASPBERRY_PI)
    figures = figures_of(store, machine)
    assert (figures["pomona_uplink_running"], figures["pomona_uplink_connected"]) == (1, 0)
    reporter.note(UplinkNews(connected=True, condition="", stored=40, rejected=2))
    figures = figures_of(store, machine)
    assert (figures["pomona_uplink_running"], figures["pomona_uplink_connected"]) == (1, 1)
    assert (figures["pomona_uplink_stored_total"], figures["pomona_uplink_rejected_total"]) == (40, 2)


def test_what_a_machine_cannot_tell_is_left_out(store: Store, tmp_path: Path) -> None:
    pi = figures_of(store, make_machine(tmp_path / "pi", RASPBERRY_PI))
    laptop = figures_of(store, make_machine(tmp_path / "laptop", LAPTOP))
    assert (pi["pomona_undervoltage"], pi["pomona_throttled"], pi["pomona_temperature_celsius"]) == (1, 1, 61.835)
    assert laptop["pomona_battery_ratio"] == pytest.approx(0.73)
    assert laptop["pomona_on_battery"] == 1
    assert "pomona_battery_ratio" not in pi
    assert "pomona_undervoltage" not in laptop


def test_behind_a_pass_phrase_prometheus_gives_it_with_each_request(visited: VisitedDevice) -> None:
    with browser(visited.folder, settings=PageSettings("0.0.0.0", pass_phrase="red delicious")) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": basic("prometheus:wrong")}).status_code == 401
        right = {"Authorization": basic("prometheus:red delicious")}
        for _ in range(20):
            assert "pomona_outbox_waiting" in client.get("/metrics", headers=right).text
        assert client.get("/api/summary", headers=right).status_code == 401, "the records take signing in"
        client.post("/login", data={"pass_phrase": "red delicious"})
        assert client.get("/metrics").status_code == 200
