"""``/metrics`` of the server, read as Prometheus reads it."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from cloud_sync.server.database import Database
from cloud_sync.server.ingest_metrics import IngestMetrics
from tests.cloud_sync.server.fleet.conftest import browser
from tests.cloud_sync.server.test_ingest_metrics import figures


def test_the_database_and_each_device_are_told(reader: TestClient, five: Database) -> None:
    answer = reader.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    assert len({family.name for family in families}) == len(families)
    found = figures(answer.text)
    assert found["pomona_server_records{type=tree}"] == 15
    assert found["pomona_server_dead_letters"] == 3
    size = "page_count * page_size FROM pragma_page_count, pragma_page_size"
    if not five.is_embedded:
        size = "pg_database_size(current_database())"
    with five.read() as session:
        assert found["pomona_server_database_bytes"] == session.execute(text(f"SELECT {size}")).scalar_one()
    statuses = {status: found[f"pomona_fleet_devices{{status={status}}}"] for status in ("online", "silent", "offline")}
    assert statuses == {"online": 3, "silent": 1, "offline": 1}
    assert found["pomona_fleet_troubled_devices{level=bad}"] == 3
    assert found["pomona_fleet_waiting{device=jetson-north}"] == 1204
    assert found["pomona_fleet_temperature_celsius{device=pi-gate}"] == 86.5
    assert found["pomona_fleet_battery_ratio{device=laptop-lab}"] == 0.22
    assert found["pomona_fleet_online{device=laptop-lab}"] == 0
    assert found["pomona_fleet_undervoltage{device=pi-gate}"] == 1
    assert found["pomona_fleet_clock_error_seconds{device=pi-south}"] < -1e9
    assert "pomona_fleet_battery_ratio{device=pi-gate}" not in found, "what it cannot tell"


def test_each_process_stands_in_series_of_its_own(five: Database, tmp_path: Path) -> None:
    several = [IngestMetrics(tmp_path) for _ in range(2)]
    for number, metrics in enumerate(several, start=1):
        metrics.connected.set(1)
        metrics.count_batch([], [], 0.01 * number)
        metrics.save(number, at_once=True)
    (tmp_path / "ingest-3.prom").write_text("pomona_ingest_connected 1\n")  # of one that has died
    with browser(five, tmp_path) as client:
        found = figures(client.get("/metrics").text)
        assert found["pomona_ingest_queue_messages{process=1}"] == 1
        assert found["pomona_ingest_queue_messages{process=2}"] == 2
        assert found["pomona_ingest_commit_seconds_count{process=2}"] == 1
        assert found["pomona_ingest_commit_seconds_bucket{le=0.01}{process=1}"] == 1
        assert found["pomona_ingest_connected{process=2}"] == 1
        assert "pomona_ingest_connected{process=3}" not in found
        assert found["pomona_ingest_process_cpu_seconds_total{process=1}"] > 0
        (tmp_path / "ingest-1.prom").write_text("{half a li")
        found = figures(client.get("/metrics").text)
        assert "pomona_ingest_connected{process=1}" not in found
        assert found["pomona_ingest_connected{process=2}"] == 1
    for metrics in several:
        metrics.close()
