"""docs/reference/metrics.md lists the metrics of both ends, with their types and labels, and no others."""

from __future__ import annotations

import queue
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from cloud_sync import clock
from cloud_sync.server.database import Database
from cloud_sync.server.fleet.application import create_app
from cloud_sync.server.fleet.settings import FleetSettings
from cloud_sync.server.ingest_metrics import IngestMetrics
from cloud_sync.server.worker import Delivery, Worker
from cloud_sync.uplink import UplinkNews
from device.machine import Machine
from device.metrics import device_metrics
from device.orchards import Block
from device.reporting import Reporter
from device.store import Store
from tests.cloud_sync.helpers import envelope, received
from tests.cloud_sync.virtual_fleet import fill, troubled_five
from tests.device.machines import LAPTOP, RASPBERRY_PI, make_machine

_PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
Told = dict[str, tuple[str, frozenset[str]]]


def told_by(text: str) -> Told:
    """Type and labels of each metric, by name."""
    found = {}
    for family in text_string_to_metric_families(text):
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        name = family.name + ("_total" if family.type == "counter" else "")  # as it stands in expressions
        found[name] = (family.type, frozenset(labels))
    return found


def listed(*headings: str) -> Told:
    """The same as the page has it, below some headings."""
    sections = re.split(r"^## ", _PAGE.read_text(), flags=re.MULTILINE)
    lines = [line for text in sections if text.startswith(headings) for line in text.splitlines()]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `pomona_")]
    return {
        row[0].strip("`"): (row[1], frozenset(re.findall(r"`(\w+)`", row[2]) if len(row) > 3 else ())) for row in rows
    }


@pytest.fixture
def server(tmp_path: Path) -> Told:
    database = Database.in_file(tmp_path / "pomona.sqlite")
    fill(database, troubled_five())
    metrics = IngestMetrics(tmp_path / "processes")
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None, metrics=metrics)
    worker.process([Delivery(received(message), lambda: None) for message in (envelope(), envelope(version=9))])
    metrics.save(0, at_once=True)
    app = create_app(database, tmp_path / "processes", FleetSettings())
    text = TestClient(app, base_url="http://localhost").get("/metrics").text
    metrics.close()
    database.close()
    return told_by(text)


def test_the_server_s_metrics_are_listed(server: Told) -> None:
    assert listed("Server: ingest", "Server: database", "Server: devices") == server


def test_the_device_s_metrics_are_listed(
    store: Store, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_adjtimex", lambda: (0, 1000))
    Reporter(store, "kiwi-07", every_s=0).note(UplinkNews(connected=True, condition="", stored=1, rejected=0))
    machine = Machine(make_machine(tmp_path / "machine", {**LAPTOP, **RASPBERRY_PI}))
    told = told_by(device_metrics(store, machine=machine).decode())
    names = {name: (kind, frozenset[str]()) for name, (kind, _) in told.items()}
    assert listed("Device") == names


@pytest.mark.parametrize("part", ["For Grafana", "Alerts worth having"])
def test_expressions_name_metrics_that_there_are(server: Told, part: str) -> None:
    sections = re.split(r"^## ", _PAGE.read_text(), flags=re.MULTILINE)
    (text,) = [section for section in sections if section.startswith(part)]
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bpomona_\w+", text)}
    assert used
    assert used <= set(server)
